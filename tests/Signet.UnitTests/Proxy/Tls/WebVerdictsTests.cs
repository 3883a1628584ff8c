using Signet.Identity.X509;
using Signet.Policy;
using Signet.Policy.Objects;
using Signet.Proxy;
using Signet.Proxy.Tls;
using Signet.Proxy.Tls.Web;
using Signet.Testing.X509;

namespace Signet.UnitTests.Proxy.Tls;

public sealed class WebVerdictsTests
{
    private static readonly DateTimeOffset Now = CertificateForge.Now;
    private static readonly ForgedCertificate Authority = CertificateForge.Authority("CN=authority").SignSelf();

    [Fact]
    public void Believes_a_server_by_the_name_that_matched_and_no_longer_than_its_certificate()
    {
        var leaf = CertificateForge.Server("a.example", "b.example").Sign(Authority);
        var verdicts = New();
        var judgement = Judge(verdicts, leaf, "other.example", "b.example");
        Assert.Equal((null, "b.example", leaf.Certificate.NotAfter), (judgement.Peer!.Id, judgement.Peer.Host, judgement.Peer.ExpiresAt));
        Assert.Equal("b.example", judgement.Peer.Name);
        Assert.Equal(RefusalReason.PeerCertificateExpired, Judge(verdicts, leaf, Now.AddDays(31), "b.example").Reason);
        Assert.Equal(RefusalReason.PeerCertificateNotYetValid, Judge(verdicts, leaf, Now.AddDays(-2), "b.example").Reason);
    }

    [Fact]
    public void Compares_names_anew_for_a_chain_that_it_knows()
    {
        var leaf = CertificateForge.Server("a.example").Sign(Authority);
        var verdicts = New();
        Assert.NotNull(Judge(verdicts, leaf, "a.example").Peer);
        var other = Judge(verdicts, leaf, "b.example");
        Assert.Equal(RefusalReason.PeerIdentityUnexpected, other.Reason);
        Assert.Contains("a.example", other.Detail, StringComparison.Ordinal);
        Assert.Equal("a.example", Judge(verdicts, leaf, "a.example").Peer!.Host);
    }

    [Theory]
    [InlineData("dns:*.example.org", "www.example.org", true)]
    [InlineData("dns:*.example.org", "*.example.org", true)]
    [InlineData("dns:*.example.org", "a.b.example.org", false)]
    [InlineData("dns:*.example.org", "example.org", false)]
    [InlineData("dns:Shop.Example.org", "shop.example.org", true)]
    [InlineData("ip:10.0.0.1", "10.0.0.1", true)]
    [InlineData("ip:10.0.0.1", "10.0.0.2", false)]
    [InlineData("dns:10.0.0.1", "10.0.0.1", false)]
    [InlineData("uri:https://shop.example", "https://shop.example", true)]
    [InlineData("uri:https://shop.example", "shop.example", false)]
    public void A_name_must_be_carried_as_what_it_is(string carried, string expected, bool isBelieved)
    {
        var leaf = (CertificateForge.Server() with { Names = [carried] }).Sign(Authority);
        Assert.Equal(isBelieved, Judge(New(), leaf, expected).Peer is not null);
    }

    [Fact]
    public void Under_other_authorities_the_same_chain_is_refused()
    {
        var leaf = CertificateForge.Server("a.example").Sign(Authority);
        Assert.Equal(RefusalReason.PeerAuthorityUnknown, Judge(New(CertificateForge.Authority("CN=other").SignSelf()), leaf, "a.example").Reason);
    }

    [Fact]
    public void A_client_is_no_server()
    {
        var client = (CertificateForge.Server("a.example") with { Purposes = [CertificateForge.ClientAuth] }).Sign(Authority);
        Assert.Equal(RefusalReason.PeerCertificateInvalid, Judge(New(), client, "a.example").Reason);
    }

    [Fact]
    public void The_rules_of_the_public_web_hold_for_the_machines_authorities_only()
    {
        var careless = (CertificateForge.Server("a.example") with { HasIssuerKeyId = false }).Sign(Authority);
        Assert.NotNull(Judge(New(), careless, "a.example").Peer);
        Assert.Equal(RefusalReason.PeerCertificateInvalid, Judge(new WebVerdicts([Authority.Certificate], PathProfile.WebPki, []), careless, "a.example").Reason);
    }

    [Fact]
    public void Who_is_believed_unseen_has_no_name_and_still_shows_something()
    {
        var unseen = new WebVerdicts(null, PathProfile.WebPki, []);
        var peer = Judge(unseen, CertificateForge.Server("a.example").SignSelf(), Now.AddYears(10), "b.example").Peer!;
        Assert.Equal((null, null, DateTimeOffset.MaxValue), (peer.Id, peer.Host, peer.ExpiresAt));
        Assert.Equal(RefusalReason.PeerCertificateMissing, unseen.Judge([], ["b.example"], Now).Reason);
        Assert.Equal(RefusalReason.PeerCertificateInvalid, unseen.Judge([new byte[] { 1, 2, 3 }], ["b.example"], Now).Reason);
    }

    [Fact]
    public void A_rule_names_the_files_that_its_mode_uses()
    {
        var rule = new ClientTlsSettings { Line = 1, Mode = ClientTlsMode.Mutual, ClientCertificate = "/c", PrivateKey = "/k", CaCertificates = "/ca", CaCrl = "/crl" };
        Assert.Equal(["/c", "/k", "/ca", "/crl"], WebFiles.Of(rule).Paths(_ => false));
        Assert.Equal(["/ca", "/crl"], WebFiles.Of(rule with { Mode = ClientTlsMode.Simple }).Paths(_ => false));
        var simple = new ClientTlsSettings { Line = 1, Mode = ClientTlsMode.Simple };
        Assert.Equal(["/etc/ssl/cert.pem"], WebFiles.Of(simple).Paths(path => path == "/etc/ssl/cert.pem"));
        Assert.Single(WebFiles.Of(simple).Paths(_ => false));
        Assert.Empty(WebFiles.Of(simple with { InsecureSkipVerify = true }).Paths(_ => true));
        Assert.NotEqual(WebFiles.Of(simple), WebFiles.Of(simple with { InsecureSkipVerify = true }));
    }

    private static WebVerdicts New(ForgedCertificate? authority = null) => new([(authority ?? Authority).Certificate], PathProfile.Rfc5280, []);

    private static Judgement Judge(WebVerdicts verdicts, ForgedCertificate leaf, params string[] expected) => Judge(verdicts, leaf, Now, expected);

    private static Judgement Judge(WebVerdicts verdicts, ForgedCertificate leaf, DateTimeOffset now, params string[] expected) => verdicts.Judge([leaf.Certificate.Der], expected, now);
}
