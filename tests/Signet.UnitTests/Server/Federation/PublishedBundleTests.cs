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
    private readonly MemoryKeyManager _keys = new();
    private SqliteDatabase _database = null!;
    private AuthorityRotation _authorities = null!;

    public async ValueTask InitializeAsync()
    {
        _database = SqliteDatabase.Open(_folder.File("test.db"), _time);
        _authorities = await AuthorityRotation.ResumeAsync(Plan, _keys, new SqliteAuthorityStore(_database), _time, CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        _authorities.Dispose();
        await _database.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task B02_The_sequence_grows_with_every_change_of_keys_and_stays_otherwise()
    {
        var published = Publish();
        var first = published.Current;
        Assert.Equal(first.Sequence, published.Current.Sequence);
        await TurnJwtAsync(RotationStep.Prepare);
        var second = published.Current;
        Assert.Equal(first.Sequence + 1, second.Sequence);
        Assert.False(second.HasKeysOf(first));
    }

    [Fact]
    public async Task B02_The_sequence_goes_on_where_it_was_after_a_restart()
    {
        await TurnJwtAsync(RotationStep.Prepare);
        var before = Publish().Current.Sequence;
        _authorities.Dispose();
        _authorities = await AuthorityRotation.ResumeAsync(Plan, _keys, new SqliteAuthorityStore(_database), _time, CancellationToken.None);
        Assert.Equal(before, Publish().Current.Sequence);
    }

    [Fact]
    public void B03_The_refresh_hint_is_the_one_of_the_configuration()
    {
        var published = Publish();
        Assert.Equal(TimeSpan.FromMinutes(7), published.Current.RefreshHint);
    }

    [Fact]
    public async Task F01_A_new_key_is_published_long_before_it_signs_and_F02_an_old_one_goes_once_nothing_it_signed_lives()
    {
        var published = Publish();
        var old = _authorities.Current.Jwt.KeyId;
        await TurnJwtAsync(RotationStep.Prepare);
        var prepared = Assert.Single(published.Current.Jwt.Authorities, key => key.KeyId != old).KeyId;
        Assert.Equal(old, _authorities.Current.Jwt.KeyId);
        var preparedAt = _time.GetUtcNow();

        await TurnJwtAsync(RotationStep.Activate);
        Assert.Equal(prepared, _authorities.Current.Jwt.KeyId);
        Assert.True(_time.GetUtcNow() - preparedAt >= 5 * RefreshInterval.Default, "published five refreshes before its first use");
        Assert.Contains(published.Current.Jwt.Authorities, key => key.KeyId == old);

        _time.Advance(Plan.IssuingTtl);
        await _authorities.TurnAsync(AuthorityTier.Jwt, mayForget: true, CancellationToken.None);
        Assert.DoesNotContain(published.Current.Jwt.Authorities, key => key.KeyId == old);
    }

    private PublishedBundle Publish() => new(_authorities, TimeSpan.FromMinutes(7));

    /// <summary>Lets time pass until the JWT keys have taken that step.</summary>
    private async Task TurnJwtAsync(RotationStep step)
    {
        for (var minutes = 0; (await _authorities.TurnAsync(AuthorityTier.Jwt, mayForget: true, CancellationToken.None)).Step != step; minutes++)
        {
            Assert.True(minutes < 24 * 60, $"no {step} within a day");
            _time.Advance(TimeSpan.FromMinutes(1));
        }
    }
}
