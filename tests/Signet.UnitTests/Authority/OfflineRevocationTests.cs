using System.Security.Cryptography;
using Signet.Authority.Ceremony;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using Signet.Testing;

namespace Signet.UnitTests.Authority;

/// <summary>Revocation lists of an anchor whose key the server never sees.</summary>
public sealed class OfflineRevocationTests : IDisposable
{
    private static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly AuthorityPlan Plan = new() { TrustDomain = Domain, IsExternal = true };

    private readonly ManualTimeProvider _time = new(Start);
    private readonly MemoryKeyManager _keys = new();
    private readonly MemoryJournal _journal = new();
    private readonly AsymmetricAlgorithm _anchorKey = KeyPair.Generate(KeyType.EcP256);
    private readonly Certificate _anchor;

    public OfflineRevocationTests() => _anchor = OfflineRoot.MakeAnchor(Domain, new CertificateSubject(), _anchorKey, TimeSpan.FromDays(365), Start);

    public void Dispose() => _anchorKey.Dispose();

    [Fact]
    public async Task What_is_on_the_list_is_accepted_by_nobody_and_its_key_is_gone_after_a_restart_too()
    {
        var (first, second) = (Issue(), Issue());
        using var authorities = await ResumeAsync(first);
        var svid = (await new SvidIssuer(authorities, _journal, _time).IssueAsync([Request()], CancellationToken.None))[0];
        await authorities.InstallAsync(second, CancellationToken.None);
        var (keyName, sequence) = (authorities.Current.Ledger.Issuing.First().KeyName, authorities.Current.Bundle.Sequence);
        Assert.True(Holds(svid, authorities));

        var list = Sign(null, first.Certificate);
        Assert.Equal([first.Certificate.SerialHex], (await authorities.TakeListAsync(list, CancellationToken.None))!.Select(record => record.Id));
        Assert.False(Holds(svid, authorities));
        Assert.DoesNotContain(keyName, _keys.Names);
        Assert.True(authorities.Current.Bundle.Sequence > sequence);
        Assert.Null(await authorities.TakeListAsync(list, CancellationToken.None));

        using var again = await ResumeAsync(null);
        Assert.False(Holds(svid, again));
        var fresh = (await new SvidIssuer(again, _journal, _time).IssueAsync([Request()], CancellationToken.None))[0];
        Assert.True(Holds(fresh, again));
    }

    [Fact]
    public async Task A_list_that_can_not_be_taken_changes_nothing_and_says_what_to_do()
    {
        var (first, second, third) = (Issue(), Issue(), Issue());
        using var authorities = await ResumeAsync(first);
        await authorities.InstallAsync(second, CancellationToken.None);
        await authorities.InstallAsync(third, CancellationToken.None);
        using var strangerKey = KeyPair.Generate(KeyType.EcP256);
        var stranger = OfflineRoot.MakeAnchor(Domain, new CertificateSubject(), strangerKey, TimeSpan.FromDays(365), Start);
        await RefusedAsync("not signed by an anchor", CertificateRevocationList.Sign(stranger, strangerKey, Start, Start.AddDays(99), 1, [first.Certificate]));
        await RefusedAsync("not signed by an anchor", CertificateRevocationList.Sign(_anchor, strangerKey, Start, Start.AddDays(99), 1, [first.Certificate]));
        await RefusedAsync("which signs now", Sign(null, third.Certificate));
        await RefusedAsync("not a day after", CertificateRevocationList.Sign(_anchor, _anchorKey, Start, first.Certificate.NotAfter, 1, [first.Certificate]));
        await RefusedAsync("it begins at", CertificateRevocationList.Sign(_anchor, _anchorKey, Start.AddHours(1), Start.AddDays(99), 1, [first.Certificate]));
        await RefusedAsync("it ended at", CertificateRevocationList.Sign(_anchor, _anchorKey, Start.AddDays(-2), Start.AddDays(-1), 1, [first.Certificate]));

        var good = Sign(null, first.Certificate);
        await authorities.TakeListAsync(good, CancellationToken.None);
        await RefusedAsync("is not above", CertificateRevocationList.Sign(_anchor, _anchorKey, Start, Start.AddDays(99), 7, [first.Certificate, second.Certificate]));
        _time.Advance(TimeSpan.FromMinutes(1));
        await RefusedAsync("--previous", Sign(null, second.Certificate));
        Assert.Equal([second.Certificate.SerialHex], (await authorities.TakeListAsync(Sign(good, second.Certificate), CancellationToken.None))!.Select(record => record.Id));

        async Task RefusedAsync(string because, CertificateRevocationList list)
        {
            var before = authorities.Current;
            Assert.Contains(because, (await Assert.ThrowsAsync<AuthorityException>(() => authorities.TakeListAsync(list, CancellationToken.None))).Message, StringComparison.Ordinal);
            Assert.Same(before, authorities.Current);
        }
    }

    [Fact]
    public async Task The_server_can_not_revoke_by_itself_and_says_how_it_is_done()
    {
        using var authorities = await ResumeAsync(Issue());
        await authorities.InstallAsync(Issue(), CancellationToken.None);
        var old = authorities.Current.Ledger.Issuing.First();
        await authorities.TaintAsync(AuthorityTier.Issuing, old.Id, CancellationToken.None);
        var before = authorities.Current;
        Assert.Contains("signet ca revoke", (await Assert.ThrowsAsync<AuthorityException>(() => authorities.RevokeAsync(AuthorityTier.Issuing, old.Id, CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.Same(before, authorities.Current);
    }

    [Fact]
    public async Task The_list_is_gone_once_all_that_it_revoked_has_expired()
    {
        var first = Issue();
        using var authorities = await ResumeAsync(first);
        await authorities.InstallAsync(Issue(TimeSpan.FromDays(60)), CancellationToken.None);
        await authorities.TakeListAsync(Sign(null, first.Certificate), CancellationToken.None);
        Assert.Single(authorities.Current.Crls);
        _time.Advance(TimeSpan.FromDays(31));
        Assert.Equal(RotationStep.Forget, (await authorities.TurnAsync(AuthorityTier.Issuing, mayForget: true, CancellationToken.None)).Step);
        Assert.Empty(authorities.Current.Crls);
    }

    private static bool Holds(IssuedSvid svid, AuthorityRotation authorities) =>
        SvidVerifier.Verify(svid.Chain, authorities.Current.Trust, CertificateUsage.Server, Start.AddMinutes(2)).IsTrusted;

    private static SvidRequest Request() => new(SpiffeId.Parse("spiffe://example.org/web"), KeyPair.ExportPublicKey(KeyPair.Generate(KeyType.EcP256)), TimeSpan.FromHours(1), [], "a test");

    private CertificateRevocationList Sign(CertificateRevocationList? previous, params Certificate[] revoked) =>
        OfflineRoot.TryRevoke(_anchor, _anchorKey, revoked, previous, _time.GetUtcNow(), out var list, out var problem) ? list : throw new InvalidOperationException(problem);

    private ExternalIssuer Issue(TimeSpan? ttl = null)
    {
        var key = KeyPair.Generate(KeyType.EcP256);
        Assert.True(SigningRequest.TryParse(SigningRequest.Create(key), out var request, out var problem), problem);
        Assert.True(OfflineRoot.TrySign(_anchor, _anchorKey, request, new CertificateSubject(), ttl ?? TimeSpan.FromDays(30), Start, out var issuing, out problem), problem);
        return ExternalIssuer.TryCreate(Domain, [issuing], key, [_anchor], Start, out var issuer, out problem) ? issuer : throw new InvalidOperationException(problem);
    }

    private Task<AuthorityRotation> ResumeAsync(ExternalIssuer? external) => AuthorityRotation.ResumeAsync(Plan, _keys, _journal, _time, CancellationToken.None, external);
}
