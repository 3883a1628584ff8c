using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Testing;
using Signet.Testing.X509;

namespace Signet.UnitTests.Identity.Jose;

/// <summary>SPIFFE_Trust_Domain_and_Bundle.md §4 and §5 for both halves of a bundle together, a clause a test.</summary>
public sealed class SpiffeBundleTests
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly TrustDomain Other = TrustDomain.Parse("other.example");
    private static readonly Certificate Anchor = CertificateForge.Authority("CN=anchor").SignSelf().Certificate;
    private static readonly SpiffeBundle Bundle = SpiffeBundle.Of(X509Bundle.Create(Domain, [Anchor], 7, TimeSpan.FromMinutes(5)), Keys(Domain, "k1", "k2"));

    [Fact]
    public void What_is_written_is_read_as_it_was()
    {
        Assert.True(SpiffeBundle.TryParse(Domain, Bundle.ToJson(), out var read, out var problem), problem);
        Assert.Equal(Bundle, read);
        Assert.Equal(2, read.Jwt.Authorities.Count);
    }

    [Fact]
    public void B01_Further_parameters_are_ignored_and_none_is_required()
    {
        var json = Json();
        json["x_extension"] = new JsonObject { ["a"] = 1 };
        json.Remove("spiffe_sequence");
        json.Remove("spiffe_refresh_hint");
        Assert.True(SpiffeBundle.TryParse(Domain, json.ToJsonString(), out var read, out var problem), problem);
        Assert.True(read.HasKeysOf(Bundle));
        Assert.Null(read.Sequence);
        Assert.Null(read.RefreshHint);
    }

    [Fact]
    public void B05_Without_any_key_nobody_of_the_trust_domain_is_believed()
    {
        Assert.True(SpiffeBundle.TryParse(Domain, """{"keys": [], "spiffe_sequence": 8}""", out var read, out var problem), problem);
        Assert.Empty(read.X509.Authorities);
        Assert.Empty(read.Jwt.Authorities);
        var authority = new TestAuthority(CertificateForge.Now);
        var chain = authority.Svid("/web").Chain;
        Assert.True(SvidVerifier.Verify(chain, TrustBundles.Of(authority.Bundle), CertificateUsage.Any, CertificateForge.Now).IsTrusted);
        Assert.False(SvidVerifier.Verify(chain, TrustBundles.Of(read.X509), CertificateUsage.Any, CertificateForge.Now).IsTrusted);
    }

    [Theory]
    [InlineData("kty")]
    [InlineData("use")]
    public void B07_B08_A_key_without_kind_or_use_is_ignored(string parameter)
    {
        var json = Json();
        json["keys"]![0]!.AsObject().Remove(parameter);
        json["keys"]![1]!.AsObject().Remove(parameter);
        Assert.True(SpiffeBundle.TryParse(Domain, json.ToJsonString(), out var read, out var problem), problem);
        Assert.Empty(read.X509.Authorities);
        Assert.Equal(["k2"], read.Jwt.Authorities.Select(key => key.KeyId));
    }

    [Theory]
    [InlineData("kty", "AKP")]
    [InlineData("use", "X509-SVID")]
    [InlineData("use", "JWT-SVID")]
    [InlineData("use", "sig")]
    public void B07_B08_A_key_of_another_kind_or_use_is_ignored(string parameter, string value)
    {
        var json = Json();
        json["keys"]![0]![parameter] = value;
        json["keys"]![1]![parameter] = value;
        Assert.True(SpiffeBundle.TryParse(Domain, json.ToJsonString(), out var read, out var problem), problem);
        Assert.Empty(read.X509.Authorities);
        Assert.Equal(["k2"], read.Jwt.Authorities.Select(key => key.KeyId));
    }

    [Fact]
    public void B09_A_bundle_map_gives_each_trust_domain_its_own_bundle()
    {
        var other = SpiffeBundle.Of(X509Bundle.Create(Other, [CertificateForge.Authority("CN=other").SignSelf().Certificate], 3), JwtBundle.Empty(Other));
        Assert.True(BundleMap.TryParse(BundleMap.Write([Bundle, other]), out var read, out var problem), problem);
        Assert.Equal([Bundle.As(7, null), other], read);
    }

    [Theory]
    [InlineData("""{"trust_domains": {"a": {"keys": []}, "a": {"keys": []}}}""")]
    [InlineData("""{"trust_domains": {"a": {"keys": []}, "spiffe://a": {"keys": []}}}""")]
    [InlineData("""{"trust_domains": {"a": {"keys": []}}, "trust_domains": {"a": {"keys": []}}}""")]
    public void B09_A_trust_domain_that_a_map_names_twice_is_refused(string json)
    {
        Assert.False(BundleMap.TryParse(json, out _, out var problem));
        Assert.Contains("twice", problem);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"trust_domains": []}""")]
    [InlineData("""{"trust_domains": {"A": {"keys": []}}}""")]
    [InlineData("""{"trust_domains": {"a": {}}}""")]
    [InlineData("""{"trust_domains": {"a": []}}""")]
    public void B09_What_is_no_map_is_refused(string json) => Assert.False(BundleMap.TryParse(json, out _, out _));

    [Fact]
    public void B09_No_map_is_written_with_a_trust_domain_twice() => Assert.Throws<ArgumentException>(() => BundleMap.Write([Bundle, Bundle]));

    [Fact]
    public void B10_A_map_carries_no_refresh_hints_and_none_is_taken_from_one()
    {
        Assert.DoesNotContain("spiffe_refresh_hint", BundleMap.Write([Bundle]));
        Assert.True(BundleMap.TryParse("""{"trust_domains": {"a": {"keys": [], "spiffe_refresh_hint": 1}}}""", out var read, out _));
        Assert.Null(Assert.Single(read).RefreshHint);
    }

    [Fact]
    public void B11_One_key_that_does_not_hold_refuses_the_whole_bundle()
    {
        var json = Json();
        json["keys"]![0]!["x5c"]![0] = "AAAA";
        Assert.False(SpiffeBundle.TryParse(Domain, json.ToJsonString(), out var read, out _));
        Assert.Null(read);

        json = Json();
        json["keys"]![2]!.AsObject().Remove("kid");
        Assert.False(SpiffeBundle.TryParse(Domain, json.ToJsonString(), out read, out _));
        Assert.Null(read);
    }

    [Fact]
    public void F05_Bundles_of_different_trust_domains_do_not_go_together() =>
        Assert.Throws<ArgumentException>(() => SpiffeBundle.Of(Bundle.X509, JwtBundle.Empty(Other)));

    [Fact]
    public void F17_A_first_bundle_may_be_PEM_or_the_bundle_format()
    {
        Assert.True(SpiffeBundle.TryReadAny(Domain, "\n" + Bundle.ToJson(), out var json, out var problem), problem);
        Assert.Equal(Bundle, json);
        Assert.True(SpiffeBundle.TryReadAny(Domain, Bundle.X509.ToPem(), out var pem, out problem), problem);
        Assert.Equal(Bundle.X509.Authorities, pem.X509.Authorities);
        Assert.False(SpiffeBundle.TryReadAny(Domain, "neither", out _, out _));
    }

    [Fact]
    public void Keys_for_readers_outside_SPIFFE_say_what_they_are_for_and_their_algorithm()
    {
        var key = JsonNode.Parse(Bundle.Jwt.ToWebJson())!["keys"]![0]!;
        Assert.Equal(("sig", "ES256", "k1"), ((string)key["use"]!, (string)key["alg"]!, (string)key["kid"]!));
        Assert.Null(key["d"]);
    }

    [Fact]
    public void Whatever_stands_in_a_bundle_or_a_map_it_is_read_or_refused_and_nothing_else()
    {
        foreach (var text in new[] { Bundle.ToJson(), BundleMap.Write([Bundle]) })
        {
            Prop.ForAll<NonNegativeInt, char, bool>((at, with, cut) =>
            {
                var changed = text.ToCharArray();
                changed[at.Get % text.Length] = with;
                var hostile = new string(changed, 0, cut ? at.Get % text.Length : text.Length);
                var (isBundle, isMap) = (SpiffeBundle.TryParse(Domain, hostile, out var bundle, out var one), BundleMap.TryParse(hostile, out var bundles, out var other));
                return isBundle == (bundle is not null) && isBundle == (one.Length == 0) && isMap == (bundles is not null) && isMap == (other.Length == 0);
            }).QuickCheckThrowOnFailure();
        }
    }

    private static JsonObject Json() => JsonNode.Parse(Bundle.ToJson())!.AsObject();

    private static JwtBundle Keys(TrustDomain trustDomain, params string[] ids)
    {
        var authorities = ids.Select(id =>
        {
            using var key = KeyPair.Generate(KeyType.EcP256);
            return JwtAuthority.TryCreate(id, KeyPair.ExportPublicKey(key), null, out var authority, out var problem) ? authority : throw new InvalidOperationException(problem);
        });
        return JwtBundle.TryCreate(trustDomain, [.. authorities], out var bundle, out var why) ? bundle : throw new InvalidOperationException(why);
    }
}
