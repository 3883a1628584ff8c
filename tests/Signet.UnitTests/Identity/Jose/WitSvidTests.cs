using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.UnitTests.Identity.Jose;

/// <summary>WIT-SVID.md, clause by clause.</summary>
public sealed class WitSvidTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly SpiffeId Web = SpiffeId.Parse("spiffe://example.org/web");
    private static readonly ECDsa Key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private static readonly ECDsa Own = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private static readonly WitBundle Bundle = BundleOf("k1", Key);

    [Theory]
    [InlineData(KeyType.EcP256, "ES256")]
    [InlineData(KeyType.EcP384, "ES384")]
    [InlineData(KeyType.Rsa2048, "RS256")]
    public void A_token_binds_the_key_to_the_identity_and_verifies_through_the_published_bundle(KeyType keyType, string algorithm)
    {
        using var key = KeyPair.Generate(keyType);
        using var own = KeyPair.Generate(keyType);
        var token = WitSvid.Sign(Web, Confirmation(own), Now, Now.AddSeconds(-10), Now.AddHours(1), "k", key);
        Assert.True(WitBundle.TryParse(Domain, BundleOf("k", key).ToJson(), out var published, out var problem), problem);

        var verdict = WitSvid.Verify(token, _ => published, Now);
        Assert.Equal((Web, Now.AddHours(1), ""), (verdict.Id, verdict.ExpiresAt, verdict.Reason));
        Assert.Equal(KeyPair.ExportPublicKey(own), verdict.Confirmation!.SubjectPublicKeyInfo.ToArray());
        Assert.Equal(algorithm, verdict.Confirmation.Algorithm);
        Assert.True(CompactJws.TryParse(token, out var jws, out _));
        using var parsed = jws;
        Assert.Equal(("wit+jwt", "k", algorithm), (jws.HeaderText("typ"), jws.HeaderText("kid"), jws.HeaderText("alg")));
        Assert.Equal(3, jws.Header.EnumerateObject().Count());
        Assert.False(jws.Claims.TryGetProperty("aud", out _));
        Assert.Equal(22, jws.ClaimText("jti")!.Length);
    }

    [Fact]
    public void Every_token_has_a_number_of_its_own() =>
        Assert.NotEqual(Claim(Sign(), "jti"), Claim(Sign(), "jti"));

    [Fact]
    public void WIT03_No_verifier_of_the_other_kind_of_token_takes_it()
    {
        Assert.True(JwtBundle.TryCreate(Domain, Bundle.Authorities, out var jwtBundle, out _));
        Assert.False(JwtSvidVerifier.Verify(Sign(), _ => jwtBundle, "billing", Now).IsTrusted);
        Assert.False(WitSvid.Verify(JwtSvid.Sign(Web, ["billing"], Now, Now.AddHours(1), "k1", Key), _ => Bundle, Now).IsTrusted);
        Assert.Empty(JwtBundle.TryParse(Domain, Bundle.ToJson(), out var jwt, out _) ? jwt.Authorities : throw new InvalidOperationException());
        Assert.Empty(WitBundle.TryParse(Domain, jwtBundle!.ToJson(), out var wit, out _) ? wit.Authorities : throw new InvalidOperationException());
    }

    public static TheoryData<string, string, string> Broken { get; } = new()
    {
        { "§2.1 no kid", Token(header => header.Remove("kid")), "kid" },
        { "§2.1 another kid", Token(header => header["kid"] = "k2"), "made the signature" },
        { "§2.2 no typ", Token(header => header.Remove("typ")), "typ" },
        { "§2.2 another typ", Token(header => header["typ"] = "JWT"), "typ" },
        { "§2.3 none", Token(header => header["alg"] = "none"), "algorithm" },
        { "§2.3 HS256", Token(header => header["alg"] = "HS256"), "algorithm" },
        { "§2.3 EdDSA", Token(header => header["alg"] = "EdDSA"), "algorithm" },
        { "crit", Token(header => header["crit"] = new JsonArray("x")), "must be understood" },
        { "§3.1 no sub", Token(claims: claims => claims.Remove("sub")), "sub" },
        { "§3.1 sub is a trust domain", Token(claims: claims => claims["sub"] = "spiffe://example.org"), "sub" },
        { "§3.2 no cnf", Token(claims: claims => claims.Remove("cnf")), "cnf" },
        { "§3.2 cnf is a thumbprint", Token(claims: claims => claims["cnf"] = new JsonObject { ["jkt"] = "x" }), "cnf" },
        { "§3.2 no cnf.jwk.alg", Token(claims: claims => claims["cnf"]!["jwk"]!.AsObject().Remove("alg")), "cnf.jwk.alg" },
        { "§3.2 cnf.jwk.alg of another curve", Token(claims: claims => claims["cnf"]!["jwk"]!["alg"] = "ES384"), "cnf.jwk.alg" },
        { "§3.2 cnf.jwk.alg of another list", Token(claims: claims => claims["cnf"]!["jwk"]!["alg"] = "EdDSA"), "cnf.jwk.alg" },
        { "§3.2 cnf.jwk off the curve", Token(claims: claims => claims["cnf"]!["jwk"]!["x"] = new string('A', 43)), "cnf" },
        { "§3.2 cnf.jwk is private", Token(claims: claims => claims["cnf"]!["jwk"]!["d"] = "AA"), "private key" },
        { "§3.3 no exp", Token(claims: claims => claims.Remove("exp")), "exp" },
        { "§3.3 expired this second", Token(claims: claims => claims["exp"] = Now.ToUnixTimeSeconds()), "expired" },
        { "§3.5 not yet", Token(claims: claims => claims["nbf"] = Now.ToUnixTimeSeconds() + 1), "not valid before" },
        { "§3.8 aud", Token(claims: claims => claims["aud"] = "billing"), "audience" },
        { "no token", "a.b", "not a signed JWT" },
    };

    [Theory]
    [MemberData(nameof(Broken), DisableDiscoveryEnumeration = true)]
    public void WIT01_WIT02_What_breaks_the_profile_is_refused(string what, string token, string reason)
    {
        var verdict = WitSvid.Verify(token, _ => Bundle, Now);
        Assert.False(verdict.IsTrusted, what);
        Assert.Null(verdict.Confirmation);
        Assert.Contains(reason, verdict.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void WIT01_WIT02_What_keeps_the_profile_is_believed_also_with_headers_and_claims_that_nobody_knows()
    {
        Assert.True(WitSvid.Verify(Token(), _ => Bundle, Now).IsTrusted);
        Assert.True(WitSvid.Verify(Token(header => header["x"] = 1, claims => claims["y"] = 2), _ => Bundle, Now).IsTrusted);
        Assert.True(WitSvid.Verify(Token(claims: claims => claims["iat"] = Now.ToUnixTimeSeconds() + 100), _ => Bundle, Now).IsTrusted, "§3.6 iat limits nothing");
        Assert.Contains("no WIT bundle", WitSvid.Verify(Token(), _ => null, Now).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void The_private_key_is_a_JWK_with_its_name_and_algorithm()
    {
        var jwk = JsonNode.Parse(WitSvid.PrivateKeyJson(Own, "mine"))!;
        Assert.Equal(("EC", "P-256", "ES256", "mine"), (jwk["kty"]!.GetValue<string>(), jwk["crv"]!.GetValue<string>(), jwk["alg"]!.GetValue<string>(), jwk["kid"]!.GetValue<string>()));
        using var read = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new ECPoint { X = Base64Url.DecodeFromChars(jwk["x"]!.GetValue<string>()), Y = Base64Url.DecodeFromChars(jwk["y"]!.GetValue<string>()) },
            D = Base64Url.DecodeFromChars(jwk["d"]!.GetValue<string>()),
        });
        Assert.Equal(KeyPair.ExportPublicKey(Own), KeyPair.ExportPublicKey(read));
    }

    [Fact]
    public void WIT04_A_SPIFFE_bundle_carries_the_keys_under_their_own_use_and_gives_them_back()
    {
        var bundle = SpiffeBundle.Of(X509Bundle.Create(Domain, []), JwtBundle.Empty(Domain)).With(Bundle);
        Assert.Equal("wit-svid", JsonNode.Parse(bundle.ToJson())!["keys"]![0]!["use"]!.GetValue<string>());
        Assert.True(SpiffeBundle.TryParse(Domain, bundle.ToJson(), out var read, out var problem), problem);
        Assert.Equal(["k1"], read.Wit.Authorities.Select(key => key.KeyId));
        Assert.Empty(read.Jwt.Authorities);
        Assert.Throws<ArgumentException>(() => bundle.With(WitBundle.Empty(TrustDomain.Parse("other.org"))));
    }

    private static string Sign() => WitSvid.Sign(Web, Confirmation(Own), Now, Now, Now.AddHours(1), "k1", Key);

    private static string? Claim(string token, string name)
    {
        Assert.True(CompactJws.TryParse(token, out var jws, out _));
        using (jws)
        {
            return jws.ClaimText(name);
        }
    }

    // A good token, changed and signed anew.
    private static string Token(Action<JsonObject>? header = null, Action<JsonObject>? claims = null)
    {
        var parts = Sign().Split('.');
        var (head, body) = (JsonNode.Parse(Base64Url.DecodeFromChars(parts[0]))!.AsObject(), JsonNode.Parse(Base64Url.DecodeFromChars(parts[1]))!.AsObject());
        header?.Invoke(head);
        claims?.Invoke(body);
        var signed = Base64Url.EncodeToString(Encoding.UTF8.GetBytes(head.ToJsonString())) + "." + Base64Url.EncodeToString(Encoding.UTF8.GetBytes(body.ToJsonString()));
        return signed + "." + Base64Url.EncodeToString(Key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256));
    }

    private static JwsKey Confirmation(AsymmetricAlgorithm key) => JwsKey.TryCreate(KeyPair.ExportPublicKey(key), null, null, out var read, out var problem) ? read : throw new InvalidOperationException(problem);

    private static WitBundle BundleOf(string keyId, AsymmetricAlgorithm key)
    {
        Assert.True(JwtAuthority.TryCreate(keyId, KeyPair.ExportPublicKey(key), null, out var authority, out var problem), problem);
        Assert.True(WitBundle.TryCreate(Domain, [authority], out var bundle, out problem), problem);
        return bundle;
    }
}
