using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Identity.Jose;

/// <summary>What came of a WIT-SVID.</summary>
/// <param name="Id">Whose it is; null when it is not believed.</param>
/// <param name="Confirmation">The key that its holder must prove to have, when it is believed. Without that proof the token is nobody's (WIT-SVID §4).</param>
/// <param name="ExpiresAt">Until when it holds, when it is believed.</param>
/// <param name="Reason">Why it is not believed; it never contains the token. Empty when it is.</param>
public sealed record WitSvidVerdict(SpiffeId? Id, JwsKey? Confirmation, DateTimeOffset ExpiresAt, string Reason)
{
    public bool IsTrusted => Id is not null;
}

/// <summary>
/// WIT-SVIDs: tokens that bind a key to an identity, and that are worth nothing without a proof of possession of the key (WIT-SVID, incubating).
/// Pure: keys, bundles and time are arguments.
/// </summary>
public static class WitSvid
{
    private const string Type = "wit+jwt";
    private const int TokenIdBytes = 16;

    /// <summary>Makes a token.</summary>
    /// <param name="id">The subject.</param>
    /// <param name="confirmation">The workload's key.</param>
    /// <param name="issuedAt">From when on it is, whole seconds.</param>
    /// <param name="notBefore">From when on it holds, whole seconds; a little before, for clocks that are behind.</param>
    /// <param name="expiresAt">Until when it holds, whole seconds.</param>
    /// <param name="keyId">What the signing key is called.</param>
    /// <param name="key">What signs.</param>
    /// <returns>A compact JWS.</returns>
    /// <exception cref="CryptographicException">The key refused.</exception>
    public static string Sign(SpiffeId id, JwsKey confirmation, DateTimeOffset issuedAt, DateTimeOffset notBefore, DateTimeOffset expiresAt, string keyId, AsymmetricAlgorithm key) =>
        JwsWriter.Sign(Type, keyId, key, wished: null, writer =>
        {
            writer.WriteString("sub", id.Uri);
            writer.WriteStartObject("cnf");
            writer.WriteStartObject("jwk");
            JsonWebKey.WritePublicKey(writer, confirmation.PublicKey);
            writer.WriteString("alg", JwsAlgorithm.Of(confirmation.PublicKey).Name);
            writer.WriteEndObject();
            writer.WriteEndObject();
            writer.WriteString("jti", Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(TokenIdBytes)));
            writer.WriteNumber("iat", issuedAt.ToUnixTimeSeconds());
            writer.WriteNumber("nbf", notBefore.ToUnixTimeSeconds());
            writer.WriteNumber("exp", expiresAt.ToUnixTimeSeconds());
        });

    /// <summary>The workload's key as the Workload API hands it out: a private JWK with <c>kid</c> and <c>alg</c> (Workload API §7.2.1). Secret.</summary>
    /// <param name="key">An EC key.</param>
    /// <param name="keyId">What to call it.</param>
    public static string PrivateKeyJson(ECDsa key, string keyId)
    {
        var publicKey = PublicKey.Read(KeyPair.ExportPublicKey(key));
        var secret = key.ExportParameters(includePrivateParameters: true).D!;
        try
        {
            return SpiffeBundle.Written(writer =>
            {
                writer.WriteStartObject();
                JsonWebKey.WritePublicKey(writer, publicKey);
                writer.WriteString("d", Base64Url.EncodeToString(secret));
                writer.WriteString("alg", JwsAlgorithm.Of(publicKey).Name);
                writer.WriteString("kid", keyId);
                writer.WriteEndObject();
            });
        }
        finally
        {
            CryptographicOperations.ZeroMemory(secret);
        }
    }

    /// <summary>Decides whether a token is believed, but for the proof of possession, which its presentation must bring.</summary>
    /// <param name="token">What somebody sent.</param>
    /// <param name="bundleOf">The bundle of a trust domain; null when it is not trusted. Only the subject's own is asked for.</param>
    /// <param name="now">The time. No skew is forgiven: the clocks of a trust domain are its own.</param>
    public static WitSvidVerdict Verify(string token, Func<TrustDomain, WitBundle?> bundleOf, DateTimeOffset now)
    {
        if (!CompactJws.TryParse(token, out var jws, out var problem))
        {
            return Refused(problem);
        }

        using (jws)
        {
            return !TryReadProfile(jws, out var id, out var confirmation, out problem) ? Refused(problem)
                : bundleOf(id!.TrustDomain) is not { } bundle ? Refused($"there is no WIT bundle of trust domain {id.TrustDomain}")
                : !bundle.Authorities.Any(authority => authority.KeyId == jws.HeaderText("kid") && authority.Key.Verifies(jws.HeaderText("alg")!, jws.Signed, jws.Signature))
                    ? Refused($"no WIT key of trust domain {id.TrustDomain} made the signature")
                : Judge(jws, id, confirmation!, now);
        }
    }

    // WIT-SVID §2 and §3; headers that are not known are ignored, unless they are critical (RFC 7515 §4.1.11).
    private static bool TryReadProfile(CompactJws jws, out SpiffeId? id, out JwsKey? confirmation, out string problem)
    {
        (id, confirmation) = (null, null);
        problem = jws.HeaderText("typ") != Type ? $"typ is not {Type} (WIT-SVID §2.2)"
            : string.IsNullOrEmpty(jws.HeaderText("kid")) ? "kid is missing (WIT-SVID §2.1)"
            : jws.Header.TryGetProperty("crit", out _) ? "it has headers that must be understood and are not"
            : JwsAlgorithm.Find(jws.HeaderText("alg")) is null ? $"the algorithm \"{Printable.Of(jws.HeaderText("alg") ?? "")}\" is not one of a WIT-SVID (§2.3)"
            : jws.Claims.TryGetProperty("aud", out _) ? "it has an audience, which a WIT-SVID has not: it would be a bearer token"
            : "";
        if (problem.Length > 0)
        {
            return false;
        }

        if (!SpiffeId.TryParse(jws.ClaimText("sub"), out id, out problem) || !id.HasPath)
        {
            problem = $"sub is not a workload's SPIFFE ID{(problem.Length > 0 ? ": " + problem : "")}";
            return false;
        }

        if (!jws.Claims.TryGetProperty("cnf", out var cnf) || cnf.ValueKind != JsonValueKind.Object || !cnf.TryGetProperty("jwk", out var jwk)
            || !JwsKey.TryRead(jwk, out confirmation, out _) || confirmation is null)
        {
            problem = "cnf.jwk is not a public key (WIT-SVID §3.2)";
            return false;
        }

        if (jwk.TryGetProperty("d", out _))
        {
            problem = "cnf.jwk is a private key";
            return false;
        }

        if (JwsAlgorithm.Find(confirmation.Algorithm)?.GoesWith(confirmation.PublicKey) != true)
        {
            problem = "cnf.jwk.alg is not an algorithm of its key (WIT-SVID §3.2)";
            return false;
        }

        if (!jws.TryClaimTime("exp", out var expires) || expires is null || !jws.TryClaimTime("nbf", out _) || !jws.TryClaimTime("iat", out _))
        {
            problem = "exp is missing, or a time is not a number of seconds";
            return false;
        }

        return true;
    }

    private static WitSvidVerdict Judge(CompactJws jws, SpiffeId id, JwsKey confirmation, DateTimeOffset now)
    {
        _ = jws.TryClaimTime("exp", out var expires) & jws.TryClaimTime("nbf", out var begins);
        return now >= expires ? Refused(string.Create(CultureInfo.InvariantCulture, $"the token expired at {expires:u}; it is {now:u}"))
            : begins is { } start && now < start ? Refused(string.Create(CultureInfo.InvariantCulture, $"the token is not valid before {start:u}; it is {now:u}"))
            : new WitSvidVerdict(id, confirmation, expires!.Value, "");
    }

    private static WitSvidVerdict Refused(string reason) => new(null, null, default, reason);
}
