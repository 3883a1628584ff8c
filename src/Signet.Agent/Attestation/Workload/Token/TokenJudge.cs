using System.Collections.Immutable;
using System.Globalization;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Agent.Attestation.Workload.Token;

/// <summary>What came of a workload's token.</summary>
/// <param name="Selectors">What it proves; none when there was no token.</param>
/// <param name="ExpiresAt">Until when; the end of time when there was no token.</param>
/// <param name="Reason">Why it is refused; it never contains the token. Empty when it is not.</param>
internal sealed record TokenVerdict(ImmutableArray<Selector> Selectors, DateTimeOffset ExpiresAt, string Reason)
{
    public static readonly TokenVerdict None = new([], DateTimeOffset.MaxValue, "");

    public bool IsRefused => Reason.Length > 0;

    public static TokenVerdict Refused(string reason) => new([], default, reason);
}

/// <summary>Decides whether a workload's token is believed, and what it says (RFC 7515, RFC 7519 §7.2). Pure: keys and time are arguments.</summary>
internal static class TokenJudge
{
    /// <summary>The type of the selectors.</summary>
    public const string Type = "token";

    /// <summary>The longest value of a claim that becomes a selector, in characters.</summary>
    public const int MaxValueLength = 256;

    /// <summary>How far an issuer's clock may be ahead.</summary>
    private static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(60);

    /// <param name="token">What somebody sent.</param>
    /// <param name="issuers">Who is believed.</param>
    /// <param name="keysOf">The keys of one of them.</param>
    /// <param name="audiences">For whom tokens are made; one must be named.</param>
    /// <param name="maxLifetime">The longest time from issue to expiry.</param>
    /// <param name="now">The time. An expiry is never forgiven.</param>
    public static TokenVerdict Judge(
        string token, IReadOnlyList<WorkloadTokenIssuer> issuers, Func<WorkloadTokenIssuer, JsonWebKeys> keysOf, IReadOnlyList<string> audiences, TimeSpan maxLifetime, DateTimeOffset now)
    {
        if (!CompactJws.TryParse(token, out var jws, out var problem))
        {
            return TokenVerdict.Refused(problem);
        }

        using (jws)
        {
            // 1. Who says so? The issuer decides which keys and algorithms count, never the token.
            var named = jws.ClaimText("iss") ?? "";
            if (issuers.FirstOrDefault(one => one.Issuer == named) is not { } issuer)
            {
                return TokenVerdict.Refused($"the issuer \"{Printable.Of(named)}\" is not one that is believed here");
            }

            var (algorithm, keyId) = (jws.HeaderText("alg") ?? "", jws.HeaderText("kid"));
            if (!issuer.Algorithms.Contains(algorithm, StringComparer.Ordinal) || jws.Header.TryGetProperty("crit", out _))
            {
                return TokenVerdict.Refused($"the algorithm \"{Printable.Of(algorithm)}\" or the token's critical extensions are not accepted");
            }

            if (!keysOf(issuer).Keys.Any(key => (keyId is null || key.KeyId is null || key.KeyId == keyId) && key.Verifies(algorithm, jws.Signed, jws.Signature)))
            {
                return TokenVerdict.Refused($"no key of the issuer \"{Printable.Of(named)}\" made the signature");
            }

            // 2. To whom, and for how long?
            problem = TimeProblem(jws, maxLifetime, now, out var expiresAt) ?? AudienceProblem(jws, audiences) ?? "";
            return problem.Length == 0 ? Claims(jws, issuer, expiresAt) : TokenVerdict.Refused(problem);
        }
    }

    private static string? AudienceProblem(CompactJws jws, IReadOnlyList<string> audiences) => jws.ClaimTexts("aud").Any(audiences.Contains)
        ? null
        : $"the token is for \"{Printable.Of(string.Join(", ", jws.ClaimTexts("aud")))}\", not for \"{string.Join("\" or \"", audiences)}\"";

    private static string? TimeProblem(CompactJws jws, TimeSpan maxLifetime, DateTimeOffset now, out DateTimeOffset expiresAt)
    {
        expiresAt = default;
        if (!jws.TryClaimTime("exp", out var expires) || !jws.TryClaimTime("iat", out var issued) || !jws.TryClaimTime("nbf", out var begins) || expires is not { } end || issued is not { } start)
        {
            return "the token's exp and iat must be there, and they and nbf be numbers of seconds";
        }

        expiresAt = end;
        var first = begins > start ? begins.Value : start;
        return now >= end ? string.Create(CultureInfo.InvariantCulture, $"the token expired at {end:u}; it is {now:u}")
            : now < first - ClockSkew ? string.Create(CultureInfo.InvariantCulture, $"the token is not valid before {first:u}; it is {now:u}")
            : end - start > maxLifetime ? string.Create(CultureInfo.InvariantCulture, $"the token is valid for {(end - start).TotalSeconds} s; at most {maxLifetime.TotalSeconds} s are accepted")
            : null;
    }

    // 3. What does it say, and may it?
    private static TokenVerdict Claims(CompactJws jws, WorkloadTokenIssuer issuer, DateTimeOffset expiresAt)
    {
        var selectors = ImmutableArray.CreateBuilder<Selector>();
        foreach (var claim in issuer.Claims.Keys.Where(claim => jws.Claims.TryGetProperty(claim, out _)))
        {
            var value = jws.ClaimText(claim);
            if (value is not { Length: > 0 and <= MaxValueLength } || value.Any(char.IsControl))
            {
                return TokenVerdict.Refused($"the token's claim {claim} is not a text of 1 to {MaxValueLength} characters");
            }

            if (!issuer.MaySay(claim, value))
            {
                return TokenVerdict.Refused($"the issuer \"{Printable.Of(issuer.Issuer)}\" may not claim the {claim} \"{Printable.Of(value)}\"");
            }

            selectors.Add(new Selector(Type, $"{claim}:{value}"));
        }

        return selectors.Count > 0
            ? new TokenVerdict(selectors.ToImmutable(), expiresAt, "")
            : TokenVerdict.Refused($"the token claims none of {string.Join(", ", issuer.Claims.Keys.Order(StringComparer.Ordinal))}");
    }
}
