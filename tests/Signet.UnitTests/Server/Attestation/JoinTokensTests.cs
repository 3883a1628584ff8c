using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Server.Attestation;
using Signet.Server.Storage.Sqlite;
using Signet.Testing;

namespace Signet.UnitTests.Server.Attestation;

public sealed class JoinTokensTests : IAsyncLifetime
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly ReadOnlyMemory<byte> Key = "one"u8.ToArray(), OtherKey = "two"u8.ToArray();

    private readonly TestFolder _folder = new();
    private readonly ManualTimeProvider _time = new();
    private readonly SqliteDatabase _database;
    private readonly SqliteAgentStore _store;
    private readonly JoinTokens _tokens;

    public JoinTokensTests()
    {
        _database = SqliteDatabase.Open(_folder.File("signet.db"), _time);
        _store = new SqliteAgentStore(_database);
        _tokens = new JoinTokens(Domain, _store, _time);
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _database.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_token_serves_the_key_that_used_it_for_a_moment_and_no_other_ever()
    {
        await CreateAsync();
        Assert.True(await RedeemAsync(Key));
        Assert.True((await FindAsync())!.WasUsed);
        Assert.False(await RedeemAsync(OtherKey));
        _time.Advance(JoinTokens.AnswerAgain - TimeSpan.FromSeconds(1));
        Assert.True(await RedeemAsync(Key));
        Assert.False(await RedeemAsync(OtherKey));

        // Asking again did not prolong it.
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(await FindAsync());
        Assert.False(await RedeemAsync(Key));
    }

    [Fact]
    public async Task A_token_used_at_its_last_moment_still_answers_again_and_an_unused_one_does_not()
    {
        await CreateAsync();
        _time.Advance(TimeSpan.FromSeconds(59));
        Assert.True(await RedeemAsync(Key));
        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.True(await RedeemAsync(Key));

        await _tokens.CreateAsync("other", TimeSpan.FromMinutes(1), alias: null, CancellationToken.None);
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Null(await _tokens.FindAsync("other", CancellationToken.None));
    }

    [Fact]
    public async Task A_used_token_is_pruned_after_its_moment_and_can_be_made_anew_before_that()
    {
        await CreateAsync();
        Assert.Null(await _tokens.CreateAsync("token", TimeSpan.FromMinutes(1), alias: null, CancellationToken.None));
        Assert.True(await RedeemAsync(Key));
        await CreateAsync();
        Assert.False((await FindAsync())!.WasUsed);
        Assert.True(await RedeemAsync(OtherKey));
        Assert.False(await RedeemAsync(Key));

        await _store.PruneAsync(_time.GetUtcNow(), CancellationToken.None);
        Assert.NotNull(await FindAsync());
        _time.Advance(JoinTokens.AnswerAgain);
        await _store.PruneAsync(_time.GetUtcNow(), CancellationToken.None);
        Assert.Equal(0L, await _database.RunAsync((connection, transaction) => connection.Query(transaction, "SELECT COUNT(*) FROM join_tokens", row => row.GetInt64(0))[0], CancellationToken.None));
    }

    private async Task CreateAsync() => Assert.NotNull(await _tokens.CreateAsync("token", TimeSpan.FromMinutes(1), alias: null, CancellationToken.None));

    private Task<IssuedJoinToken?> FindAsync() => _tokens.FindAsync("token", CancellationToken.None);

    private Task<bool> RedeemAsync(ReadOnlyMemory<byte> key)
    {
        var id = ReservedIds.Agent(Domain, JoinTokens.Attestor, "token");
        var agent = new AttestedAgent(id, JoinTokens.Attestor, [], "aa", null, _time.GetUtcNow().AddHours(1), _time.GetUtcNow(), Banned: false);
        return _tokens.RedeemAsync(new IssuedJoinToken("token", id, null, _time.GetUtcNow()), agent, key);
    }
}
