using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using Signet.Testing.X509;

namespace Signet.UnitTests.Identity.X509;

public sealed class SvidVerifierTests
{
    [Fact]
    public void What_the_bundles_say_is_revoked_is_refused_and_nothing_else()
    {
        var now = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
        using var anchorKey = KeyPair.Generate(KeyType.EcP256);
        var domain = TrustDomain.Parse("example.org");
        var anchor = CertificateTemplate.Authority(domain, KeyPair.ExportPublicKey(anchorKey), now.AddDays(-1), now.AddDays(9), "anchor").SignSelf(anchorKey);
        var (bad, badSvid) = Below("bad");
        var (_, goodSvid) = Below("good");
        var list = CertificateRevocationList.Sign(anchor, anchorKey, now.AddSeconds(-10), now.AddDays(2), 7, [bad]);
        Assert.True(list.IsSignedBy(anchor));
        Assert.Equal("07", list.NumberHex);
        var bundles = TrustBundles.Of(X509Bundle.Create(domain, [anchor])).WithCrls([list]);

        Assert.Equal(PeerProblem.Revoked, SvidVerifier.Verify(badSvid, bundles, CertificateUsage.Server, now).Problem);
        Assert.True(SvidVerifier.Verify(goodSvid, bundles, CertificateUsage.Server, now).IsTrusted);
        Assert.True(SvidVerifier.Verify(badSvid, bundles.WithCrls([]), CertificateUsage.Server, now).IsTrusted);
        Assert.NotEqual(bundles, bundles.WithCrls([]));
        Assert.Equal(bundles, bundles.With(X509Bundle.Create(domain, [anchor])));

        (Certificate Issuing, Certificate[] Chain) Below(string name)
        {
            using var key = KeyPair.Generate(KeyType.EcP256);
            var issuing = CertificateTemplate.Authority(domain, KeyPair.ExportPublicKey(key), now.AddHours(-1), now.AddDays(1), name, 0).Sign(anchor, anchorKey);
            var leaf = CertificateTemplate.Leaf(SpiffeId.Of(domain, "/web"), KeyPair.ExportPublicKey(key), now.AddHours(-1), now.AddHours(1)).Sign(issuing, key);
            return (issuing, [leaf, issuing]);
        }
    }

    private static readonly DateTimeOffset Now = TestPki.Now;
    private readonly TestPki _pki = TestPki.Shared;

    private TrustBundles Bundles => TrustBundles.Of(_pki.Bundle);

    [Fact]
    public void Trusts_a_workload_of_a_known_trust_domain()
    {
        var verdict = SvidVerifier.Verify([_pki.Leaf, _pki.Issuing], Bundles, CertificateUsage.Client, Now);

        Assert.True(verdict.IsTrusted, verdict.Reason);
        Assert.Equal(PeerProblem.None, verdict.Problem);
        Assert.Equal(TestPki.Orders, verdict.Id);
        Assert.Equal(Now.AddHours(1), verdict.ExpiresAt);
        Assert.Equal([_pki.Leaf, _pki.Issuing, _pki.Root], verdict.Path);
        Assert.Equal("", verdict.Reason);
    }

    [Fact]
    public void Takes_what_follows_the_leaf_in_any_order() =>
        Assert.True(SvidVerifier.Verify([_pki.Leaf, _pki.Root, _pki.Issuing], Bundles, CertificateUsage.Server, Now).IsTrusted);

    [Fact]
    public void Names_the_problem_and_gives_no_ID_to_whom_it_does_not_trust()
    {
        using var strangerKey = KeyPair.Generate(KeyType.EcP256);
        var stranger = CertificateTemplate.Authority(TestPki.Domain, KeyPair.ExportPublicKey(strangerKey), Now.AddDays(-1), Now.AddDays(1), "issuing", 0).SignSelf(strangerKey);
        var foreign = _pki.LeafTemplate().Sign(stranger, strangerKey);
        var expired = (_pki.LeafTemplate() with { NotBefore = Now.AddHours(-2), NotAfter = Now.AddHours(-1) }).Sign(_pki.Issuing, _pki.IssuingKey);
        var early = (_pki.LeafTemplate() with { NotBefore = Now.AddHours(1), NotAfter = Now.AddHours(2) }).Sign(_pki.Issuing, _pki.IssuingKey);

        Refuses(PeerProblem.NoCertificate, "presented no certificate");
        Refuses(PeerProblem.UnknownAuthority, "not among the trusted authorities", foreign, stranger);
        Refuses(PeerProblem.UnknownAuthority, "not among the trusted authorities", _pki.Leaf);
        Refuses(PeerProblem.Expired, "expired at 2026-11-26T11:00:00Z; it is 2026-11-26T12:00:00Z", expired, _pki.Issuing);
        Refuses(PeerProblem.NotYetValid, "valid from 2026-11-26T13:00:00Z; it is 2026-11-26T12:00:00Z", early, _pki.Issuing);
        Refuses(PeerProblem.NotAnSvid, "is not an X509-SVID", _pki.Issuing, _pki.Root);
        Refuses(PeerProblem.TooComplex, "17 certificates; the limit is 16", [.. Enumerable.Repeat(_pki.Leaf, 17)]);
    }

    [Fact]
    public void Trusts_nobody_without_bundles() =>
        Assert.Equal(PeerProblem.UntrustedDomain, SvidVerifier.Verify([_pki.Leaf, _pki.Issuing], TrustBundles.Empty, CertificateUsage.Client, Now).Problem);

    [Fact]
    public void Gives_every_problem_of_a_path_a_name_of_its_own_kind()
    {
        var root = CertificateForge.Authority("CN=root").SignSelf();
        var weak = (CertificateForge.Authority("CN=weak") with { KeyName = "rsa1024" }).Sign(root);
        var narrow = (CertificateForge.Authority("CN=narrow") with { Purposes = [CertificateForge.ServerAuth] }).Sign(root);
        var odd = (CertificateForge.Authority("CN=odd") with { Extra = [CertificateForge.Unknown(true)] }).Sign(root);

        Assert.Equal(PeerProblem.WeakAlgorithm, Under(weak));
        Assert.Equal(PeerProblem.WrongPurpose, Under(narrow));
        Assert.Equal(PeerProblem.BadAuthority, Under(odd));

        PeerProblem Under(ForgedCertificate issuing) => SvidVerifier.Verify(
            [CertificateForge.Workload().Sign(issuing).Certificate, issuing.Certificate], TrustBundles.Of(X509Bundle.Create(TestPki.Domain, [root.Certificate])), CertificateUsage.Client, Now).Problem;
    }

    private void Refuses(PeerProblem problem, string why, params Certificate[] presented)
    {
        var verdict = SvidVerifier.Verify(presented, Bundles, CertificateUsage.Client, Now);

        Assert.False(verdict.IsTrusted);
        Assert.Equal(problem, verdict.Problem);
        Assert.Contains(why, verdict.Reason);
        Assert.Null(verdict.Id);
        Assert.Empty(verdict.Path);
        Assert.Equal(presented.FirstOrDefault(), verdict.Leaf);
    }
}
