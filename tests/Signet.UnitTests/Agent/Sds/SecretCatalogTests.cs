using System.Collections.Immutable;
using System.Security.Cryptography;
using Grpc.Core;
using Signet.Agent.Identities;
using Signet.Agent.Sds;
using Signet.Agent.WorkloadApi;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using Signet.Rpc.Wire.Envoy.Tls;
using Signet.Testing;

namespace Signet.UnitTests.Agent.Sds;

public sealed class SecretCatalogTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TestAuthority Own = new(Now);
    private static readonly TestAuthority Other = new(Now, "other.org");
    private static readonly TestAuthority Third = new(Now, "third.org");
    private static readonly RegistrationEntry Web = Entry("/web", Other.TrustDomain);
    private static readonly RegistrationEntry Api = Entry("/api");
    private static readonly HeldSvid WebSvid = Held(Web);
    private static readonly HeldSvid ApiSvid = Held(Api);

    [Fact]
    public void The_default_is_the_first_SVID_in_the_form_that_every_client_reads()
    {
        var secret = Secret("default");
        Assert.Equal("default", secret.Name);
        Assert.Equal(Pem.Encode(WebSvid.Svid.Chain), secret.TlsCertificate.CertificateChain.InlineBytes.ToStringUtf8());
        Assert.Contains("BEGIN PRIVATE KEY", secret.TlsCertificate.PrivateKey.InlineBytes.ToStringUtf8(), StringComparison.Ordinal);
        Assert.Null(secret.TlsCertificate.OcspStaple);
        Assert.Equal(Pem.Encode(ApiSvid.Svid.Chain), Secret("spiffe://example.org/api").TlsCertificate.CertificateChain.InlineBytes.ToStringUtf8());
    }

    [Fact]
    public void A_staple_goes_with_its_SVID_and_a_new_one_is_another_version()
    {
        Staple? staple = new(new byte[] { 1, 2 }, Now, Now.AddHours(1));
        var first = Assert.IsType<SecretAnswer.Found>(SecretCatalog.Find(Everything(), "default", SecretName.Of("default"), ValidatorStyle.Either, Now, svid => svid == WebSvid.Svid ? staple : null));
        Assert.Equal([1, 2], first.Make().TlsCertificate.OcspStaple.InlineBytes.ToByteArray());
        staple = staple with { ThisUpdate = Now.AddMinutes(30) };
        Assert.NotEqual(first.Version, Assert.IsType<SecretAnswer.Found>(SecretCatalog.Find(Everything(), "default", SecretName.Of("default"), ValidatorStyle.Either, Now, _ => staple)).Version);
        Assert.NotEqual(first.Version, Version("default"));
    }

    [Fact]
    public void The_name_of_somebody_else_is_refused_like_one_that_nobody_has()
    {
        var others = Assert.IsType<SecretAnswer.Missing>(Find("spiffe://example.org/billing", Everything() with { Svids = [WebSvid] }));
        var nobodys = Assert.IsType<SecretAnswer.Missing>(Find("spiffe://example.org/nobody", Everything() with { Svids = [WebSvid] }));
        Assert.Equal(others, nobodys);
        Assert.Equal(StatusCode.NotFound, others.Code);
        Assert.Equal(others, Find("third.org", Everything()));
        Assert.Equal(others, Find("nobody.org", Everything()));
        Assert.Equal(StatusCode.ResourceExhausted, Assert.IsType<SecretAnswer.Missing>(Find("file-root:/beyond/the/limit", Everything())).Code);
    }

    [Fact]
    public void What_is_still_being_signed_is_about_to_come()
    {
        var signing = Everything() with { Svids = [] };
        Assert.IsType<SecretAnswer.Pending>(Find("default", signing));
        Assert.IsType<SecretAnswer.Pending>(Find("spiffe://example.org/web", signing));
        Assert.IsType<SecretAnswer.Missing>(Find("spiffe://example.org/other", signing));
        Assert.IsType<SecretAnswer.Found>(Find("ROOTCA", signing));
    }

    [Fact]
    public void Bundles_come_as_a_list_or_for_the_SPIFFE_validator_as_the_client_takes_them()
    {
        Assert.Equal(Own.Bundle.ToPem(), Secret("ROOTCA").ValidationContext.TrustedCa.InlineBytes.ToStringUtf8());
        Assert.Equal(Own.Bundle.ToPem(), Secret("ROOTCA", ValidatorStyle.Plain).ValidationContext.TrustedCa.InlineBytes.ToStringUtf8());
        Assert.Equal(Other.Bundle.ToPem(), Secret("spiffe://other.org").ValidationContext.TrustedCa.InlineBytes.ToStringUtf8());

        var spiffe = Secret("ROOTCA", ValidatorStyle.Spiffe).ValidationContext;
        Assert.Null(spiffe.TrustedCa);
        Assert.Equal(ValidatorStyles.SpiffeValidator, spiffe.CustomValidatorConfig.Name);
        var domain = Assert.Single(spiffe.CustomValidatorConfig.TypedConfig.Unpack<SPIFFECertValidatorConfig>().TrustDomains);
        Assert.Equal(("example.org", Own.Bundle.ToPem()), (domain.Name, domain.TrustBundle.InlineBytes.ToStringUtf8()));
    }

    [Fact]
    public void ALL_never_lets_one_trust_domain_speak_for_another()
    {
        var domains = Secret("ALL").ValidationContext.CustomValidatorConfig.TypedConfig.Unpack<SPIFFECertValidatorConfig>().TrustDomains;
        Assert.Equal(["example.org", "other.org"], domains.Select(domain => domain.Name));
        var refused = Assert.IsType<SecretAnswer.Missing>(Find("ALL", Everything(), ValidatorStyle.Plain));
        Assert.Contains("would speak for every other", refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_version_is_the_contents_and_tells_nothing_of_it()
    {
        var first = Version("default");
        Assert.Equal(first, Version("default"));
        Assert.NotEqual(first, Assert.IsType<SecretAnswer.Found>(Find("default", Everything() with { Svids = [Held(Web)] })).Version);
        Assert.NotEqual(Version("ROOTCA"), Version("ROOTCA", ValidatorStyle.Spiffe));
        Assert.Matches("^[0-9a-f]{16}$", first);
    }

    [Fact]
    public void Lists_go_along_only_when_every_issuer_has_a_current_one()
    {
        var (anchorKey, issuingKey) = (KeyPair.Generate(KeyType.EcP256), KeyPair.Generate(KeyType.EcP256));
        var anchor = CertificateTemplate.Authority(Own.TrustDomain, KeyPair.ExportPublicKey(anchorKey), Now.AddDays(-9), Now.AddDays(9), "a").SignSelf(anchorKey);
        var issuing = CertificateTemplate.Authority(Own.TrustDomain, KeyPair.ExportPublicKey(issuingKey), Now.AddDays(-9), Now.AddDays(9), "i", pathLength: 0).Sign(anchor, anchorKey);
        var key = KeyPair.Generate(KeyType.EcP256);
        var leaf = CertificateTemplate.Leaf(SpiffeId.Of(Own.TrustDomain, "/web"), KeyPair.ExportPublicKey(key), Now.AddHours(-1), Now.AddHours(1)).Sign(issuing, issuingKey);
        Assert.True(X509Svid.TryCreate([leaf, issuing], key, null, out var svid, out var problem), problem);
        var bundle = X509Bundle.Create(Own.TrustDomain, [anchor]);
        var byAnchor = List(anchor, anchorKey);
        var byIssuing = List(issuing, issuingKey);

        Assert.Equal([byAnchor, byIssuing], RevocationCoverage.Of(bundle, [byAnchor, byIssuing], [svid], Now));
        Assert.Empty(RevocationCoverage.Of(bundle, [byAnchor], [svid], Now));
        Assert.Empty(RevocationCoverage.Of(bundle, [byIssuing], [svid], Now));
        Assert.Empty(RevocationCoverage.Of(bundle, [byAnchor, byIssuing], [], Now));
        Assert.Empty(RevocationCoverage.Of(bundle, [byAnchor, byIssuing], [svid], Now.AddDays(2)));
        Assert.Empty(RevocationCoverage.Of(Other.Bundle, [byAnchor, byIssuing], [svid], Now));

        var held = new HeldSvid(Web, svid, Now.AddMinutes(30));
        var view = Everything().Snapshot.View with { Bundles = TrustBundles.Of(bundle).WithCrls([byAnchor, byIssuing]) };
        var entitlement = new Entitlement([Web], [held], new IdentitySnapshot(view, ImmutableDictionary<string, HeldSvid>.Empty.Add(Web.Id, held)));
        Assert.Equal(byAnchor.ToPem() + byIssuing.ToPem(), Made(Find("ROOTCA", entitlement)).ValidationContext.Crl.InlineBytes.ToStringUtf8());
        Assert.EndsWith(
            byIssuing.ToPem(),
            Made(Find("ALL", entitlement)).ValidationContext.CustomValidatorConfig.TypedConfig.Unpack<SPIFFECertValidatorConfig>().TrustDomains[0].TrustBundle.InlineBytes.ToStringUtf8(),
            StringComparison.Ordinal);
        var uncovered = entitlement with { Snapshot = entitlement.Snapshot with { View = view with { Bundles = TrustBundles.Of(bundle).WithCrls([byAnchor]) } } };
        Assert.Null(Made(Find("ROOTCA", uncovered)).ValidationContext.Crl);
    }

    [Fact]
    public void A_pair_of_files_is_served_when_it_is_one_and_the_next_look_decides_when_it_is_not()
    {
        var (chain, key) = (Pem.Encode(WebSvid.Svid.Chain), Pem.EncodePrivateKey(WebSvid.Svid.Key));
        var found = Assert.IsType<SecretAnswer.Found>(FileSecret.Pair("file-cert:/c~/k", chain, key));
        Assert.Equal(key, found.Make().TlsCertificate.PrivateKey.InlineBytes.ToStringUtf8());
        Assert.Contains("not that of the first certificate", Reason(FileSecret.Pair("n", chain, Pem.EncodePrivateKey(ApiSvid.Svid.Key))), StringComparison.Ordinal);
        Assert.Contains("certificate file", Reason(FileSecret.Pair("n", "", key)), StringComparison.Ordinal);
        Assert.Contains("key file", Reason(FileSecret.Pair("n", chain, key[..40])), StringComparison.Ordinal);
        Assert.Equal(Own.Bundle.ToPem(), Made(FileSecret.Roots("file-root:/r", Own.Bundle.ToPem())).ValidationContext.TrustedCa.InlineBytes.ToStringUtf8());
        Assert.Contains("file of authorities", Reason(FileSecret.Roots("n", "root:x:0:0:")), StringComparison.Ordinal);

        static string Reason(SecretAnswer answer) => Assert.IsType<SecretAnswer.Missing>(answer).Reason;
    }

    private static Secret Secret(string name, ValidatorStyle style = ValidatorStyle.Either) => Made(Find(name, Everything(), style));

    private static string Version(string name, ValidatorStyle style = ValidatorStyle.Either) => Assert.IsType<SecretAnswer.Found>(Find(name, Everything(), style)).Version;

    private static Secret Made(SecretAnswer answer) => Assert.IsType<SecretAnswer.Found>(answer).Make();

    private static SecretAnswer Find(string name, Entitlement entitlement, ValidatorStyle style = ValidatorStyle.Either) =>
        SecretCatalog.Find(entitlement, name, SecretName.Of(name), style, Now, _ => null);

    private static Entitlement Everything()
    {
        var view = new NodeView(1, [Web, Api], TrustBundles.Of(Own.Bundle, Other.Bundle, Third.Bundle), ImmutableDictionary<TrustDomain, JwtBundle>.Empty);
        var held = new[] { WebSvid, ApiSvid }.ToImmutableDictionary(svid => svid.Entry.Id);
        return new Entitlement([Web, Api], [WebSvid, ApiSvid], new IdentitySnapshot(view, held));
    }

    private static CertificateRevocationList List(Certificate issuer, AsymmetricAlgorithm key) => CertificateRevocationList.Sign(issuer, key, Now.AddDays(-1), Now.AddDays(1), 1, Array.Empty<Certificate>());

    private static HeldSvid Held(RegistrationEntry entry) => new(entry, Own.Svid(entry.SpiffeId.Path), Now.AddMinutes(30));

    private static RegistrationEntry Entry(string path, params TrustDomain[] federatesWith) => new()
    {
        Id = path,
        SpiffeId = SpiffeId.Of(Own.TrustDomain, path),
        ParentId = SpiffeId.Of(Own.TrustDomain, "/node"),
        Selectors = [new Selector("unix", "uid:1")],
        FederatesWith = [.. federatesWith],
    };
}
