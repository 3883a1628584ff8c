using System.Security.Cryptography;
using Signet.Authority.Issuance;
using Signet.Authority.Keys;
using Signet.Authority.Revocation;
using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using Signet.Testing;

namespace Signet.UnitTests.Authority;

/// <summary>Certificates that are revoked one by one, on lists and in answers.</summary>
public sealed class RevocationTests : IAsyncLifetime
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");

    private readonly ManualTimeProvider _time = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly MemoryKeyManager _keys = new();
    private readonly MemoryJournal _journal = new();
    private AuthorityRotation _authorities = null!;
    private OcspResponder _responder = null!;

    public async ValueTask InitializeAsync()
    {
        _authorities = await AuthorityRotation.ResumeAsync(new AuthorityPlan { TrustDomain = Domain }, _keys, _journal, _time, CancellationToken.None);
        _responder = new OcspResponder(_authorities, _keys, _time);
    }

    public ValueTask DisposeAsync()
    {
        _authorities.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_revoked_certificate_is_believed_by_nobody_and_others_of_its_authority_are()
    {
        var (gone, other, sequence) = (await IssueAsync("/gone"), await IssueAsync("/other"), _authorities.Current.Bundle.Sequence);
        var revoked = Assert.Single(await RevokeAsync(gone));
        Assert.Equal((gone.Leaf.SerialHex, gone.SpiffeId.Uri, RevocationReason.KeyCompromise, "somebody", _time.GetUtcNow()), (revoked.Serial, revoked.SpiffeId, revoked.Reason, revoked.By, revoked.At));
        Assert.False(Believed(gone));
        Assert.True(Believed(other));
        Assert.True(_authorities.Current.Bundle.Sequence > sequence, "everybody is told");
        Assert.Empty(await RevokeAsync(gone));
        Assert.Equal(_journal.Ledger.RevokedCertificates.Keys, [gone.Leaf.SerialHex]);
    }

    [Fact]
    public async Task Each_authority_has_a_list_then_for_readers_that_demand_one()
    {
        Assert.Empty(_authorities.Current.Crls);
        await RevokeAsync(await IssueAsync("/gone"));
        Assert.Equal(
            [_authorities.Current.Ledger.ActiveAnchor.Certificate.Subject, _authorities.Current.Issuing.Certificate.Subject],
            _authorities.Current.Crls.Select(list => list.IssuerName.ToString()));
        Assert.All(_authorities.Current.Crls, list => Assert.True(list.NextUpdate >= _authorities.Current.Issuing.Certificate.NotAfter));
    }

    [Fact]
    public async Task It_stays_revoked_over_a_restart_and_goes_with_its_authority()
    {
        var gone = await IssueAsync("/gone");
        await RevokeAsync(gone);
        using var resumed = await AuthorityRotation.ResumeAsync(new AuthorityPlan { TrustDomain = Domain }, _keys, _journal, _time, CancellationToken.None);
        Assert.Contains(gone.Leaf.SerialHex, resumed.Current.Ledger.RevokedCertificates.Keys);
        _time.Advance(TimeSpan.FromHours(21));
        await resumed.TurnAsync(AuthorityTier.Issuing, mayForget: true, CancellationToken.None);
        await resumed.TurnAsync(AuthorityTier.Issuing, mayForget: true, CancellationToken.None);
        _time.Advance(TimeSpan.FromHours(4));
        await resumed.TurnAsync(AuthorityTier.Issuing, mayForget: true, CancellationToken.None);
        Assert.Empty(resumed.Current.Ledger.RevokedCertificates);
        Assert.Empty(resumed.Current.Crls);
    }

    [Fact]
    public async Task What_an_authority_signed_that_is_gone_or_revoked_or_without_its_key_is_not_revoked_one_by_one()
    {
        var svid = await IssueAsync("/web");
        var live = Live(svid);
        Assert.Contains("revoked or gone", (await RefusedAsync(live with { AuthorityId = "abc" })).Message, StringComparison.Ordinal);
        await _keys.DeleteAsync(_journal.Records.OfType<X509AuthorityRecord>().Single(one => one.Id == live.AuthorityId).KeyName, CancellationToken.None);
        Assert.Contains("is not here", (await RefusedAsync(live)).Message, StringComparison.Ordinal);
        Assert.Empty(_journal.Ledger.RevokedCertificates);
    }

    [Fact]
    public async Task An_authority_of_a_server_below_is_revoked_by_the_anchor_that_signed_it()
    {
        using var key = KeyPair.Generate(KeyType.EcP256);
        using var leafKey = KeyPair.Generate(KeyType.EcP256);
        var below = await new DownstreamIssuer(new AuthorityPlan { TrustDomain = Domain }, _authorities, _keys, _journal, _time)
            .IssueAsync(KeyPair.ExportPublicKey(key), TimeSpan.FromHours(10), "somebody", CancellationToken.None);
        var leaf = CertificateTemplate.Leaf(SpiffeId.Of(Domain, "/web"), KeyPair.ExportPublicKey(leafKey), _time.GetUtcNow().AddSeconds(-5), _time.GetUtcNow().AddHours(1)).Sign(below, key);
        var own = await IssueAsync("/own");
        bool IsBelieved() => SvidVerifier.Verify([leaf, below], _authorities.Current.Trust, CertificateUsage.Server, _time.GetUtcNow()).IsTrusted;
        Assert.True(IsBelieved());
        var issued = _journal.Issued.Single(one => one.Certificate.Equals(below));
        await _authorities.RevokeAsync([new LiveCertificate(below.SerialHex, issued.SpiffeId, issued.AuthorityId, below.NotAfter)], RevocationReason.CessationOfOperation, "somebody", CancellationToken.None);
        Assert.False(IsBelieved());
        Assert.True(Believed(own));
    }

    [Fact]
    public async Task There_is_a_limit_to_revoking_one_by_one_and_the_refusal_says_what_to_do_instead()
    {
        var issuing = _authorities.Current.Issuing.Id;
        LiveCertificate[] many = [.. Enumerable.Range(0, AuthorityLedger.MaxRevokedCertificates + 1).Select(i => new LiveCertificate($"{i + 0x4000_0000:x}", "spiffe://example.org/web", issuing, _time.GetUtcNow().AddHours(1)))];
        Assert.Contains("signet authority prepare", (await RefusedAsync(many)).Message, StringComparison.Ordinal);
        Assert.Equal(AuthorityLedger.MaxRevokedCertificates, (await _authorities.RevokeAsync(many[1..], RevocationReason.Superseded, "somebody", CancellationToken.None)).Count);
        Assert.Contains("the limit is", (await RefusedAsync(many[0])).Message, StringComparison.Ordinal);

        // What has ended makes room.
        _time.Advance(TimeSpan.FromHours(26));
        Assert.Single(await _authorities.RevokeAsync([many[0] with { NotAfter = _time.GetUtcNow().AddHours(1) }], RevocationReason.Superseded, "somebody", CancellationToken.None));
        Assert.Single(_journal.Ledger.RevokedCertificates);
    }

    [Theory]
    [InlineData("SHA1")]
    [InlineData("SHA256")]
    public async Task A_question_is_answered_good_or_revoked_with_reason_and_time_signed_by_the_issuer_itself(string hash)
    {
        var (svid, issuer) = (await IssueAsync("/web"), _authorities.Current.Issuing.Certificate);
        var request = OcspRequest.Encode(OcspCertificateId.Of(issuer, svid.Leaf.SerialHex, new HashAlgorithmName(hash)));
        var good = await AnswerAsync(request);
        Assert.True(good.IsSignedBy(issuer));
        Assert.IsType<OcspStatus.Good>(good.Answers[0].Status);
        Assert.True(good.Answers[0].IsCurrent(_time.GetUtcNow()));
        Assert.Equal(_time.GetUtcNow() + OcspResponder.Window, good.Answers[0].NextUpdate);

        var at = _time.GetUtcNow();
        await RevokeAsync(svid);
        _time.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal(new OcspStatus.Revoked(at, RevocationReason.KeyCompromise), (await AnswerAsync(request)).Answers[0].Status);
    }

    [Fact]
    public async Task An_issuing_authority_is_answered_for_by_its_anchor()
    {
        var (anchor, first) = (_authorities.Current.Ledger.ActiveAnchor.Certificate, _authorities.Current.Issuing.Certificate);
        var request = OcspRequest.Encode(OcspCertificateId.Of(anchor, first.SerialHex, HashAlgorithmName.SHA1));
        Assert.IsType<OcspStatus.Good>((await AnswerAsync(request)).Answers[0].Status);
        await RevokeIssuingAsync();
        var answer = await AnswerAsync(request);
        Assert.IsType<OcspStatus.Revoked>(answer.Answers[0].Status);
        Assert.True(answer.IsSignedBy(anchor));
    }

    [Fact]
    public async Task Of_strangers_of_several_issuers_and_of_a_revoked_authority_nothing_is_said()
    {
        var (snapshot, svid) = (_authorities.Current, await IssueAsync("/web"));
        var own = OcspCertificateId.Of(snapshot.Issuing.Certificate, svid.Leaf.SerialHex, HashAlgorithmName.SHA1);
        var above = OcspCertificateId.Of(snapshot.Bundle.Authorities[0], snapshot.Issuing.Id, HashAlgorithmName.SHA1);
        var stranger = OcspCertificateId.Of(new TestAuthority(_time.GetUtcNow()).Issuing, "4a", HashAlgorithmName.SHA1);
        foreach (var request in new[] { OcspRequest.Encode(stranger), OcspRequest.Encode(own, above), OcspRequest.Encode(own, stranger) })
        {
            Assert.Equal(OcspResponse.Refuse(OcspRefusal.Unauthorized), await _responder.AnswerAsync(request, CancellationToken.None));
        }

        Assert.Equal(OcspResponse.Refuse(OcspRefusal.MalformedRequest), await _responder.AnswerAsync(new byte[] { 1, 2, 3 }, CancellationToken.None));
        await RevokeIssuingAsync();
        Assert.Equal(OcspResponse.Refuse(OcspRefusal.Unauthorized), await _responder.AnswerAsync(OcspRequest.Encode(own), CancellationToken.None));
    }

    private async Task RevokeIssuingAsync()
    {
        var first = _authorities.Current.Issuing.Id;
        var next = await _authorities.PrepareAsync(AuthorityTier.Issuing, CancellationToken.None);
        await _authorities.ActivateAsync(AuthorityTier.Issuing, next.Id, CancellationToken.None);
        await _authorities.TaintAsync(AuthorityTier.Issuing, first, CancellationToken.None);
        await _authorities.RevokeAsync(AuthorityTier.Issuing, first, CancellationToken.None);
    }

    private async Task<OcspResponse> AnswerAsync(byte[] request) =>
        OcspResponse.TryParse(await _responder.AnswerAsync(request, CancellationToken.None), out var response, out var problem) ? response : throw new InvalidOperationException(problem);

    private Task<AuthorityException> RefusedAsync(params LiveCertificate[] certificates) =>
        Assert.ThrowsAsync<AuthorityException>(() => _authorities.RevokeAsync(certificates, RevocationReason.Superseded, "somebody", CancellationToken.None));

    private Task<IReadOnlyList<RevokedCertificate>> RevokeAsync(IssuedSvid svid) => _authorities.RevokeAsync([Live(svid)], RevocationReason.KeyCompromise, "somebody", CancellationToken.None);

    private LiveCertificate Live(IssuedSvid svid) => new(svid.Leaf.SerialHex, svid.SpiffeId.Uri, svid.Chain[1].SerialHex, svid.Leaf.NotAfter);

    private bool Believed(IssuedSvid svid) => SvidVerifier.Verify(svid.Chain, _authorities.Current.Trust, CertificateUsage.Server, _time.GetUtcNow()).IsTrusted;

    private async Task<IssuedSvid> IssueAsync(string path)
    {
        using var key = KeyPair.Generate(KeyType.EcP256);
        var request = new SvidRequest(SpiffeId.Of(Domain, path), KeyPair.ExportPublicKey(key), TimeSpan.FromHours(1), [], "somebody");
        return Assert.Single(await new SvidIssuer(_authorities, _journal, _time).IssueAsync([request], CancellationToken.None));
    }
}
