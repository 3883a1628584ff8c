using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Text.Json;
using Signet.Identity.X509;

namespace Signet.Identity.Jose;

/// <summary>A public key that verifies signatures of tokens (RFC 7515, RFC 7517 §4, RFC 7518 §3). Immutable, thread-safe.</summary>
public sealed class JwsKey
{
    private readonly PublicKey _key;

    private JwsKey(PublicKey key, string? keyId, string? algorithm) => (_key, KeyId, Algorithm) = (key, keyId, algorithm);

    /// <summary><c>kid</c>, or null.</summary>
    public string? KeyId { get; }

    /// <summary>The only algorithm that the key may be used with, or null for all of its kind.</summary>
    public string? Algorithm { get; }

    /// <summary>The key, <c>SubjectPublicKeyInfo</c> in DER.</summary>
    public ReadOnlyMemory<byte> SubjectPublicKeyInfo => _key.Info;

    internal PublicKey PublicKey => _key;

    /// <summary>Takes a <c>SubjectPublicKeyInfo</c>. Never throws.</summary>
    public static bool TryCreate(ReadOnlyMemory<byte> subjectPublicKeyInfo, string? keyId, string? algorithm, [NotNullWhen(true)] out JwsKey? key, out string problem)
    {
        key = null;
        try
        {
            var read = PublicKey.Read(subjectPublicKeyInfo);
            if (!read.IsUsable(out var weakness))
            {
                problem = weakness;
                return false;
            }

            // JWT-SVID §2.1 names the algorithms, and none is for these keys.
            if (read.Kind == PublicKeyKind.Ed25519)
            {
                problem = "an Ed25519 key cannot verify JWT-SVIDs; keys for tokens are EC or RSA";
                return false;
            }

            (key, problem) = (new JwsKey(read, keyId, algorithm), "");
            return true;
        }
        catch (AsnContentException)
        {
            problem = "it is not a public key";
            return false;
        }
    }

    /// <summary>Reads a JWK of kind EC or RSA. A key of another kind or curve gives true and null; one that is half understood gives false. Never throws.</summary>
    public static bool TryRead(JsonElement jwk, out JwsKey? key, out string problem)
    {
        (key, problem) = (null, "");
        if (jwk.ValueKind != JsonValueKind.Object)
        {
            problem = "it is not an object";
            return false;
        }

        try
        {
            return Export(jwk) is not { } info || TryCreate(info, Text(jwk, "kid"), Text(jwk, "alg"), out key, out problem);
        }
        catch (Exception bad) when (bad is FormatException or CryptographicException)
        {
            problem = "its numbers are not a key";
            return false;
        }
    }

    /// <summary>Whether this key made the signature. No, also when key and algorithm don't go together.</summary>
    /// <param name="algorithm">The <c>alg</c> of the token.</param>
    /// <param name="data">What was signed.</param>
    /// <param name="signature">The signature as JWS has it: for EC, r and s side by side (RFC 7518 §3.4).</param>
    public bool Verifies(string algorithm, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature) =>
        (Algorithm is null || Algorithm == algorithm)
        && JwsAlgorithm.Find(algorithm) is { } known
        && (known.CurveBits == 0 || known.CurveBits == _key.Size)
        && _key.Verifies(data, signature, known.Signature, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);

    internal static string? Text(JsonElement item, string name) =>
        item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    // RFC 7518 §6.2 and §6.3.
    private static byte[]? Export(JsonElement jwk)
    {
        switch (Text(jwk, "kty"))
        {
            case "EC":
                ECCurve? curve = Text(jwk, "crv") switch
                {
                    "P-256" => ECCurve.NamedCurves.nistP256,
                    "P-384" => ECCurve.NamedCurves.nistP384,
                    "P-521" => ECCurve.NamedCurves.nistP521,
                    _ => null,
                };
                if (curve is not { } known)
                {
                    return null;
                }

                using (var ec = ECDsa.Create(new ECParameters { Curve = known, Q = new ECPoint { X = Bytes(jwk, "x"), Y = Bytes(jwk, "y") } }))
                {
                    return ec.ExportSubjectPublicKeyInfo();
                }

            case "RSA":
                using (var rsa = RSA.Create(new RSAParameters { Modulus = Bytes(jwk, "n"), Exponent = Bytes(jwk, "e") }))
                {
                    return rsa.ExportSubjectPublicKeyInfo();
                }

            default:
                return null;
        }
    }

    private static byte[] Bytes(JsonElement jwk, string name) => Base64Url.DecodeFromChars(Text(jwk, name) ?? "");
}
