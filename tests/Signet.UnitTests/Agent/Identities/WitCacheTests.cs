using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.Identities;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Identities;

public sealed class WitCacheTests : IDisposable
{
    private static readonly RegistrationEntry Web = Entry("web");
    private static readonly RegistrationEntry Api = Entry("api");

    private readonly ManualTimeProvider _time = new();
    private readonly HashSet<string> _superseded = [];
    private readonly HashSet<string> _refused = [];
    private readonly WitCache _cache;
    private int _asked;
    private int _signed;
    private bool _isDown;

    public WitCacheTests() => _cache = new WitCache(
        (entries, _) => ++_asked > 0 && _isDown
            ? Task.FromException<IReadOnlyList<HeldWit>>(new RpcException(new Status(StatusCode.Unavailable, "down")))
            : Task.FromResult<IReadOnlyList<HeldWit>>([.. entries.Where(entry => !_refused.Contains(entry.Id)).Select(entry =>
                new HeldWit(entry, $"{entry.Id} {++_signed}", "{}", $"key {_signed}", _time.GetUtcNow(), _time.GetUtcNow().AddMinutes(10)))]),
        () => _superseded,
        _time,
        NullLogger<WitCache>.Instance);

    public void Dispose() => _cache.Dispose();

    [Fact]
    public async Task One_serves_until_half_of_its_life_and_says_when_that_is()
    {
        var (svids, lookAgainAt) = await _cache.GetAsync([Web], CancellationToken.None);
        Assert.Equal(("web 1", _time.GetUtcNow().AddMinutes(5)), (svids[0].Token, lookAgainAt));
        _time.Advance(TimeSpan.FromSeconds(299));
        Assert.Equal("web 1", await TokensAsync(Web));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("web 2", await TokensAsync(Web));
    }

    [Fact]
    public async Task Only_what_is_due_is_asked_for()
    {
        Assert.Equal("web 1", await TokensAsync(Web));
        Assert.Equal("web 1, api 2", await TokensAsync(Web, Api));
    }

    [Fact]
    public async Task While_nothing_can_be_signed_the_last_one_serves_until_it_expires_and_the_server_is_asked_again_soon()
    {
        await TokensAsync(Web);
        _isDown = true;
        _time.Advance(TimeSpan.FromMinutes(9));
        var (svids, lookAgainAt) = await _cache.GetAsync([Web], CancellationToken.None);
        Assert.Equal(("web 1", _time.GetUtcNow().AddSeconds(5)), (svids[0].Token, lookAgainAt));
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => TokensAsync(Web))).StatusCode);
    }

    [Fact]
    public async Task One_of_a_superseded_key_or_of_an_entry_that_has_changed_is_replaced_at_once()
    {
        await TokensAsync(Web);
        _superseded.Add("key 1");
        Assert.Equal("web 2", await TokensAsync(Web));
        Assert.Equal("web 3", await TokensAsync(Web with { Revision = 2 }));
    }

    [Fact]
    public async Task What_the_server_refuses_is_missing_and_the_rest_is_not()
    {
        _refused.Add("api");
        Assert.Equal("web 1", await TokensAsync(Web, Api));
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => TokensAsync(Api))).StatusCode);
    }

    [Fact]
    public async Task Many_that_ask_at_once_cost_one_signature()
    {
        Assert.All(await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => Task.Run(() => TokensAsync(Web)))), token => Assert.Equal("web 1", token));
        Assert.Equal(1, _asked);
    }

    [Fact]
    public async Task A_server_that_did_not_answer_is_asked_again_after_a_while_and_not_by_each_that_waits()
    {
        _isDown = true;
        for (var i = 0; i < 10; i++)
        {
            await Assert.ThrowsAsync<RpcException>(() => TokensAsync(Web));
        }

        Assert.Equal(1, _asked);
        _isDown = false;
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal("web 1", await TokensAsync(Web));
    }

    [Fact]
    public async Task Neither_token_nor_key_is_in_its_text()
    {
        var (svids, _) = await _cache.GetAsync([Web], CancellationToken.None);
        Assert.StartsWith("WIT-SVID of spiffe://example.org/web until", svids[0].ToString(), StringComparison.Ordinal);
    }

    private async Task<string> TokensAsync(params RegistrationEntry[] entries) => string.Join(", ", (await _cache.GetAsync(entries, CancellationToken.None)).Svids.Select(one => one.Token));

    private static RegistrationEntry Entry(string name) => new()
    {
        Id = name,
        SpiffeId = SpiffeId.Parse($"spiffe://example.org/{name}"),
        ParentId = SpiffeId.Parse("spiffe://example.org/agent"),
        Selectors = [new Selector("unix", "uid:1")],
        Revision = 1,
    };
}
