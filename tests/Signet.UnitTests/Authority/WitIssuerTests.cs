using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Testing;

namespace Signet.UnitTests.Authority;

/// <summary>WIT-SVIDs at the authority: only where they are wanted, under keys that rotate by the rule of all authorities.</summary>
public sealed class WitIssuerTests
{
    private static readonly SpiffeId Web = SpiffeId.Parse("spiffe://example.org/web");
    private static readonly AuthorityPlan Plan = new() { TrustDomain = TrustDomain.Parse("example.org"), SignsWit = true };

    private readonly ManualTimeProvider _time = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly MemoryKeyManager _keys = new();
    private readonly MemoryJournal _journal = new();

    [Fact]
    public async Task By_default_there_is_no_key_and_nothing_is_signed()
    {
        using var rotation = await ResumeAsync(Plan with { SignsWit = false });
        Assert.Null(rotation.Current.Wit);
        Assert.Empty(rotation.Current.WitBundle.Authorities);
        Assert.Equal(RotationStep.Wait, (await rotation.TurnAsync(AuthorityTier.Wit, mayForget: true, CancellationToken.None)).Step);
        Assert.Contains("features: [wit]", Assert.Throws<IssuanceException>(() => Issue(rotation)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_lives_no_longer_than_the_key_that_signed_it()
    {
        using var rotation = await ResumeAsync();
        Assert.Equal(_time.GetUtcNow().AddHours(1), Issue(rotation).ExpiresAt);
        _time.Advance(TimeSpan.FromHours(23.5));
        Assert.Equal(rotation.Current.Wit!.Validity.NotAfter, Issue(rotation).ExpiresAt);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Contains("is valid from", Assert.Throws<IssuanceException>(() => Issue(rotation)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_rotate_by_the_rule_and_what_the_old_one_signed_is_believed_until_it_expires()
    {
        using var rotation = await ResumeAsync();
        var (first, token) = (rotation.Current.Wit!.KeyId, Issue(rotation));
        _time.Advance(TimeSpan.FromHours(12));
        Assert.Equal(RotationStep.Prepare, (await TurnAsync()).Step);
        Assert.Equal(2, rotation.Current.WitBundle.Authorities.Count);
        Assert.Equal(first, rotation.Current.Wit.KeyId);
        _time.Advance(TimeSpan.FromHours(8));
        Assert.Equal(RotationStep.Activate, (await TurnAsync()).Step);
        Assert.NotEqual(first, rotation.Current.Wit.KeyId);
        Assert.Contains("expired", WitSvid.Verify(token.Token, _ => rotation.Current.WitBundle, _time.GetUtcNow()).Reason, StringComparison.Ordinal);
        Assert.Contains(first, rotation.Current.WitBundle.Authorities.Select(key => key.KeyId));

        Task<RotationTurn> TurnAsync() => rotation.TurnAsync(AuthorityTier.Wit, mayForget: true, CancellationToken.None);
    }

    [Fact]
    public async Task No_key_signs_both_kinds_of_tokens()
    {
        using var rotation = await ResumeAsync();
        Assert.NotEqual(KeyPair.ExportPublicKey(rotation.Current.Jwt.Key), KeyPair.ExportPublicKey(rotation.Current.Wit!.Key));
        Assert.Empty(rotation.Current.JwtBundle.Authorities.Select(key => key.KeyId).Intersect(rotation.Current.WitBundle.Authorities.Select(key => key.KeyId)));
    }

    [Fact]
    public async Task A_tainted_key_is_superseded_and_a_revoked_one_is_believed_no_more()
    {
        using var rotation = await ResumeAsync();
        var (first, token) = (rotation.Current.Wit!.KeyId, Issue(rotation));
        var next = await rotation.PrepareAsync(AuthorityTier.Wit, CancellationToken.None);
        await rotation.ActivateAsync(AuthorityTier.Wit, next.Id, CancellationToken.None);
        await rotation.TaintAsync(AuthorityTier.Wit, first, CancellationToken.None);
        Assert.Contains(first, rotation.Current.Superseded);
        Assert.True(WitSvid.Verify(token.Token, _ => rotation.Current.WitBundle, _time.GetUtcNow()).IsTrusted);
        await rotation.RevokeAsync(AuthorityTier.Wit, first, CancellationToken.None);
        Assert.False(WitSvid.Verify(token.Token, _ => rotation.Current.WitBundle, _time.GetUtcNow()).IsTrusted);
    }

    [Fact]
    public async Task A_key_that_is_there_stays_across_a_restart()
    {
        using var before = await ResumeAsync();
        using var after = await ResumeAsync();
        Assert.Equal(before.Current.WitBundle, after.Current.WitBundle);
        Assert.Equal(before.Current.Wit!.KeyId, after.Current.Wit!.KeyId);
    }

    [Fact]
    public async Task A_workloads_key_that_signs_no_tokens_is_refused()
    {
        using var rotation = await ResumeAsync();
        using var key = KeyPair.Generate(KeyType.Ed25519);
        Assert.Throws<ArgumentException>(() => new WitIssuer(rotation, _time).Issue(Web, KeyPair.ExportPublicKey(key), TimeSpan.FromHours(1)));
        Assert.Throws<ArgumentException>(() => new WitIssuer(rotation, _time).Issue(Web, new byte[] { 1 }, TimeSpan.FromHours(1)));
    }

    private IssuedWit Issue(AuthorityRotation rotation)
    {
        using var key = KeyPair.Generate(KeyType.EcP256);
        return new WitIssuer(rotation, _time).Issue(Web, KeyPair.ExportPublicKey(key), TimeSpan.FromHours(1));
    }

    private Task<AuthorityRotation> ResumeAsync(AuthorityPlan? plan = null) => AuthorityRotation.ResumeAsync(plan ?? Plan, _keys, _journal, _time, CancellationToken.None);
}
