using System.Globalization;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Policy.Objects;

namespace Signet.Policy.Jwt;

/// <summary>
/// Checks the tokens of a request against the RequestAuthentication rules of a workload (RFC 7515, RFC 7519 §7.2). Pure: keys and time are
/// arguments. Every token that stands where some rule looks must be good, else the request is refused.
/// </summary>
public static class TokenVerifier
{
    /// <summary>How many tokens one request may bring.</summary>
    private const int MaxTokens = 16;

    /// <summary>How far the issuer's clock may be off.</summary>
    private static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(60);

    /// <param name="rules">The workload's rules, <see cref="WorkloadPolicy.JwtRules"/>.</param>
    /// <param name="headers">The request's headers.</param>
    /// <param name="target">The request target, query included.</param>
    /// <param name="keysOf">A rule's keys; null when they are not there (yet), which refuses the token.</param>
    /// <param name="now">The time.</param>
    public static TokenVerdict Verify(
        IReadOnlyList<JwtRule> rules, IReadOnlyList<KeyValuePair<string, string>> headers, string? target, Func<JwtRule, JsonWebKeys?> keysOf, DateTimeOffset now)
    {
        var tokens = new Dictionary<string, List<JwtRule>>(StringComparer.Ordinal);
        foreach (var rule in rules)
        {
            foreach (var token in TokenPlaces.In(rule, headers, target))
            {
                if (tokens.TryGetValue(token, out var takers))
                {
                    takers.Add(rule);
                }
                else if (tokens.Count == MaxTokens)
                {
                    return Refused($"the request brings more than {MaxTokens} tokens");
                }
                else
                {
                    tokens.Add(token, [rule]);
                }
            }
        }

        TokenVerdict? first = null;
        foreach (var (token, takers) in tokens)
        {
            var verdict = VerifyOne(token, takers, keysOf, now);
            if (verdict.Outcome == TokenOutcome.Invalid)
            {
                return verdict;
            }

            first ??= verdict;
        }

        return first ?? new TokenVerdict(TokenOutcome.None, null, null, "the request brings no token");
    }

    private static TokenVerdict VerifyOne(string token, List<JwtRule> takers, Func<JwtRule, JsonWebKeys?> keysOf, DateTimeOffset now)
    {
        if (!CompactJws.TryParse(token, out var jws, out var problem))
        {
            return Refused(problem);
        }

        using (jws)
        {
            var verdict = VerifyParts(jws, takers, keysOf, now);
            return verdict.Outcome == TokenOutcome.Valid ? verdict with { Token = token } : verdict;
        }
    }

    private static TokenVerdict VerifyParts(CompactJws token, List<JwtRule> takers, Func<JwtRule, JsonWebKeys?> keysOf, DateTimeOffset now)
    {
        // 1. The issuer chooses the rules. A JWT-SVID may have none; then its trust domain is meant (JWT-SVID §3).
        var issuer = token.ClaimText("iss") ?? TrustDomainOf(token);
        var ofIssuer = takers.FindAll(rule => string.Equals(rule.Issuer, issuer, StringComparison.Ordinal));
        if (ofIssuer.Count == 0)
        {
            return Refused($"no RequestAuthentication rule takes tokens of the issuer \"{Printable.Of(issuer ?? "")}\" from there");
        }

        // 2. What a trust domain issues is a JWT-SVID of its own, to the letter.
        if (ofIssuer[0].TrustDomain is { } trustDomain)
        {
            if (!JwtSvid.TryReadSubject(token, out var subject, out var problem))
            {
                return Refused($"the token of \"{Printable.Of(issuer!)}\" is not a JWT-SVID: {problem}");
            }

            if (subject.TrustDomain != trustDomain)
            {
                return Refused($"the token is about {subject}, which {issuer} may not speak for");
            }
        }

        // 3. The signature, by an algorithm with a public key.
        var algorithm = token.HeaderText("alg");
        if (JwsAlgorithm.Find(algorithm) is null || token.Header.TryGetProperty("crit", out _))
        {
            return Refused($"the token's algorithm \"{Printable.Of(algorithm ?? "")}\" or its critical extensions are not accepted");
        }

        var keyId = token.HeaderText("kid");
        var signed = ofIssuer.FindAll(rule => keysOf(rule) is { } keys && keys.Keys.Any(key =>
            (keyId is null || key.KeyId is null || key.KeyId == keyId) && key.Verifies(algorithm!, token.Signed, token.Signature)));
        if (signed.Count == 0)
        {
            return Refused(ofIssuer.TrueForAll(rule => keysOf(rule) is null)
                ? $"the keys of the issuer \"{Printable.Of(issuer!)}\" are not available"
                : $"no key of the issuer \"{Printable.Of(issuer!)}\" made the token's signature") with
            { WantsKeys = true };
        }

        // 4. Time.
        if (!token.TryClaimTime("exp", out var expires) || !token.TryClaimTime("nbf", out var begins))
        {
            return Refused("the token's exp or nbf is not a number of seconds");
        }

        if (expires is { } end && now > end + ClockSkew)
        {
            return Refused(string.Create(CultureInfo.InvariantCulture, $"the token expired at {end:u}; it is {now:u}"));
        }

        if (begins is { } start && now < start - ClockSkew)
        {
            return Refused(string.Create(CultureInfo.InvariantCulture, $"the token is not valid before {start:u}; it is {now:u}"));
        }

        // 5. The audience.
        var audiences = token.ClaimTexts("aud");
        var accepted = signed.Find(rule => (rule.Audiences.Count == 0 && rule.TrustDomain is null) || rule.Audiences.Any(audiences.Contains));
        return accepted is null
            ? Refused($"the token is for \"{Printable.Of(string.Join(", ", audiences))}\", which no rule accepts")
            : new TokenVerdict(TokenOutcome.Valid, new ValidatedJwt(TokenClaims.Of(token.Claims, accepted.SpaceDelimitedClaims)) { Issuer = issuer }, accepted, $"the token of \"{Printable.Of(issuer!)}\" is good");
    }

    private static string? TrustDomainOf(CompactJws token) =>
        !token.Claims.TryGetProperty("iss", out _) && SpiffeId.TryParse(token.ClaimText("sub"), out var id, out _) ? id.TrustDomain.IdString : null;

    private static TokenVerdict Refused(string reason) => new(TokenOutcome.Invalid, null, null, reason);
}
