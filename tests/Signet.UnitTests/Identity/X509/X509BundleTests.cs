using System.Text.Json.Nodes;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Testing.X509;

namespace Signet.UnitTests.Identity.X509;

/// <summary>X509-SVID.md §6 and SPIFFE_Trust_Domain_and_Bundle.md, a clause a test.</summary>
public sealed class X509BundleTests
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly Certificate Ec = CertificateForge.Authority("CN=ec").SignSelf().Certificate;
    private static readonly Certificate Rsa = (CertificateForge.Authority("CN=rsa") with { KeyName = "rsa2048" }).SignSelf().Certificate;
    private static readonly X509Bundle Bundle = X509Bundle.Create(Domain, [Ec, Rsa], 42, TimeSpan.FromMinutes(5));

    [Fact]
    public void X13_Publishes_use_x509_svid_and_no_kid()
    {
        foreach (var key in Written()["keys"]!.AsArray())
        {
            Assert.Equal("x509-svid", key!["use"]!.GetValue<string>());
            Assert.Null(key["kid"]);
        }
    }

    [Fact]
    public void X14_Publishes_one_certificate_per_key_and_the_key_itself()
    {
        var keys = Written()["keys"]!.AsArray();

        Assert.Equal(2, keys.Count);
        Assert.Equal(Convert.ToBase64String(Ec.Der.Span), Assert.Single(keys[0]!["x5c"]!.AsArray())!.GetValue<string>());
        Assert.Equal("P-256", keys[0]!["crv"]!.GetValue<string>());
        Assert.Equal(43, keys[0]!["x"]!.GetValue<string>().Length);
        Assert.Equal(43, keys[0]!["y"]!.GetValue<string>().Length);
        Assert.Equal("AQAB", keys[1]!["e"]!.GetValue<string>());
        Assert.Equal(342, keys[1]!["n"]!.GetValue<string>().Length);
    }

    [Fact]
    public void X15_Ignores_entries_without_certificates_and_certificates_after_the_first()
    {
        var json = Changed(document =>
        {
            var keys = document["keys"]!.AsArray();
            keys[0]!["x5c"] = new JsonArray();
            keys[1]!["x5c"]!.AsArray().Add(Convert.ToBase64String(Ec.Der.Span));
            keys.Add(new JsonObject { ["kty"] = "EC", ["use"] = "x509-svid" });
        });

        Assert.Equal([Rsa], Read(json).Authorities);
    }

    [Fact]
    public void X15_Refuses_a_first_certificate_that_cannot_be_read()
    {
        Refuses(Changed(d => d["keys"]![0]!["x5c"]![0] = "not base64"), "not base64");
        Refuses(Changed(d => d["keys"]![0]!["x5c"]![0] = "MAA="), "malformed");
        Refuses(Changed(d => d["keys"]![0]!["x5c"]![0] = 7), "not base64");
    }

    [Fact]
    public void B01_Ignores_parameters_that_it_does_not_know() => Assert.Equal(Bundle, Read(Changed(d => d["whatever"] = new JsonObject { ["a"] = 1 })));

    [Fact]
    public void B01_Asks_for_none_but_the_keys()
    {
        var bundle = Read("""{"keys": []}""");

        Assert.Null(bundle.Sequence);
        Assert.Null(bundle.RefreshHint);
    }

    [Fact]
    public void B02_Carries_the_sequence()
    {
        Assert.Equal(42UL, Read(Bundle.ToSpiffeJson()).Sequence);
        Assert.Equal(ulong.MaxValue, Read(Changed(d => d["spiffe_sequence"] = ulong.MaxValue)).Sequence);
    }

    [Theory]
    [InlineData("\"42\"")]
    [InlineData("-1")]
    [InlineData("1.5")]
    [InlineData("99999999999999999999999")]
    [InlineData("true")]
    public void B02_Refuses_a_sequence_that_is_no_whole_number(string sequence) => Refuses($$"""{"keys": [], "spiffe_sequence": {{sequence}}}""", "spiffe_sequence");

    [Fact]
    public void B03_Carries_the_refresh_hint_in_seconds()
    {
        Assert.Equal(300, Written()["spiffe_refresh_hint"]!.GetValue<int>());
        Assert.Equal(TimeSpan.FromMinutes(5), Read(Bundle.ToSpiffeJson()).RefreshHint);
    }

    [Theory]
    [InlineData("\"300\"")]
    [InlineData("-300")]
    [InlineData("0.5")]
    [InlineData("18446744073709551615")]
    public void B03_Refuses_a_refresh_hint_that_is_no_whole_number_of_seconds(string hint) => Refuses($$"""{"keys": [], "spiffe_refresh_hint": {{hint}}}""", "spiffe_refresh_hint");

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"keys": null}""")]
    [InlineData("""{"keys": {}}""")]
    [InlineData("[]")]
    [InlineData("7")]
    public void B04_Refuses_a_bundle_without_keys(string json) => Refuses(json, "no array \"keys\"");

    [Fact]
    public void B05_Reads_empty_keys_as_trusting_nobody()
    {
        var leaf = CertificateForge.Workload().SignSelf().Certificate;

        var verdict = SvidVerifier.Verify([leaf], TrustBundles.Of(Read("""{"keys": []}""")), CertificateUsage.Client, CertificateForge.Now);

        Assert.Equal(PeerProblem.UnknownAuthority, verdict.Problem);
    }

    [Fact]
    public void B05_Reads_effectively_empty_keys_as_trusting_nobody() => Assert.Empty(Read("""{"keys": [{"kty": "EC", "use": "jwt-svid", "kid": "a"}]}""").Authorities);

    [Fact]
    public void B06_Publishes_no_parameters_that_are_not_defined()
    {
        string[] defined = ["kty", "use", "x5c", "crv", "x", "y", "n", "e"];

        Assert.All(Written()["keys"]!.AsArray(), key => Assert.Empty(key!.AsObject().Select(p => p.Key).Except(defined)));
    }

    [Theory]
    [InlineData("oct")]
    [InlineData("ec")]
    [InlineData("")]
    public void B07_Ignores_keys_of_an_unknown_type(string kty) => Assert.Equal([Rsa], Read(Changed(d => d["keys"]![0]!["kty"] = kty)).Authorities);

    [Fact]
    public void B07_Ignores_keys_without_a_type() => Assert.Equal([Rsa], Read(Changed(d => d["keys"]![0]!.AsObject().Remove("kty"))).Authorities);

    [Theory]
    [InlineData("X509-SVID")]
    [InlineData("jwt-svid")]
    [InlineData("sig")]
    public void B08_Ignores_keys_of_another_use_and_minds_the_case(string use) => Assert.Equal([Rsa], Read(Changed(d => d["keys"]![0]!["use"] = use)).Authorities);

    [Fact]
    public void B08_Ignores_keys_without_a_use() => Assert.Equal([Rsa], Read(Changed(d => d["keys"]![0]!.AsObject().Remove("use"))).Authorities);

    [Fact]
    public void Reads_what_it_wrote_in_both_formats()
    {
        Assert.Equal(Bundle, Read(Bundle.ToSpiffeJson()));
        Assert.True(X509Bundle.TryReadPem(Domain, Bundle.ToPem(), out var bundle, out var problem), problem);
        Assert.Equal(Bundle.Authorities, bundle.Authorities);
    }

    [Fact]
    public void Refuses_a_certificate_that_is_no_authority()
    {
        var leaf = CertificateForge.Workload().SignSelf().Certificate;

        Assert.False(X509Bundle.TryReadPem(Domain, Pem.Encode(Ec, leaf), out _, out var problem));
        Assert.Contains("not an authority", problem);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("{\"keys\": [")]
    [InlineData("{\"keys\": [], \"keys\": []}")]
    public void Refuses_text_that_is_not_JSON_or_says_a_thing_twice(string json) => Refuses(json, "not JSON");

    [Theory]
    [InlineData("{\"keys\": [{\"kty\": \"\\ud800\"}]}")]
    [InlineData("{\"keys\": [{\"kty\": \"EC\", \"use\": \"x509-svid\", \"x5c\": [\"\\ud800\"]}]}")]
    [InlineData("{\"\\ud800\": 1, \"\\ud800\": 2, \"keys\": []}")]
    [InlineData("{\"keys\": [{\"\\udc00\": 1}]}")]
    [InlineData("\ud800")]
    public void Never_throws_on_halves_of_characters(string json) => X509Bundle.TryReadSpiffeJson(Domain, json, out _, out _);

    [Fact]
    public void Never_throws_on_changed_text()
    {
        var json = Bundle.ToSpiffeJson();
        foreach (var change in new[] { "", "\"", "{", "]", "\\", "0", "\u0000", "," })
        {
            for (var i = 0; i < json.Length; i += 7)
            {
                X509Bundle.TryReadSpiffeJson(Domain, json[..i] + change + json[(i + 1)..], out _, out _);
            }
        }
    }

    [Fact]
    public void Refuses_more_than_its_limits()
    {
        Refuses(new string('[', 5_000_000), "the limit is");
        Refuses("{\"keys\": [" + string.Join(',', Enumerable.Repeat("{}", 2001)) + "]}", "the limit is 2000");
        Assert.Throws<ArgumentException>(() => X509Bundle.Create(Domain, Enumerable.Range(0, 1001).Select(i => Authority(i))));

        static Certificate Authority(int i)
        {
            var der = Ec.Der.ToArray();
            der[^1] ^= (byte)i;
            der[^2] ^= (byte)(i >> 8);
            return Certificate.Parse(der);
        }
    }

    [Fact]
    public void Keeps_trust_domains_apart()
    {
        var other = TrustDomain.Parse("example.com");
        var bundles = TrustBundles.Of(Bundle, X509Bundle.Create(other, [Rsa]));

        Assert.Equal([Rsa], bundles.Find(other)!.Authorities);
        Assert.Null(bundles.Without(other).Find(other));
        Assert.Equal(2, bundles.All.Count);
        Assert.Equal(bundles, TrustBundles.Of(X509Bundle.Create(other, [Rsa]), Bundle));
        Assert.NotEqual(bundles, bundles.With(X509Bundle.Create(other, [Ec])));
    }

    [Fact]
    public void W07_Verifies_a_peer_with_the_bundle_of_its_own_trust_domain_only()
    {
        var root = CertificateForge.Authority("CN=root").SignSelf();
        var leaf = CertificateForge.Workload("spiffe://example.com/orders").Sign(root).Certificate;

        var verdict = SvidVerifier.Verify([leaf], TrustBundles.Of(X509Bundle.Create(Domain, [root.Certificate])), CertificateUsage.Client, CertificateForge.Now);

        Assert.Equal(PeerProblem.UntrustedDomain, verdict.Problem);
        Assert.Contains("no bundle for the trust domain example.com", verdict.Reason);
    }

    private static JsonNode Written() => JsonNode.Parse(Bundle.ToSpiffeJson())!;

    private static string Changed(Action<JsonNode> change)
    {
        var document = Written();
        change(document);
        return document.ToJsonString();
    }

    private static X509Bundle Read(string json)
    {
        Assert.True(X509Bundle.TryReadSpiffeJson(Domain, json, out var bundle, out var problem), problem);
        return bundle;
    }

    private static void Refuses(string json, string why)
    {
        Assert.False(X509Bundle.TryReadSpiffeJson(Domain, json, out _, out var problem));
        Assert.Contains(why, problem);
    }
}
