using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Signet.Identity.X509;

namespace Signet.Identity.Jose;

/// <summary>Makes signed tokens in compact form (RFC 7515 §3.1). Only the key's virtual signing method is used, so that keys in hardware work too.</summary>
internal static class JwsWriter
{
    /// <summary>Signs claims.</summary>
    /// <param name="type">The <c>typ</c>.</param>
    /// <param name="keyId">The <c>kid</c>.</param>
    /// <param name="key">What signs.</param>
    /// <param name="wished">The algorithm, when it goes with the key; otherwise the key's usual one is taken.</param>
    /// <param name="claims">Writes the claims.</param>
    /// <exception cref="CryptographicException">The key refused, or is of a kind that signs no tokens.</exception>
    public static string Sign(string type, string keyId, AsymmetricAlgorithm key, JwsAlgorithm? wished, Action<Utf8JsonWriter> claims)
    {
        var algorithm = JwsAlgorithm.Of(PublicKey.Read(KeyPair.ExportPublicKey(key)), wished);
        var header = Encode(writer =>
        {
            writer.WriteString("alg", algorithm.Name);
            writer.WriteString("kid", keyId);
            writer.WriteString("typ", type);
        });
        var signed = $"{header}.{Encode(claims)}";
        var digest = CryptographicOperations.HashData(algorithm.Signature.Hash, Encoding.ASCII.GetBytes(signed));
        var signature = key is RSA rsa ? rsa.SignHash(digest, algorithm.Signature.Hash, algorithm.Signature.Padding!) : ((ECDsa)key).SignHash(digest);
        return $"{signed}.{Base64Url.EncodeToString(signature)}";
    }

    private static string Encode(Action<Utf8JsonWriter> write)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        return Base64Url.EncodeToString(stream.ToArray());
    }
}
