using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Signet.Identity.Spiffe;
using Signet.Policy.Objects;

namespace Signet.Policy.Jwt;

/// <summary>
/// Checks the tokens of a request against the RequestAuthentication rules of a workload (RFC 7515, RFC 7519 §7.2). Pure: keys and time are
/// arguments. Every token that stands where some rule looks must be good, else the request is refused.
/// </summary>
public static class TokenVerifier
{
    /// <summary>The longest token that is looked at, in characters.</summary>
    public const int MaxTokenLength = 16 * 1024;

    /// <summary>How many tokens one request may bring.</summary>
    private const int MaxTokens = 16;

    private const int MaxDepth = 16;

    /// <summary>How far the issuer's clock may be off.</summary>
    private static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(60);

    private static readonly string[] Algorithms = ["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

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
        // 1. Three parts, two of them JSON objects.
        var firstDot = token.IndexOf('.', StringComparison.Ordinal);
        var lastDot = token.LastIndexOf('.');
        if (token.Length > MaxTokenLength || firstDot <= 0 || lastDot <= firstDot || token.AsSpan(firstDot + 1, lastDot - firstDot - 1).Contains('.'))
        {
            return Refused("the token is not a signed JWT");
        }

        JsonDocument? header = null;
        JsonDocument? claims = null;
        try
        {
            var options = new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false };
            header = JsonDocument.Parse(Base64Url.DecodeFromChars(token.AsSpan(0, firstDot)), options);
            claims = JsonDocument.Parse(Base64Url.DecodeFromChars(token.AsSpan(firstDot + 1, lastDot - firstDot - 1)), options);
            if (header.RootElement.ValueKind != JsonValueKind.Object || claims.RootElement.ValueKind != JsonValueKind.Object)
            {
                return Refused("the token's header or claims are not objects");
            }

            return VerifyParts(header.RootElement, claims.RootElement, token, lastDot, takers, keysOf, now);
        }
        catch (Exception bad) when (bad is JsonException or FormatException)
        {
            return Refused("the token can't be decoded");
        }
        finally
        {
            header?.Dispose();
            claims?.Dispose();
        }
    }

    private static TokenVerdict VerifyParts(
        JsonElement header, JsonElement claims, string token, int lastDot, List<JwtRule> takers, Func<JwtRule, JsonWebKeys?> keysOf, DateTimeOffset now)
    {
        // 2. The issuer chooses the rules. A JWT-SVID may have none; then its trust domain is meant (JWT-SVID §3).
        var issuer = Text(claims, "iss") ?? TrustDomainOf(claims);
        var ofIssuer = takers.FindAll(rule => string.Equals(rule.Issuer, issuer, StringComparison.Ordinal));
        if (ofIssuer.Count == 0)
        {
            return Refused($"no RequestAuthentication rule takes tokens of the issuer \"{Printable.Of(issuer ?? "")}\" from there");
        }

        // 3. The signature, by an algorithm with a public key.
        var algorithm = Text(header, "alg");
        if (algorithm is null || !Algorithms.Contains(algorithm) || header.TryGetProperty("crit", out _))
        {
            return Refused($"the token's algorithm \"{Printable.Of(algorithm ?? "")}\" or its critical extensions are not accepted");
        }

        var data = Encoding.ASCII.GetBytes(token[..lastDot]);
        var signature = Base64Url.DecodeFromChars(token.AsSpan(lastDot + 1));
        var keyId = Text(header, "kid");
        var signed = ofIssuer.FindAll(rule => keysOf(rule) is { } keys && keys.Keys.Any(key =>
            (keyId is null || key.KeyId is null || key.KeyId == keyId) && key.Verifies(algorithm, data, signature)));
        if (signed.Count == 0)
        {
            return Refused(ofIssuer.TrueForAll(rule => keysOf(rule) is null)
                ? $"the keys of the issuer \"{Printable.Of(issuer!)}\" are not available"
                : $"no key of the issuer \"{Printable.Of(issuer!)}\" made the token's signature") with { WantsKeys = true };
        }

        // 4. Time.
        if (!TryTime(claims, "exp", out var expires) || !TryTime(claims, "nbf", out var begins))
        {
            return Refused("the token's exp or nbf is not a number of seconds");
        }

        if (expires is null && !claims.TryGetProperty("iss", out _))
        {
            return Refused("the token is a JWT-SVID without exp");
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
        var audiences = Texts(claims, "aud");
        var accepted = signed.Find(rule => rule.Audiences.Count == 0 || rule.Audiences.Any(audiences.Contains));
        return accepted is null
            ? Refused($"the token is for \"{Printable.Of(string.Join(", ", audiences))}\", which no rule accepts")
            : new TokenVerdict(TokenOutcome.Valid, new ValidatedJwt(TokenClaims.Of(claims, accepted.SpaceDelimitedClaims)), accepted, $"the token of \"{Printable.Of(issuer!)}\" is good") { Token = token };
    }

    private static string? TrustDomainOf(JsonElement claims) =>
        !claims.TryGetProperty("iss", out _) && SpiffeId.TryParse(Text(claims, "sub"), out var id, out _) ? id.TrustDomain.IdString : null;

    private static TokenVerdict Refused(string reason) => new(TokenOutcome.Invalid, null, null, reason);

    private static bool TryTime(JsonElement claims, string name, out DateTimeOffset? time)
    {
        time = null;
        if (!claims.TryGetProperty(name, out var value))
        {
            return true;
        }

        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out var seconds) || seconds is < 0 or > 253402300799)
        {
            return false;
        }

        time = DateTimeOffset.FromUnixTimeSeconds((long)seconds);
        return true;
    }

    private static string? Text(JsonElement item, string name) =>
        item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static IReadOnlyList<string> Texts(JsonElement item, string name) => !item.TryGetProperty(name, out var value) ? [] : value.ValueKind switch
    {
        JsonValueKind.String => [value.GetString()!],
        JsonValueKind.Array => [.. value.EnumerateArray().Where(one => one.ValueKind == JsonValueKind.String).Select(one => one.GetString()!)],
        _ => [],
    };
}
