using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Signet.Identity.Spiffe;

namespace Signet.Identity.Jose;

/// <summary>JWT-SVIDs: making them, and the rules of their profile (JWT-SVID §2 and §3) that every reader here asks.</summary>
public static class JwtSvid
{
    /// <summary>How many audiences a token may be for.</summary>
    public const int MaxAudiences = 32;

    /// <summary>The longest audience, in characters.</summary>
    public const int MaxAudienceLength = 2048;

    private static readonly string[] AllowedHeaders = ["alg", "kid", "typ"];

    /// <summary>Whether a token may be asked for with these audiences: at least one, none empty, within the limits.</summary>
    public static bool TryCheckAudiences(IReadOnlyList<string> audiences, out string problem)
    {
        problem = audiences.Count == 0 ? "audience is missing; name at least one"
            : audiences.Count > MaxAudiences ? $"{audiences.Count} audiences; the limit is {MaxAudiences}"
            : audiences.Any(string.IsNullOrEmpty) ? "an audience is empty"
            : audiences.FirstOrDefault(audience => audience.Length > MaxAudienceLength) is { } tooLong ? $"an audience is {tooLong.Length} characters long; the limit is {MaxAudienceLength}"
            : "";
        return problem.Length == 0;
    }

    /// <summary>
    /// Makes a token: <c>sub</c>, <c>aud</c>, <c>iat</c>, <c>exp</c>, and <c>iss</c> only when it is given, for the subject names its trust domain. Only
    /// the key's virtual signing method is used, so that keys in hardware work too.
    /// </summary>
    /// <param name="id">The subject.</param>
    /// <param name="audiences">Whom it is for.</param>
    /// <param name="issuedAt">From when on it is.</param>
    /// <param name="expiresAt">Until when it holds.</param>
    /// <param name="keyId">What the key is called.</param>
    /// <param name="key">What signs.</param>
    /// <param name="issuer">The <c>iss</c>, or null.</param>
    /// <param name="wished">The algorithm, when it goes with the key; otherwise the key's usual one is taken.</param>
    /// <returns>A compact JWS. Secret.</returns>
    /// <exception cref="CryptographicException">The key refused.</exception>
    public static string Sign(
        SpiffeId id, IReadOnlyList<string> audiences, DateTimeOffset issuedAt, DateTimeOffset expiresAt, string keyId, AsymmetricAlgorithm key, string? issuer = null, JwsAlgorithm? wished = null) =>
        JwsWriter.Sign("JWT", keyId, key, wished, writer =>
        {
            writer.WriteString("sub", id.Uri);
            writer.WriteStartArray("aud");
            foreach (var audience in audiences)
            {
                writer.WriteStringValue(audience);
            }

            writer.WriteEndArray();
            if (issuer is not null)
            {
                writer.WriteString("iss", issuer);
            }

            writer.WriteNumber("iat", issuedAt.ToUnixTimeSeconds());
            writer.WriteNumber("exp", expiresAt.ToUnixTimeSeconds());
        });

    /// <summary>
    /// Whether header and claims keep the profile: only the headers that it knows, an algorithm of its list, a workload's SPIFFE ID as subject, an
    /// audience, an expiry. Signature, time and whether the audience is one's own are other questions.
    /// </summary>
    public static bool TryReadSubject(CompactJws token, [NotNullWhen(true)] out SpiffeId? subject, out string problem)
    {
        subject = null;
        foreach (var header in token.Header.EnumerateObject())
        {
            if (!AllowedHeaders.Contains(header.Name))
            {
                problem = $"the header \"{Printable.Of(header.Name)}\" has no place in a JWT-SVID";
                return false;
            }
        }

        if (JwsAlgorithm.Find(token.HeaderText("alg")) is null)
        {
            problem = $"the algorithm \"{Printable.Of(token.HeaderText("alg") ?? "")}\" is not one of a JWT-SVID";
            return false;
        }

        if ((token.Header.TryGetProperty("typ", out _) && token.HeaderText("typ") is not ("JWT" or "JOSE")) || (token.Header.TryGetProperty("kid", out _) && token.HeaderText("kid") is null))
        {
            problem = "typ is neither JWT nor JOSE, or kid is not a text";
            return false;
        }

        if (!SpiffeId.TryParse(token.ClaimText("sub"), out var id, out problem) || !id.HasPath)
        {
            problem = $"sub is not a workload's SPIFFE ID{(problem.Length > 0 ? ": " + problem : "")}";
            return false;
        }

        if (token.ClaimTexts("aud").Count == 0)
        {
            problem = "aud is missing";
            return false;
        }

        if (!token.TryClaimTime("exp", out var expires) || expires is null || !token.TryClaimTime("nbf", out _) || !token.TryClaimTime("iat", out _))
        {
            problem = "exp is missing, or a time is not a number of seconds";
            return false;
        }

        (subject, problem) = (id, "");
        return true;
    }
}
