using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Signet.Identity.Jose;
using Signet.Policy;
using Signet.Policy.Jwt;
using Signet.Policy.Objects;

namespace Signet.UnitTests.Policy;

/// <summary>Which tokens are believed.</summary>
public sealed class TokenVerifierTests
{
    private static readonly DateTimeOffset Now = new(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly ECDsa Ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private static readonly RSA Rsa = RSA.Create(2048);
    private static readonly JsonWebKeys Keys = Parse($"{{\"keys\":[{EcKey(Ec, "k1")},{RsaKey(Rsa, "k2")}]}}");
    private static readonly JwtRule Rule = new() { Line = 1, Issuer = "https://iss", Audiences = ["pay"] };

    private static string Claims(string iss = "https://iss", string aud = "\"pay\"", long? exp = null) =>
        $"{{\"iss\":\"{iss}\",\"sub\":\"me\",\"aud\":{aud},\"exp\":{exp ?? Now.AddMinutes(5).ToUnixTimeSeconds()},\"scope\":\"read write\",\"deep\":{{\"a\":[\"x\",1]}}}}";

    [Theory]
    [InlineData("ES256")]
    [InlineData("RS256")]
    [InlineData("RS384")]
    [InlineData("RS512")]
    [InlineData("PS256")]
    [InlineData("PS512")]
    public void A_good_token_is_believed_and_its_claims_are_read(string algorithm)
    {
        var verdict = Verify(Sign(algorithm, Claims()));
        Assert.Equal((TokenOutcome.Valid, "https://iss", "me"), (verdict.Outcome, verdict.Jwt?.Issuer, verdict.Jwt?.Subject));
        Assert.Equal(["read", "write"], Assert.IsType<ClaimValue.List>(verdict.Jwt!.Claims.Members["scope"]).Values);
    }

    [Fact]
    public void Without_a_token_a_request_is_anonymous() => Assert.Equal(TokenOutcome.None, TokenVerifier.Verify([Rule], [], "/", _ => Keys, Now).Outcome);

    public static TheoryData<string, string> Bad { get; } = new()
    {
        { "issuer", Sign("ES256", Claims(iss: "https://other")) },
        { "audience", Sign("ES256", Claims(aud: "[\"a\",\"b\"]")) },
        { "expiry", Sign("ES256", Claims(exp: Now.AddMinutes(-2).ToUnixTimeSeconds())) },
        { "expiry is text", Sign("ES256", Claims().Replace("\"exp\":", "\"exp\":\"1\",\"x\":")) },
        { "not yet", Sign("ES256", Claims().Replace("\"sub\"", $"\"nbf\":{Now.AddMinutes(5).ToUnixTimeSeconds()},\"sub\"")) },
        { "alg none", Encode("{\"alg\":\"none\"}") + "." + Encode(Claims()) + "." },
        { "alg HS256", Encode("{\"alg\":\"HS256\"}") + "." + Encode(Claims()) + ".AAAA" },
        { "alg of another key kind", Sign("ES256", Claims(), header: "{\"alg\":\"RS256\",\"kid\":\"k1\"}") },
        { "unknown kid", Sign("ES256", Claims(), header: "{\"alg\":\"ES256\",\"kid\":\"k9\"}") },
        { "crit", Sign("ES256", Claims(), header: "{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}") },
        { "a claim changed", Tamper(Sign("ES256", Claims())) },
        { "duplicate claim", Sign("ES256", Claims().Replace("{\"iss\"", "{\"iss\":\"https://other\",\"iss\"")) },
        { "half a surrogate pair", Sign("ES256", Claims().Replace("\"me\"", "\"\\ud800\"")) },
        { "two parts", "a.b" },
        { "four parts", "a.b.c.d" },
        { "no base64", "!.!.!" },
        { "too long", new string('a', CompactJws.MaxLength + 1) + ".b.c" },
        { "empty", "" },
    };

    [Theory]
    [MemberData(nameof(Bad), DisableDiscoveryEnumeration = true)]
    public void A_bad_token_is_refused(string what, string token)
    {
        var verdict = Verify(token);
        Assert.True(verdict.Outcome == TokenOutcome.Invalid, what);
        Assert.Null(verdict.Jwt);
        Assert.DoesNotContain(token.Length > 20 ? token : "never", verdict.Reason);
    }

    [Fact]
    public void A_token_whose_keys_are_not_there_is_refused() =>
        Assert.Contains("not available", TokenVerifier.Verify([Rule], [new("authorization", "Bearer " + Sign("ES256", Claims()))], "/", _ => null, Now).Reason);

    [Fact]
    public void A_minute_of_skew_is_forgiven() => Assert.Equal(TokenOutcome.Valid, Verify(Sign("ES256", Claims(exp: Now.AddSeconds(-50).ToUnixTimeSeconds()))).Outcome);

    [Fact]
    public void Tokens_are_looked_for_where_the_rule_says()
    {
        var token = Sign("ES256", Claims());
        var rule = Rule with { FromHeaders = [new("x-token", "T ")], FromParams = ["t"], FromCookies = ["session"] };
        Assert.Equal(TokenOutcome.Valid, TokenVerifier.Verify([rule], [new("X-Token", "T " + token)], "/", _ => Keys, Now).Outcome);
        Assert.Equal(TokenOutcome.Valid, TokenVerifier.Verify([rule], [], "/a?x=1&t=" + token, _ => Keys, Now).Outcome);
        Assert.Equal(TokenOutcome.Valid, TokenVerifier.Verify([rule], [new("cookie", "a=b; session=" + token)], "/", _ => Keys, Now).Outcome);
        Assert.Equal(TokenOutcome.None, TokenVerifier.Verify([rule], [new("authorization", "Bearer " + token)], "/", _ => Keys, Now).Outcome);
        Assert.Equal(TokenOutcome.Valid, TokenVerifier.Verify([Rule], [], "/?access_token=" + token, _ => Keys, Now).Outcome);
    }

    [Fact]
    public void A_JWT_SVID_without_issuer_belongs_to_its_trust_domain()
    {
        var rule = Rule with { Issuer = "spiffe://example.org" };
        var claims = $"{{\"sub\":\"spiffe://example.org/ns/a/sa/b\",\"aud\":[\"pay\"],\"exp\":{Now.AddMinutes(5).ToUnixTimeSeconds()}}}";
        TokenOutcome Outcome(string text) => TokenVerifier.Verify([rule], [new("authorization", "Bearer " + Sign("ES256", text))], "/", _ => Keys, Now).Outcome;
        Assert.Equal(TokenOutcome.Valid, Outcome(claims));
        Assert.Equal(TokenOutcome.Invalid, Outcome(claims.Replace("example.org/ns", "other.org/ns")));
        Assert.Equal(TokenOutcome.Invalid, Outcome(claims.Replace("\"exp\"", "\"x\"")));
        Assert.Equal(TokenOutcome.Invalid, Outcome(claims.Replace("{\"sub\"", "{\"iss\":1,\"sub\"")));
    }

    private const string Svid = "{\"sub\":\"spiffe://example.org/ns/a/sa/b\",\"aud\":[\"pay\"],\"exp\":4000000000}";

    [Theory]
    [InlineData(Svid, null, true)]
    [InlineData("{\"iss\":\"spiffe://example.org\",\"sub\":\"spiffe://example.org/w\",\"aud\":\"pay\",\"exp\":4000000000}", null, true)]
    [InlineData("{\"iss\":\"spiffe://example.org\",\"sub\":\"spiffe://other.org/w\",\"aud\":\"pay\",\"exp\":4000000000}", null, false)]
    [InlineData("{\"iss\":\"spiffe://example.org\",\"sub\":\"alice\",\"aud\":\"pay\",\"exp\":4000000000}", null, false)]
    [InlineData("{\"iss\":\"spiffe://example.org\",\"sub\":\"spiffe://example.org/w\",\"aud\":\"pay\"}", null, false)]
    [InlineData("{\"sub\":\"spiffe://example.org\",\"aud\":\"pay\",\"exp\":4000000000}", null, false)]
    [InlineData("{\"sub\":\"spiffe://example.org/w\",\"exp\":4000000000}", null, false)]
    [InlineData("{\"sub\":\"spiffe://example.org/w\",\"aud\":\"other\",\"exp\":4000000000}", null, false)]
    [InlineData(Svid, "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"JWT\"}", true)]
    [InlineData(Svid, "{\"alg\":\"ES256\",\"kid\":\"k1\",\"jku\":\"https://evil\"}", false)]
    [InlineData(Svid, "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"at+jwt\"}", false)]
    public void The_issuer_that_is_a_trust_domain_takes_its_own_JWT_SVIDs_to_the_letter(string claims, string? header, bool believed)
    {
        var rule = Rule with { Issuer = "spiffe://example.org" };
        var verdict = TokenVerifier.Verify([rule], [new("authorization", "Bearer " + Sign("ES256", claims, header))], "/", _ => Keys, Now);
        Assert.True((verdict.Outcome == TokenOutcome.Valid) == believed, verdict.Reason);
        Assert.Equal(TokenOutcome.Invalid, TokenVerifier.Verify([rule with { Audiences = [] }], [new("authorization", "Bearer " + Sign("ES256", claims, header))], "/", _ => Keys, Now).Outcome);
    }

    [Theory]
    [InlineData("{issuer: \"spiffe://example.org\", audiences: [pay]}", null)]
    [InlineData("{issuer: \"spiffe://example.org\"}", "audiences")]
    [InlineData("{issuer: \"spiffe://example.org\", audiences: []}", "audiences")]
    [InlineData("{issuer: \"spiffe://example.org/server\", audiences: [pay]}", "no trust domain")]
    [InlineData("{issuer: \"spiffe://Example.org\", audiences: [pay]}", "no trust domain")]
    [InlineData("{issuer: \"spiffe://\", audiences: [pay]}", "no trust domain")]
    public void A_rule_for_JWT_SVIDs_needs_audiences_and_no_keys(string rule, string? problem)
    {
        var load = Ask.Load($"apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: r, namespace: production}}\nspec: {{jwtRules: [{rule}]}}");
        Assert.Equal(problem is not null, load.HasErrors);
        if (problem is null)
        {
            Assert.Empty(load.Problems);
            Assert.Equal("example.org", Assert.Single(load.Set.ForWorkload(Ask.Workload("production")).JwtRules).TrustDomain?.Name);
        }
        else
        {
            Assert.Contains(load.Problems, one => one.Message.Contains(problem, StringComparison.Ordinal));
            Assert.False(load.Set.ForWorkload(Ask.Workload("production")).Decide(Ask.Request("").Facts).Allowed);
        }
    }

    [Fact]
    public void Every_token_that_is_there_must_be_good()
    {
        var headers = new KeyValuePair<string, string>[] { new("authorization", "Bearer " + Sign("ES256", Claims())) };
        Assert.Equal(TokenOutcome.Valid, TokenVerifier.Verify([Rule], headers, "/", _ => Keys, Now).Outcome);
        Assert.Equal(TokenOutcome.Invalid, TokenVerifier.Verify([Rule], headers, "/?access_token=bad.bad.bad", _ => Keys, Now).Outcome);
    }

    [Fact]
    public void The_issuer_chooses_among_rules()
    {
        var other = Rule with { Issuer = "https://other", Audiences = [] };
        var verdict = TokenVerifier.Verify([Rule, other], [new("authorization", "Bearer " + Sign("ES256", Claims(iss: "https://other", aud: "\"x\"")))], "/", rule => rule == other ? Keys : null, Now);
        Assert.Equal((TokenOutcome.Valid, "https://other"), (verdict.Outcome, verdict.Rule?.Issuer));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("nonsense")]
    [InlineData("{\"keys\":[1]}")]
    [InlineData("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}")]
    [InlineData("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}")]
    [InlineData("{\"keys\":[],\"keys\":[]}")]
    [InlineData("{\"keys\":[{\"kty\":\"EC\",\"kid\":\"\\ud800\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}")]
    public void A_half_understood_key_set_is_refused(string json)
    {
        Assert.False(JsonWebKeys.TryParse(json, out _, out var problem));
        Assert.NotEmpty(problem);
        Assert.False(JsonWebKeys.TryParse(json + "\ud800", out _, out problem));
        Assert.NotEmpty(problem);
    }

    [Fact]
    public void Keys_for_other_uses_are_left_out() =>
        Assert.Equal(0, Parse("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"},{\"kty\":\"EC\",\"use\":\"enc\"},{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}]}").Count);

    [Fact]
    public void The_rules_of_all_objects_that_cover_a_workload_are_merged_by_issuer()
    {
        const string yaml = """
            apiVersion: security.istio.io/v1
            kind: RequestAuthentication
            metadata: {name: z, namespace: production}
            spec: {selector: {matchLabels: {app: payment-service}}, jwtRules: [{issuer: b, jwksUri: "https://b/keys", forwardOriginalToken: true, timeout: 2s}]}
            ---
            apiVersion: security.istio.io/v1
            kind: RequestAuthentication
            metadata: {name: root, namespace: istio-system}
            spec: {jwtRules: [{issuer: a, audiences: [x], fromHeaders: [{name: h, prefix: "P "}], outputClaimToHeaders: [{header: x-sub, claim: sub}], spaceDelimitedClaims: [roles]}]}
            ---
            apiVersion: security.istio.io/v1
            kind: RequestAuthentication
            metadata: {name: other, namespace: production}
            spec: {selector: {matchLabels: {app: other}}, jwtRules: [{issuer: c}]}
            """;
        var rules = Ask.Set(yaml).ForWorkload(Ask.Workload("production", ("app", "payment-service"))).JwtRules;
        Assert.Equal(["a", "b"], rules.Select(rule => rule.Issuer));
        Assert.Equal(["scope", "permission", "roles"], rules[0].SpaceDelimitedClaims);
        Assert.Equal((new Uri("https://b/keys"), true, TimeSpan.FromSeconds(2)), (rules[1].JwksUri, rules[1].ForwardOriginalToken, rules[1].Timeout));
    }

    [Theory]
    [InlineData("{audiences: [x]}")]
    [InlineData("{issuer: a, jwks: nonsense}")]
    [InlineData("{issuer: a, jwksUri: \"ftp://x\"}")]
    [InlineData("{issuer: a, jwks: \"{}\", jwksUri: \"https://x\"}")]
    [InlineData("{issuer: a, timeout: soon}")]
    [InlineData("{issuer: a, isuer: b}")]
    public void A_rule_that_can_not_be_understood_is_an_error_and_denies_what_it_covers(string rule)
    {
        var load = Ask.Load($"apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: r, namespace: production}}\nspec: {{jwtRules: [{rule}]}}");
        Assert.True(load.HasErrors);
        var decision = load.Set.ForWorkload(Ask.Workload("production")).Decide(Ask.Request("").Facts);
        Assert.Equal((false, "production/r"), (decision.Allowed, decision.Verdict.Policy));
    }

    private static TokenVerdict Verify(string token) => TokenVerifier.Verify([Rule], [new("Authorization", "Bearer " + token)], "/", _ => Keys, Now);

    private static JsonWebKeys Parse(string json)
    {
        Assert.True(JsonWebKeys.TryParse(json, out var keys, out var problem), problem);
        return keys;
    }

    private static string Sign(string algorithm, string claims, string? header = null)
    {
        var text = Encode(header ?? $"{{\"alg\":\"{algorithm}\",\"kid\":\"{(algorithm == "ES256" ? "k1" : "k2")}\"}}") + "." + Encode(claims);
        var data = Encoding.ASCII.GetBytes(text);
        var hash = algorithm[2..] switch { "256" => HashAlgorithmName.SHA256, "384" => HashAlgorithmName.SHA384, _ => HashAlgorithmName.SHA512 };
        var signature = algorithm[0] == 'E' ? Ec.SignData(data, hash) : Rsa.SignData(data, hash, algorithm[0] == 'R' ? RSASignaturePadding.Pkcs1 : RSASignaturePadding.Pss);
        return text + "." + Base64Url.EncodeToString(signature);
    }

    private static string Tamper(string token)
    {
        var parts = token.Split('.');
        var claims = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(parts[1])).Replace("\"me\"", "\"you\"");
        return parts[0] + "." + Encode(claims) + "." + parts[2];
    }

    private static string Encode(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));

    private static string EcKey(ECDsa key, string id)
    {
        var q = key.ExportParameters(false).Q;
        return $"{{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"{id}\",\"x\":\"{Base64Url.EncodeToString(q.X)}\",\"y\":\"{Base64Url.EncodeToString(q.Y)}\"}}";
    }

    private static string RsaKey(RSA key, string id)
    {
        var numbers = key.ExportParameters(false);
        return $"{{\"kty\":\"RSA\",\"use\":\"sig\",\"kid\":\"{id}\",\"n\":\"{Base64Url.EncodeToString(numbers.Modulus)}\",\"e\":\"{Base64Url.EncodeToString(numbers.Exponent)}\"}}";
    }
}
