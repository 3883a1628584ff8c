using System.Globalization;
using System.Text.Json;
using Signet.Identity.Spiffe;

namespace Signet.Identity.Jose;

/// <summary>What came of a JWT-SVID.</summary>
/// <param name="Id">Whose it is; null when it is not believed.</param>
/// <param name="Claims">All claims, when it is believed.</param>
/// <param name="ExpiresAt">Until when it holds, when it is believed.</param>
/// <param name="Reason">Why it is not believed; it never contains the token. Empty when it is.</param>
public sealed record JwtSvidVerdict(SpiffeId? Id, JsonElement Claims, DateTimeOffset ExpiresAt, string Reason)
{
    public bool IsTrusted => Id is not null;
}

/// <summary>Decides whether a JWT-SVID is believed (JWT-SVID §4). Pure: bundles and time are arguments.</summary>
public static class JwtSvidVerifier
{
    /// <param name="token">What somebody sent.</param>
    /// <param name="bundleOf">The bundle of a trust domain; null when it is not trusted. Only the subject's own is asked for.</param>
    /// <param name="audience">What the verifier is called; the token must name it.</param>
    /// <param name="now">The time. No skew is forgiven: the clocks of a trust domain are its own.</param>
    public static JwtSvidVerdict Verify(string token, Func<TrustDomain, JwtBundle?> bundleOf, string audience, DateTimeOffset now)
    {
        if (!CompactJws.TryParse(token, out var jws, out var problem))
        {
            return Refused(problem);
        }

        using (jws)
        {
            if (!JwtSvid.TryReadSubject(jws, out var id, out problem))
            {
                return Refused(problem);
            }

            if (bundleOf(id.TrustDomain) is not { } bundle)
            {
                return Refused($"there is no JWT bundle of trust domain {id.TrustDomain}");
            }

            var (algorithm, keyId) = (jws.HeaderText("alg")!, jws.HeaderText("kid"));
            if (!bundle.Authorities.Any(authority => (keyId is null || keyId == authority.KeyId) && authority.Key.Verifies(algorithm, jws.Signed, jws.Signature)))
            {
                return Refused($"no JWT key of trust domain {id.TrustDomain} made the signature");
            }

            _ = jws.TryClaimTime("exp", out var expires) & jws.TryClaimTime("nbf", out var begins);
            if (now >= expires)
            {
                return Refused(string.Create(CultureInfo.InvariantCulture, $"the token expired at {expires:u}; it is {now:u}"));
            }

            if (begins is { } start && now < start)
            {
                return Refused(string.Create(CultureInfo.InvariantCulture, $"the token is not valid before {start:u}; it is {now:u}"));
            }

            return jws.ClaimTexts("aud").Contains(audience)
                ? new JwtSvidVerdict(id, jws.Claims.Clone(), expires!.Value, "")
                : Refused($"the token is for \"{Printable.Of(string.Join(", ", jws.ClaimTexts("aud")))}\", not for \"{Printable.Of(audience)}\"");
        }
    }

    private static JwtSvidVerdict Refused(string reason) => new(null, default, default, reason);
}
