using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text.Json;

namespace Signet.Policy.Jwt;

/// <summary>
/// The public keys of a token issuer (RFC 7517 §5). Keys of kinds that are not used here, or meant for something else than signatures, are
/// left out; a key that is half understood is a problem. Immutable, thread-safe.
/// </summary>
public sealed class JsonWebKeys
{
    /// <summary>The longest text that is read, in characters.</summary>
    public const int MaxLength = 1024 * 1024;

    /// <summary>How many keys a set may have.</summary>
    public const int MaxKeys = 100;

    private const int MaxDepth = 16;
    private const int MinRsaBytes = 2048 / 8;
    private const int MaxRsaBytes = 8192 / 8;

    private JsonWebKeys(IReadOnlyList<VerificationKey> keys) => Keys = keys;

    internal IReadOnlyList<VerificationKey> Keys { get; }

    /// <summary>How many keys can be used.</summary>
    public int Count => Keys.Count;

    /// <summary>Reads a set. Never throws; bounded in length, depth and number of keys.</summary>
    public static bool TryParse(string json, [NotNullWhen(true)] out JsonWebKeys? keys, out string problem)
    {
        keys = null;
        if (json.Length > MaxLength)
        {
            problem = $"the key set is {json.Length} characters long; the limit is {MaxLength}";
            return false;
        }

        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
            return TryRead(document.RootElement, out keys, out problem);
        }
        catch (JsonException bad)
        {
            problem = $"the key set is not JSON: line {bad.LineNumber + 1} can't be read";
            return false;
        }
    }

    private static bool TryRead(JsonElement root, [NotNullWhen(true)] out JsonWebKeys? keys, out string problem)
    {
        keys = null;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("keys", out var list) || list.ValueKind != JsonValueKind.Array)
        {
            problem = "the key set has no list \"keys\"";
            return false;
        }

        if (list.GetArrayLength() > MaxKeys)
        {
            problem = $"the key set has {list.GetArrayLength()} keys; the limit is {MaxKeys}";
            return false;
        }

        var read = new List<VerificationKey>();
        foreach (var item in list.EnumerateArray())
        {
            if (!TryReadKey(item, out var key, out problem))
            {
                problem = $"the key with kid \"{Signet.Identity.Spiffe.Printable.Of(item.ValueKind == JsonValueKind.Object ? Text(item, "kid") ?? "" : "")}\" can't be read: {problem}";
                return false;
            }

            if (key is not null)
            {
                read.Add(key);
            }
        }

        (keys, problem) = (new JsonWebKeys(read), "");
        return true;
    }

    // RFC 7518 §6. True and null: a key that is not for this use.
    private static bool TryReadKey(JsonElement item, out VerificationKey? key, out string problem)
    {
        (key, problem) = (null, "");
        if (item.ValueKind != JsonValueKind.Object)
        {
            problem = "it is not an object";
            return false;
        }

        if (Text(item, "use") is not (null or "sig" or "jwt-svid"))
        {
            return true;
        }

        try
        {
            switch (Text(item, "kty"))
            {
                case "EC":
                    return TryReadEc(item, out key, out problem);
                case "RSA":
                    var (n, e) = (Bytes(item, "n"), Bytes(item, "e"));
                    if (n.Length is < MinRsaBytes or > MaxRsaBytes || e.Length is 0 or > 8)
                    {
                        problem = $"an RSA key of {n.Length * 8} bits is not accepted; 2048 to 8192 are";
                        return false;
                    }

                    using (var rsa = RSA.Create(new RSAParameters { Modulus = n, Exponent = e }))
                    {
                        key = new VerificationKey(Text(item, "kid"), Text(item, "alg"), "RSA", rsa.ExportSubjectPublicKeyInfo());
                    }

                    return true;
                default:
                    return true;
            }
        }
        catch (Exception bad) when (bad is FormatException or CryptographicException)
        {
            problem = "its numbers are not a key";
            return false;
        }
    }

    private static bool TryReadEc(JsonElement item, out VerificationKey? key, out string problem)
    {
        (key, problem) = (null, "");
        var curveName = Text(item, "crv");
        ECCurve? curve = curveName switch
        {
            "P-256" => ECCurve.NamedCurves.nistP256,
            "P-384" => ECCurve.NamedCurves.nistP384,
            "P-521" => ECCurve.NamedCurves.nistP521,
            _ => null,
        };
        if (curve is not { } known)
        {
            return true;
        }

        using var ec = ECDsa.Create(new ECParameters { Curve = known, Q = new ECPoint { X = Bytes(item, "x"), Y = Bytes(item, "y") } });
        key = new VerificationKey(Text(item, "kid"), Text(item, "alg"), curveName!, ec.ExportSubjectPublicKeyInfo());
        return true;
    }

    private static byte[] Bytes(JsonElement item, string name) => Base64Url.DecodeFromChars(Text(item, name) ?? "");

    private static string? Text(JsonElement item, string name) =>
        item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}

/// <summary>One public key. <paramref name="Kind"/> is <c>RSA</c> or the curve's name.</summary>
internal sealed record VerificationKey(string? KeyId, string? Algorithm, string Kind, byte[] SubjectPublicKeyInfo)
{
    /// <summary>Verifies a signature (RFC 7518 §3.3 to §3.5). False also when key and algorithm don't go together.</summary>
    public bool Verifies(string algorithm, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        if (Algorithm is not null && Algorithm != algorithm)
        {
            return false;
        }

        var hash = algorithm[^3..] switch
        {
            "256" => HashAlgorithmName.SHA256,
            "384" => HashAlgorithmName.SHA384,
            _ => HashAlgorithmName.SHA512,
        };
        if (Kind == "RSA")
        {
            if (algorithm[..2] is not ("RS" or "PS"))
            {
                return false;
            }

            using var rsa = RSA.Create();
            rsa.ImportSubjectPublicKeyInfo(SubjectPublicKeyInfo, out _);
            return rsa.VerifyData(data, signature, hash, algorithm[0] == 'R' ? RSASignaturePadding.Pkcs1 : RSASignaturePadding.Pss);
        }

        if ((algorithm, Kind) is not (("ES256", "P-256") or ("ES384", "P-384") or ("ES512", "P-521")))
        {
            return false;
        }

        using var ec = ECDsa.Create();
        ec.ImportSubjectPublicKeyInfo(SubjectPublicKeyInfo, out _);
        return ec.VerifyData(data, signature, hash, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
    }
}
