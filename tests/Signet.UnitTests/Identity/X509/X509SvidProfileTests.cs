using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Testing.X509;

namespace Signet.UnitTests.Identity.X509;

/// <summary>X509-SVID.md, a clause a test, each on certificates that Signet did not write.</summary>
public sealed class X509SvidProfileTests
{
    private static readonly ForgedCertificate Root = (CertificateForge.Authority("CN=root") with { Names = ["uri:spiffe://example.org"] }).SignSelf();
    private static readonly CertificateForge Good = CertificateForge.Workload();

    [Fact]
    public void X01_Takes_exactly_one_URI_name_beside_names_of_other_kinds() => Holds(Good with { Names = ["dns:orders.example.org", "uri:spiffe://example.org/orders", "ip:10.0.0.1", "email:a@example.org"] });

    [Theory]
    [InlineData("uri:spiffe://example.org/orders", "uri:spiffe://example.org/payments")]
    [InlineData("uri:spiffe://example.org/orders", "uri:spiffe://example.org/orders")]
    [InlineData("uri:spiffe://example.org/orders", "uri:https://example.org/")]
    [InlineData("uri:https://example.org/", "uri:spiffe://example.org/orders")]
    public void X01_Refuses_a_second_URI_name_of_any_scheme(string first, string second) => Breaks(Good with { Names = [first, second] }, "2 URI names");

    [Fact]
    public void X01_Refuses_no_URI_name() => Breaks(Good with { Names = ["dns:orders.example.org"] }, "no URI name");

    [Fact]
    public void X02_Takes_an_empty_subject_when_the_names_are_critical() => Holds(Good with { Subject = "", AreNamesCritical = true });

    [Fact]
    public void X02_Refuses_an_empty_subject_when_the_names_are_not_critical() => Breaks(Good with { Subject = "" }, "must be critical");

    [Fact]
    public void X02_Refuses_a_leaf_with_the_ID_of_a_trust_domain() => Breaks(Good with { Names = ["uri:spiffe://example.org"] }, "has no path");

    [Fact]
    public void X03_Takes_an_authority_that_names_its_trust_domain_or_nothing()
    {
        HoldsAsAuthority(CertificateForge.Authority("CN=a") with { Names = ["uri:spiffe://example.org"] });
        HoldsAsAuthority(CertificateForge.Authority("CN=a"));
    }

    [Fact]
    public void X03_Refuses_an_authority_with_a_path_or_of_another_trust_domain()
    {
        BreaksAsAuthority(CertificateForge.Authority("CN=a") with { Names = ["uri:spiffe://example.org/ca"] }, "has a path");
        BreaksAsAuthority(CertificateForge.Authority("CN=a") with { Names = ["uri:spiffe://example.com"] }, "authority of the trust domain example.com, not of example.org");
    }

    [Fact]
    public void X03_Refuses_an_authority_that_authenticates() =>
        Assert.Equal(PeerProblem.NotAnSvid, SvidVerifier.Verify([Root.Certificate], Bundles(Root), CertificateUsage.Client, CertificateForge.Now).Problem);

    [Fact]
    public void X04_Takes_cA_true_above_and_cA_false_below()
    {
        Holds(Good);
        Holds(Good with { IsAuthority = null });
        HoldsAsAuthority(CertificateForge.Authority("CN=a") with { PathLength = 3 });
    }

    [Fact]
    public void X04_Refuses_a_leaf_that_is_an_authority_and_an_authority_that_is_none()
    {
        Breaks(Good with { IsAuthority = true }, "cA=true");
        BreaksAsAuthority(CertificateForge.Authority("CN=a") with { IsAuthority = false }, "cA=true is missing");
        BreaksAsAuthority(CertificateForge.Authority("CN=a") with { IsAuthority = null }, "cA=true is missing");
    }

    [Fact]
    public void X05_Takes_an_ID_inside_the_URI_constraints()
    {
        var issuing = (CertificateForge.Authority("CN=issuing") with { Permitted = ["uri:example.org"] }).Sign(Root);

        Assert.True(Verify(Good.Sign(issuing), issuing).IsTrusted);
    }

    [Fact]
    public void X05_Refuses_an_ID_outside_the_URI_constraints()
    {
        var issuing = (CertificateForge.Authority("CN=issuing") with { Permitted = ["uri:example.com"] }).Sign(Root);

        Assert.Equal(PeerProblem.NameConstraint, Verify(Good.Sign(issuing), issuing).Problem);
    }

    [Fact]
    public void X06_Refuses_an_SVID_whose_key_usage_is_missing_or_not_critical()
    {
        Breaks(Good with { Usage = null }, "no key usage");
        Breaks(Good with { IsUsageCritical = false }, "not critical");
        BreaksAsAuthority(CertificateForge.Authority("CN=a") with { Names = ["uri:spiffe://example.org"], Usage = null }, "no key usage");
        BreaksAsAuthority(CertificateForge.Authority("CN=a") with { Names = ["uri:spiffe://example.org"], IsUsageCritical = false }, "not critical");
    }

    [Fact]
    public void X06_Takes_a_root_that_is_no_SVID_without_critical_key_usage()
    {
        HoldsAsAuthority(CertificateForge.Authority("CN=a") with { Usage = null });
        HoldsAsAuthority(CertificateForge.Authority("CN=a") with { IsUsageCritical = false });
    }

    [Fact]
    public void X07_Takes_keyCertSign_with_and_without_cRLSign()
    {
        HoldsAsAuthority(CertificateForge.Authority("CN=a") with { Usage = KeyUsages.KeyCertSign });
        HoldsAsAuthority(CertificateForge.Authority("CN=a") with { Usage = KeyUsages.KeyCertSign | KeyUsages.CrlSign });
    }

    [Fact]
    public void X07_Refuses_an_authority_without_keyCertSign() =>
        BreaksAsAuthority(CertificateForge.Authority("CN=a") with { Usage = KeyUsages.CrlSign | KeyUsages.DigitalSignature }, "lacks keyCertSign");

    [Fact]
    public void X08_Takes_digitalSignature_with_encipherment_and_agreement() => Holds(Good with { Usage = KeyUsages.DigitalSignature | KeyUsages.KeyEncipherment | KeyUsages.KeyAgreement });

    [Theory]
    [InlineData(KeyUsages.KeyEncipherment, "lacks digitalSignature")]
    [InlineData(KeyUsages.DigitalSignature | KeyUsages.KeyCertSign, "has keyCertSign")]
    [InlineData(KeyUsages.DigitalSignature | KeyUsages.CrlSign, "has cRLSign")]
    public void X08_Refuses_a_leaf_that_cannot_sign_or_may_sign_certificates(KeyUsages usage, string why) => Breaks(Good with { Usage = usage }, why);

    [Fact]
    public void X09_Takes_both_purposes_more_or_no_extension()
    {
        Holds(Good with { Purposes = [CertificateForge.ServerAuth, CertificateForge.ClientAuth, CertificateForge.CodeSigning] });
        Holds(Good with { Purposes = null });
    }

    [Theory]
    [InlineData(CertificateForge.ServerAuth)]
    [InlineData(CertificateForge.ClientAuth)]
    [InlineData("2.5.29.37.0")]
    public void X09_Refuses_one_purpose_alone(string purpose) => Breaks(Good with { Purposes = [purpose] }, "extended key usage");

    [Fact]
    public void X10_Follows_RFC_5280_path_validation()
    {
        var issuing = (CertificateForge.Authority("CN=issuing") with { PathLength = 0 }).Sign(Root);
        var below = CertificateForge.Authority("CN=below").Sign(issuing);

        Assert.True(Verify(Good.Sign(issuing), issuing).IsTrusted);
        Assert.Equal(PeerProblem.BadAuthority, Verify(Good.Sign(below), below, issuing).Problem);
        Assert.Equal(PeerProblem.BadSignature, Verify(Good.Sign(issuing).Tampered(), issuing).Problem);
    }

    [Fact]
    public void X11_Checks_the_leaf_on_every_verification()
    {
        Assert.Equal(PeerProblem.NotAnSvid, Verify((Good with { IsAuthority = true }).Sign(Root)).Problem);
        Assert.Equal(PeerProblem.NotAnSvid, Verify((Good with { Usage = KeyUsages.DigitalSignature | KeyUsages.KeyCertSign }).Sign(Root)).Problem);
        Assert.Equal(PeerProblem.NotAnSvid, Verify((Good with { Usage = KeyUsages.DigitalSignature | KeyUsages.CrlSign }).Sign(Root)).Problem);
        Assert.True(Verify(Good.Sign(Root)).IsTrusted);
    }

    [Theory]
    [InlineData("uri:https://example.org/orders")]
    [InlineData("uri:spiffe://example.org")]
    [InlineData("uri:spiffe://example.org/")]
    [InlineData("uri:spiffe://Example.org/orders")]
    [InlineData("uri:spiffe://example.org/orders?x")]
    public void X12_Refuses_a_peer_without_a_sound_SPIFFE_ID_with_a_path(string name)
    {
        var verdict = Verify((Good with { Names = [name] }).Sign(Root));

        Assert.Equal(PeerProblem.NotAnSvid, verdict.Problem);
        Assert.Null(verdict.Id);
    }

    [Fact]
    public void Finds_every_broken_rule_for_people()
    {
        var certificate = (Good with { Names = ["uri:spiffe://example.org"], Usage = KeyUsages.KeyCertSign, IsUsageCritical = false, Purposes = [CertificateForge.ServerAuth] }).Sign(Root).Certificate;

        Assert.Equal(5, X509SvidProfile.FindProblems(certificate).Count);
        Assert.Empty(X509SvidProfile.FindProblems(Good.Sign(Root).Certificate));
        Assert.Empty(X509SvidProfile.FindProblems(Root.Certificate));
    }

    private static void Holds(CertificateForge forge)
    {
        Assert.True(X509SvidProfile.TryCheckLeaf(forge.Sign(Root).Certificate, out var id, out var problem), problem);
        Assert.Equal("spiffe://example.org/orders", id.Uri);
        Assert.True(Verify(forge.Sign(Root)).IsTrusted);
    }

    private static void Breaks(CertificateForge forge, string why)
    {
        Assert.False(X509SvidProfile.TryCheckLeaf(forge.Sign(Root).Certificate, out var id, out var problem));
        Assert.Null(id);
        Assert.Contains(why, problem);
        Assert.Equal(PeerProblem.NotAnSvid, Verify(forge.Sign(Root)).Problem);
    }

    private static void HoldsAsAuthority(CertificateForge forge)
    {
        Assert.True(X509SvidProfile.TryCheckAuthority(forge.SignSelf().Certificate, TrustDomain.Parse("example.org"), out var problem), problem);
        var root = forge.SignSelf();
        Assert.True(SvidVerifier.Verify([Good.Sign(root).Certificate], Bundles(root), CertificateUsage.Server, CertificateForge.Now).IsTrusted);
    }

    private static void BreaksAsAuthority(CertificateForge forge, string why)
    {
        Assert.False(X509SvidProfile.TryCheckAuthority(forge.SignSelf().Certificate, TrustDomain.Parse("example.org"), out var problem));
        Assert.Contains(why, problem);
        var root = forge.SignSelf();
        Assert.Equal(PeerProblem.BadAuthority, SvidVerifier.Verify([Good.Sign(root).Certificate], Bundles(root), CertificateUsage.Server, CertificateForge.Now).Problem);
    }

    private static PeerVerdict Verify(params ForgedCertificate[] presented) =>
        SvidVerifier.Verify([.. presented.Select(c => c.Certificate)], Bundles(Root), CertificateUsage.Client, CertificateForge.Now);

    private static TrustBundles Bundles(ForgedCertificate root) => TrustBundles.Of(X509Bundle.Create(TrustDomain.Parse("example.org"), [root.Certificate]));
}
