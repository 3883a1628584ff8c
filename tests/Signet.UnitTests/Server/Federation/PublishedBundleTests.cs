using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Server.Federation;
using Signet.Server.Storage.Sqlite;
using Signet.Testing;

namespace Signet.UnitTests.Server.Federation;

/// <summary>What others get of the own trust domain (SPIFFE_Federation.md §4.1, SPIFFE_Trust_Domain_and_Bundle.md §4.1).</summary>
public sealed class PublishedBundleTests : IAsyncLifetime
{
    private static readonly AuthorityPlan Plan = new() { TrustDomain = TrustDomain.Parse("example.org") };

    private readonly TestFolder _folder = new();
    private readonly ManualTimeProvider _time = new();
    private SqliteDatabase _database = null!;
    private AuthorityRotation _authorities = null!;

    public async ValueTask InitializeAsync()
    {
        _database = SqliteDatabase.Open(_folder.File("test.db"), _time);
        _authorities = await AuthorityRotation.ResumeAsync(Plan, new MemoryKeyManager(), new SqliteAuthorityStore(_database), _time, CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await _database.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task B02_The_sequence_grows_with_every_change_of_keys_and_stays_otherwise()
    {
        using var published = Publish();
        var first = await published.CurrentAsync(CancellationToken.None);
        Assert.Equal(1ul, first.Sequence);
        Assert.Same(first, await published.CurrentAsync(CancellationToken.None));
        await TurnJwtAsync(RotationStep.Prepare);
        var second = await published.CurrentAsync(CancellationToken.None);
        Assert.Equal(2ul, second.Sequence);
        Assert.False(second.HasKeysOf(first));
    }

    [Fact]
    public async Task B02_The_sequence_goes_on_where_it_was_after_a_restart()
    {
        using (var before = Publish())
        {
            await before.CurrentAsync(CancellationToken.None);
            await TurnJwtAsync(RotationStep.Prepare);
            Assert.Equal(2ul, (await before.CurrentAsync(CancellationToken.None)).Sequence);
        }

        using var after = Publish();
        Assert.Equal(2ul, (await after.CurrentAsync(CancellationToken.None)).Sequence);
    }

    [Fact]
    public async Task B03_The_refresh_hint_is_the_one_of_the_configuration()
    {
        using var published = Publish();
        Assert.Equal(TimeSpan.FromMinutes(7), (await published.CurrentAsync(CancellationToken.None)).RefreshHint);
    }

    [Fact]
    public async Task F01_A_new_key_is_published_long_before_it_signs_and_F02_an_old_one_goes_once_nothing_it_signed_lives()
    {
        using var published = Publish();
        var old = _authorities.Current.Jwt.KeyId;
        await TurnJwtAsync(RotationStep.Prepare);
        var prepared = Assert.Single((await published.CurrentAsync(CancellationToken.None)).Jwt.Authorities, key => key.KeyId != old).KeyId;
        Assert.Equal(old, _authorities.Current.Jwt.KeyId);
        var preparedAt = _time.GetUtcNow();

        await TurnJwtAsync(RotationStep.Activate);
        Assert.Equal(prepared, _authorities.Current.Jwt.KeyId);
        Assert.True(_time.GetUtcNow() - preparedAt >= 5 * RefreshInterval.Default, "published five refreshes before its first use");
        Assert.Contains((await published.CurrentAsync(CancellationToken.None)).Jwt.Authorities, key => key.KeyId == old);

        _time.Advance(Plan.IssuingTtl);
        await _authorities.TurnJwtAsync(CancellationToken.None);
        Assert.DoesNotContain((await published.CurrentAsync(CancellationToken.None)).Jwt.Authorities, key => key.KeyId == old);
    }

    private PublishedBundle Publish() => new(_authorities, new SqliteFederationStore(_database), TimeSpan.FromMinutes(7));

    /// <summary>Lets time pass until the JWT keys have taken that step.</summary>
    private async Task TurnJwtAsync(RotationStep step)
    {
        for (var minutes = 0; (await _authorities.TurnJwtAsync(CancellationToken.None)).Step != step; minutes++)
        {
            Assert.True(minutes < 24 * 60, $"no {step} within a day");
            _time.Advance(TimeSpan.FromMinutes(1));
        }
    }
}
