using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json;
using Signet.Identity.X509;

namespace Signet.Identity.Jose;

/// <summary>One key of a SPIFFE bundle (RFC 7517 §4; X509-SVID §6).</summary>
internal static class JsonWebKey
{
    private const string X509Use = "x509-svid";

    /// <summary>
    /// Reads the authority of a key. A key that SPIFFE says to ignore (no or unknown <c>kty</c> or <c>use</c>, another use, no <c>x5c</c>) gives
    /// true and null; one that is meant for X509-SVIDs but cannot be read gives false.
    /// </summary>
    public static bool TryReadX509(JsonElement key, out Certificate? authority, out string problem)
    {
        authority = null;
        problem = "";
        if (key.ValueKind != JsonValueKind.Object)
        {
            problem = "it is not an object";
            return false;
        }

        if (JwsKey.Text(key, "kty") is not ("EC" or "RSA" or "OKP") || JwsKey.Text(key, "use") != X509Use
            || !key.TryGetProperty("x5c", out var chain) || chain.ValueKind != JsonValueKind.Array || chain.GetArrayLength() == 0)
        {
            return true;
        }

        // X509-SVID §6.2: only the first value counts.
        var first = chain[0];
        if (first.ValueKind != JsonValueKind.String || !first.TryGetBytesFromBase64(out var der))
        {
            problem = "the first value of \"x5c\" is not base64";
            return false;
        }

        return Certificate.TryParse(der, out authority, out problem);
    }

    /// <summary>Writes an authority: the public key's own parameters, <c>use</c>, and the certificate; no <c>kid</c> (X509-SVID §6.1).</summary>
    public static void WriteX509(Utf8JsonWriter writer, Certificate authority)
    {
        writer.WriteStartObject();
        WritePublicKey(writer, authority.PublicKey);
        writer.WriteString("use", X509Use);
        writer.WriteStartArray("x5c");
        writer.WriteBase64StringValue(authority.Der.Span);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>Writes a key for JWT-SVIDs, with <c>kid</c> and <c>use</c> (JWT-SVID §6.1).</summary>
    public static void WriteJwt(Utf8JsonWriter writer, JwtAuthority authority)
    {
        writer.WriteStartObject();
        WritePublicKey(writer, authority.Key.PublicKey);
        writer.WriteString("use", JwtBundle.Use);
        writer.WriteString("kid", authority.KeyId);
        writer.WriteEndObject();
    }

    /// <summary>Writes a key as readers outside SPIFFE want it: for signatures, with the algorithm (RFC 7517 §4.2, §4.4).</summary>
    public static void WriteWeb(Utf8JsonWriter writer, JwtAuthority authority)
    {
        writer.WriteStartObject();
        WritePublicKey(writer, authority.Key.PublicKey);
        writer.WriteString("use", "sig");
        writer.WriteString("alg", JwsAlgorithm.Of(authority.Key.PublicKey).Name);
        writer.WriteString("kid", authority.KeyId);
        writer.WriteEndObject();
    }

    /// <summary>The public key's own parameters (RFC 7518 §6).</summary>
    /// <exception cref="CryptographicException">The key is not of a kind that JWK and SPIFFE know.</exception>
    public static void WritePublicKey(Utf8JsonWriter writer, PublicKey key)
    {
        switch (key.Kind)
        {
            case PublicKeyKind.Ec:
                // RFC 7518 §6.2.1: coordinates as long as the curve's field. The bits are 04 || X || Y (RFC 5480 §2.2).
                var point = key.Bits.Span;
                var length = (key.Size + 7) / 8;
                if (point.Length != 1 + (2 * length) || point[0] != 4)
                {
                    throw new CryptographicException("the EC key is not an uncompressed point");
                }

                writer.WriteString("kty", "EC");
                writer.WriteString("crv", $"P-{key.Size}");
                writer.WriteString("x", Base64Url.EncodeToString(point.Slice(1, length)));
                writer.WriteString("y", Base64Url.EncodeToString(point[(1 + length)..]));
                break;
            case PublicKeyKind.Rsa:
                // RFC 7518 §6.3.1: no leading zero bytes.
                var (modulus, exponent) = key.ReadRsaNumbers();
                writer.WriteString("kty", "RSA");
                writer.WriteString("n", Base64Url.EncodeToString(modulus.Span));
                writer.WriteString("e", Base64Url.EncodeToString(exponent.Span));
                break;
            case PublicKeyKind.Ed25519:
                // RFC 8037 §2.
                writer.WriteString("kty", "OKP");
                writer.WriteString("crv", "Ed25519");
                writer.WriteString("x", Base64Url.EncodeToString(key.Bits.Span));
                break;
            default:
                throw new CryptographicException($"a key of type {key.Description} has no place in a bundle");
        }
    }
}
