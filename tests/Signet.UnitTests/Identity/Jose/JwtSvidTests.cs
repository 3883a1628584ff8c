using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.UnitTests.Identity.Jose;

/// <summary>JWT-SVID.md, clause by clause.</summary>
public sealed class JwtSvidTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly SpiffeId Web = SpiffeId.Parse("spiffe://example.org/web");
    private static readonly ECDsa Key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private static readonly JwtBundle Bundle = BundleOf(Domain, ("k1", Key));

    [Theory]
    [InlineData(KeyType.EcP256)]
    [InlineData(KeyType.EcP384)]
    [InlineData(KeyType.Rsa2048)]
    public void A_token_verifies_with_its_key_through_the_published_bundle_and_with_no_other(KeyType keyType)
    {
        using var key = KeyPair.Generate(keyType);
        using var other = KeyPair.Generate(keyType);
        var token = JwtSvid.Sign(Web, ["billing", "orders"], Now, Now.AddMinutes(5), "k", key);
        Assert.True(JwtBundle.TryParse(Domain, BundleOf(Domain, ("k", key)).ToJson(), out var published, out var problem), problem);

        var verdict = JwtSvidVerifier.Verify(token, _ => published, "orders", Now);
        Assert.Equal((Web, Now.AddMinutes(5), ""), (verdict.Id, verdict.ExpiresAt, verdict.Reason));
        Assert.Equal("spiffe://example.org/web", verdict.Claims.GetProperty("sub").GetString());
        Assert.Contains("made the signature", JwtSvidVerifier.Verify(token, _ => BundleOf(Domain, ("k", other)), "orders", Now).Reason, StringComparison.Ordinal);
        Assert.Contains("made the signature", JwtSvidVerifier.Verify(token, _ => BundleOf(Domain, ("other", key)), "orders", Now).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_the_bundle_of_the_subjects_own_trust_domain_counts()
    {
        var token = Token();
        Assert.True(JwtSvidVerifier.Verify(token, domain => domain == Domain ? Bundle : null, "a", Now).IsTrusted);
        Assert.Contains("no JWT bundle of trust domain example.org", JwtSvidVerifier.Verify(token, domain => domain == Domain ? null : Bundle, "a", Now).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void J11_A_token_is_believed_as_often_as_it_comes_and_not_a_second_longer_than_it_says()
    {
        var token = JwtSvid.Sign(Web, ["a"], Now, Now.AddMinutes(5), "k1", Key);
        Assert.True(JwtSvidVerifier.Verify(token, _ => Bundle, "a", Now).IsTrusted);
        Assert.True(JwtSvidVerifier.Verify(token, _ => Bundle, "a", Now).IsTrusted);
        Assert.False(JwtSvidVerifier.Verify(token, _ => Bundle, "a", Now.AddMinutes(5)).IsTrusted);
    }

    public static TheoryData<string, string, string> Broken { get; } = new()
    {
        { "J-01 JSON serialisation", "{\"payload\":\"\"}", "not a signed JWT" },
        { "J-01 two parts", "a.b", "not a signed JWT" },
        { "J-01 five parts", "a.b.c.d.e", "not a signed JWT" },
        { "not base64", "!!.!!.!!", "decoded" },
        { "too long", new string('a', CompactJws.MaxLength) + ".b.c", "not a signed JWT" },
        { "a claim twice", Token(claims: "{\"sub\":\"spiffe://example.org/web\",\"sub\":\"spiffe://example.org/web\",\"aud\":\"a\",\"exp\":99999999999}"), "decoded" },
        { "half a surrogate pair", Token(claims: Claims().Replace("{", "{\"x\":\"\\ud800\",", StringComparison.Ordinal)), "decoded" },
        { "half a surrogate pair in a name", Token(claims: Claims().Replace("{", "{\"\\ud800\":1,", StringComparison.Ordinal)), "decoded" },
        { "not UTF-8", Base64Url.EncodeToString("{\"alg\":\"ES256\"}"u8) + "." + Base64Url.EncodeToString([.. "{\"sub\":\""u8, 0xff, .. "\"}"u8]) + ".AAAA", "decoded" },
        { "claims are a list", Token(claims: "[]"), "not objects" },
        { "J-02 another header", Token(header: Header("\"jku\":\"https://evil\"")), "jku" },
        { "J-02 crit", Token(header: Header("\"crit\":[\"exp\"]")), "crit" },
        { "J-03 none", Token(header: "{\"alg\":\"none\"}"), "algorithm" },
        { "J-03 HS256", Token(header: "{\"alg\":\"HS256\"}"), "algorithm" },
        { "J-03 no alg", Token(header: "{}"), "algorithm" },
        { "J-03 alg is a number", Token(header: "{\"alg\":256}"), "algorithm" },
        { "J-03 algorithm of another key", Token(header: "{\"alg\":\"RS256\"}"), "signature" },
        { "J-03 algorithm of another curve", Token(header: "{\"alg\":\"ES384\"}"), "signature" },
        { "J-04 typ", Token(header: Header("\"typ\":\"at+jwt\"")), "typ" },
        { "J-04 kid is a number", Token(header: "{\"alg\":\"ES256\",\"kid\":1}"), "kid" },
        { "J-05 no sub", Token(claims: Claims().Replace("sub", "x", StringComparison.Ordinal)), "sub" },
        { "J-05 sub is no SPIFFE ID", Token(claims: Claims(sub: "https://example.org/web")), "sub" },
        { "J-05 sub is a trust domain", Token(claims: Claims(sub: "spiffe://example.org")), "sub" },
        { "J-05 sub is a list", Token(claims: Claims().Replace("\"sub\":\"spiffe://example.org/web\"", "\"sub\":[\"spiffe://example.org/web\"]", StringComparison.Ordinal)), "sub" },
        { "J-06 no aud", Token(claims: Claims().Replace("aud", "x", StringComparison.Ordinal)), "aud" },
        { "J-06 aud is empty", Token(claims: Claims(aud: "[]")), "aud" },
        { "J-06 aud is a number", Token(claims: Claims(aud: "7")), "aud" },
        { "J-06 another aud", Token(claims: Claims(aud: "[\"b\",\"A\"]")), "not for \"a\"" },
        { "J-07 no exp", Token(claims: Claims().Replace("exp", "x", StringComparison.Ordinal)), "exp" },
        { "J-07 exp is text", Token(claims: Claims(exp: "\"99999999999\"")), "exp" },
        { "J-07 exp is negative", Token(claims: Claims(exp: "-1")), "exp" },
        { "J-07 exp is infinite", Token(claims: Claims(exp: "1e400")), "" },
        { "J-07 expired this second", Token(claims: Claims(exp: Seconds(0))), "expired" },
        { "not yet valid", Token(claims: Claims().Replace("{", "{\"nbf\":" + Seconds(1) + ",", StringComparison.Ordinal)), "not valid before" },
    };

    [Theory]
    [MemberData(nameof(Broken), DisableDiscoveryEnumeration = true)]
    public void What_breaks_the_profile_is_refused(string what, string token, string reason)
    {
        var verdict = JwtSvidVerifier.Verify(token, _ => Bundle, "a", Now);
        Assert.False(verdict.IsTrusted, what);
        Assert.Contains(reason, verdict.Reason, StringComparison.Ordinal);
        Assert.DoesNotContain(token, verdict.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"alg\":\"ES256\"}")]
    [InlineData("{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"JWT\"}")]
    [InlineData("{\"alg\":\"ES256\",\"typ\":\"JOSE\"}")]
    public void What_keeps_the_profile_is_believed(string header)
    {
        var verdict = JwtSvidVerifier.Verify(Token(header, Claims(aud: "\"a\"")), _ => Bundle, "a", Now);
        Assert.True(verdict.IsTrusted, verdict.Reason);
        Assert.True(JwtSvidVerifier.Verify(Token(header, Claims(exp: Seconds(1))), _ => Bundle, "a", Now).IsTrusted);
    }

    [Fact]
    public void A_token_with_one_character_changed_is_never_believed()
    {
        var token = Token();
        for (var i = 0; i < token.Length; i++)
        {
            foreach (var c in "Aa9_.")
            {
                var changed = token[..i] + c + token[(i + 1)..];
                if (changed == token || !CompactJws.TryParse(changed, out var jws, out _))
                {
                    continue;
                }

                using (jws)
                {
                    // The last character of a part may hold bits that mean nothing.
                    CompactJws.TryParse(token, out var original, out _);
                    using (original)
                    {
                        Assert.False(JwtSvidVerifier.Verify(changed, _ => Bundle, "a", Now).IsTrusted && !jws.Signature.AsSpan().SequenceEqual(original!.Signature), $"character {i}");
                    }
                }
            }
        }
    }

    private const string Damage = "{}[]:,\".=-_aA0\\u\ud800\0";

    [Fact]
    public void Random_damage_never_throws()
    {
        var random = new Random(7);
        var (token, json) = (Token(), Bundle.ToJson());
        for (var i = 0; i < 3000; i++)
        {
            JwtSvidVerifier.Verify(Damaged(token), _ => Bundle, "a", Now);
            JwtBundle.TryParse(Domain, Damaged(json), out _, out _);
        }

        string Damaged(string text)
        {
            var characters = text.ToCharArray();
            for (var j = random.Next(1, 5); j > 0; j--)
            {
                characters[random.Next(characters.Length)] = Damage[random.Next(Damage.Length)];
            }

            return new string(characters);
        }
    }

    [Fact]
    public void J09_J10_A_bundle_takes_only_keys_for_JWT_SVIDs_and_writes_what_it_reads()
    {
        var keys = JsonNode.Parse(Bundle.ToJson())!["keys"]!.AsArray();
        Assert.Equal(("EC", "P-256", "jwt-svid", "k1"), ($"{keys[0]!["kty"]}", $"{keys[0]!["crv"]}", $"{keys[0]!["use"]}", $"{keys[0]!["kid"]}"));
        Assert.DoesNotContain("\"d\"", Bundle.ToJson(), StringComparison.Ordinal);
        var mixed = "{\"keys\":[{\"kty\":\"EC\",\"use\":\"x509-svid\"},{\"kty\":\"oct\",\"use\":\"jwt-svid\",\"k\":\"AA\",\"kid\":\"o\"},{\"use\":\"sig\"}," + keys[0]!.ToJsonString() + "]}";
        Assert.True(JwtBundle.TryParse(Domain, mixed, out var read, out var problem), problem);
        Assert.Equal(Bundle, read);
    }

    [Theory]
    [InlineData("nonsense", "not JSON")]
    [InlineData("[]", "no array")]
    [InlineData("{}", "no array")]
    [InlineData("{\"keys\":[],\"keys\":[]}", "not JSON")]
    [InlineData("{\"keys\":[{\"use\":\"jwt-svid\",\"kid\":\"k\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}", "numbers")]
    [InlineData("{\"keys\":[{\"use\":\"jwt-svid\",\"kid\":\"k\",\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", "RSA")]
    public void A_half_understood_bundle_is_refused(string json, string reason)
    {
        Assert.False(JwtBundle.TryParse(Domain, json, out _, out var problem));
        Assert.Contains(reason, problem, StringComparison.Ordinal);
        Assert.Contains("example.org", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void J09_A_key_without_kid_and_two_keys_with_one_are_refused()
    {
        var key = JsonNode.Parse(Bundle.ToJson())!["keys"]![0]!.ToJsonString();
        Assert.False(JwtBundle.TryParse(Domain, "{\"keys\":[" + key.Replace("\"kid\"", "\"id\"", StringComparison.Ordinal) + "]}", out _, out var problem));
        Assert.Contains("kid", problem, StringComparison.Ordinal);
        Assert.False(JwtBundle.TryParse(Domain, "{\"keys\":[" + key + "," + key + "]}", out _, out problem));
        Assert.Contains("twice", problem, StringComparison.Ordinal);
        Assert.False(JwtBundle.TryParse(Domain, "{\"keys\":[" + string.Join(",", Enumerable.Repeat(key, JwtBundle.MaxAuthorities + 1)) + "]}", out _, out problem));
        Assert.Contains("limit", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Audiences_are_checked_before_anything_is_signed()
    {
        Assert.True(JwtSvid.TryCheckAudiences(["a", new string('b', JwtSvid.MaxAudienceLength)], out _));
        string[][] refused = [[], [""], ["a", ""], [new string('b', JwtSvid.MaxAudienceLength + 1)], [.. Enumerable.Range(0, JwtSvid.MaxAudiences + 1).Select(i => $"{i}")]];
        foreach (var bad in refused)
        {
            Assert.False(JwtSvid.TryCheckAudiences(bad, out var problem));
            Assert.NotEmpty(problem);
        }
    }

    private static JwtBundle BundleOf(TrustDomain trustDomain, params (string Id, AsymmetricAlgorithm Key)[] keys)
    {
        var authorities = keys.Select(key =>
        {
            Assert.True(JwtAuthority.TryCreate(key.Id, KeyPair.ExportPublicKey(key.Key), null, out var authority, out var problem), problem);
            return authority;
        }).ToList();
        Assert.True(JwtBundle.TryCreate(trustDomain, authorities, out var bundle, out var problem), problem);
        return bundle;
    }

    private static string Seconds(int fromNow) => Now.AddSeconds(fromNow).ToUnixTimeSeconds().ToString(System.Globalization.CultureInfo.InvariantCulture);

    private static string Header(string more) => "{\"alg\":\"ES256\",\"kid\":\"k1\"," + more + "}";

    private static string Claims(string sub = "spiffe://example.org/web", string aud = "[\"a\"]", string? exp = null) => $"{{\"sub\":\"{sub}\",\"aud\":{aud},\"exp\":{exp ?? Seconds(300)}}}";

    private static string Token(string header = "{\"alg\":\"ES256\",\"kid\":\"k1\"}", string? claims = null)
    {
        var signed = Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header)) + "." + Base64Url.EncodeToString(Encoding.UTF8.GetBytes(claims ?? Claims()));
        return signed + "." + Base64Url.EncodeToString(Key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256));
    }
}
