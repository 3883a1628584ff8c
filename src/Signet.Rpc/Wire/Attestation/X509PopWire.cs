using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace Signet.Rpc.Wire.Attestation;

/// <summary>
/// What x509pop's two sides tell each other, in SPIRE's form: the chain, then a nonce, then a nonce of the node's own with a signature over
/// SHA-256 of both.
/// </summary>
public static class X509PopWire
{
    public const string Type = "x509pop";

    public const int NonceLength = 32;

    /// <summary>The certificate itself and the intermediates that may follow it.</summary>
    public const int MaxCertificates = 5;

    /// <summary>The longest certificate, in bytes.</summary>
    public const int MaxCertificateLength = 16 * 1024;

    /// <summary>The longest signature, or part of one, in bytes: that of a key of 8192 bits.</summary>
    public const int MaxSignatureLength = 1024;

    private const string Rsa = "rsa_signature";
    private const string Ecdsa = "ecdsa_signature";

    /// <summary>What the node shows first: its certificate, then intermediates, in DER.</summary>
    public static byte[] EncodeChain(IEnumerable<ReadOnlyMemory<byte>> certificates) => AttestationJson.Write(writer =>
    {
        writer.WriteStartArray("certificates");
        foreach (var certificate in certificates)
        {
            writer.WriteBase64StringValue(certificate.Span);
        }

        writer.WriteEndArray();
    });

    /// <summary>Reads what <see cref="EncodeChain"/> writes. Never throws.</summary>
    public static bool TryReadChain(ReadOnlyMemory<byte> json, out IReadOnlyList<byte[]> certificates, out string problem)
    {
        certificates = [];
        if (!AttestationJson.TryRead(json, out var root, out problem))
        {
            return false;
        }

        var count = root.TryGetProperty("certificates", out var list) && list.ValueKind == JsonValueKind.Array ? list.GetArrayLength() : 0;
        if (count is 0 or > MaxCertificates)
        {
            problem = count == 0 ? "it holds no certificates" : $"it holds {count} certificates; the limit is {MaxCertificates}";
            return false;
        }

        var found = list.EnumerateArray().Select(item => AttestationJson.Bytes(item, 1, MaxCertificateLength)).OfType<byte[]>().ToArray();
        problem = found.Length == count ? "" : $"its certificates are not all base64 of at most {MaxCertificateLength} bytes";
        certificates = found.Length == count ? found : [];
        return problem.Length == 0;
    }

    /// <summary>What the server asks of a key of that kind.</summary>
    public static byte[] EncodeChallenge(bool isRsa, ReadOnlyMemory<byte> nonce) => AttestationJson.Write(writer =>
        WriteOne(writer, isRsa, () => writer.WriteBase64String("nonce", nonce.Span)));

    /// <summary>Reads what <see cref="EncodeChallenge"/> writes, for a key of that kind. Never throws.</summary>
    public static bool TryReadChallenge(ReadOnlyMemory<byte> json, bool isRsa, [NotNullWhen(true)] out byte[]? nonce, out string problem)
    {
        nonce = null;
        if (AttestationJson.TryRead(json, out var root, out problem))
        {
            nonce = AttestationJson.Child(root, isRsa ? Rsa : Ecdsa) is { } challenge ? AttestationJson.Bytes(challenge, "nonce", NonceLength, NonceLength) : null;
            problem = nonce is null ? $"it holds no {(isRsa ? Rsa : Ecdsa)} with a nonce of {NonceLength} bytes" : "";
        }

        return nonce is not null;
    }

    /// <summary>The node's answer with an RSA key.</summary>
    public static byte[] EncodeRsaAnswer(ReadOnlyMemory<byte> nonce, ReadOnlyMemory<byte> signature) => AttestationJson.Write(writer => WriteOne(writer, isRsa: true, () =>
    {
        writer.WriteBase64String("nonce", nonce.Span);
        writer.WriteBase64String("signature", signature.Span);
    }));

    /// <summary>The node's answer with an EC key.</summary>
    /// <param name="nonce">The node's own.</param>
    /// <param name="signature">r and s side by side, equally long.</param>
    public static byte[] EncodeEcdsaAnswer(ReadOnlyMemory<byte> nonce, ReadOnlyMemory<byte> signature) => AttestationJson.Write(writer => WriteOne(writer, isRsa: false, () =>
    {
        var half = signature.Length / 2;
        writer.WriteBase64String("nonce", nonce.Span);
        writer.WriteBase64String("r", signature[..half].Span.TrimStart((byte)0));
        writer.WriteBase64String("s", signature[half..].Span.TrimStart((byte)0));
    }));

    /// <summary>Reads what <see cref="EncodeRsaAnswer"/> writes. Never throws.</summary>
    public static bool TryReadRsaAnswer(ReadOnlyMemory<byte> json, out byte[] nonce, out byte[] signature, out string problem)
    {
        (nonce, signature) = ([], []);
        if (!TryReadAnswer(json, Rsa, out var answer, out nonce, out problem))
        {
            return false;
        }

        signature = AttestationJson.Bytes(answer, "signature", 1, MaxSignatureLength) ?? [];
        problem = signature.Length > 0 ? "" : $"its {Rsa} holds no signature of at most {MaxSignatureLength} bytes";
        return problem.Length == 0;
    }

    /// <summary>Reads what <see cref="EncodeEcdsaAnswer"/> writes. Never throws.</summary>
    /// <param name="json">The answer.</param>
    /// <param name="fieldBytes">How long the curve's numbers are, in bytes.</param>
    /// <param name="nonce">The node's own.</param>
    /// <param name="signature">r and s side by side, each as long as the curve's numbers.</param>
    /// <param name="problem">What is wrong, when the answer is false; otherwise empty.</param>
    public static bool TryReadEcdsaAnswer(ReadOnlyMemory<byte> json, int fieldBytes, out byte[] nonce, out byte[] signature, out string problem)
    {
        (nonce, signature) = ([], []);
        if (!TryReadAnswer(json, Ecdsa, out var answer, out nonce, out problem))
        {
            return false;
        }

        if (AttestationJson.Bytes(answer, "r", 1, fieldBytes) is not { } r || AttestationJson.Bytes(answer, "s", 1, fieldBytes) is not { } s)
        {
            problem = $"its {Ecdsa} holds no r and s of at most {fieldBytes} bytes";
            return false;
        }

        signature = new byte[2 * fieldBytes];
        r.CopyTo(signature.AsSpan(fieldBytes - r.Length));
        s.CopyTo(signature.AsSpan((2 * fieldBytes) - s.Length));
        return true;
    }

    private static bool TryReadAnswer(ReadOnlyMemory<byte> json, string name, out JsonElement answer, out byte[] nonce, out string problem)
    {
        (answer, nonce) = (default, []);
        if (!AttestationJson.TryRead(json, out var root, out problem))
        {
            return false;
        }

        if (AttestationJson.Child(root, name) is not { } child || AttestationJson.Bytes(child, "nonce", NonceLength, NonceLength) is not { } own)
        {
            problem = $"it holds no {name} with a nonce of {NonceLength} bytes";
            return false;
        }

        (answer, nonce) = (child, own);
        return true;
    }

    private static void WriteOne(Utf8JsonWriter writer, bool isRsa, Action members)
    {
        writer.WriteNull(isRsa ? Ecdsa : Rsa);
        writer.WriteStartObject(isRsa ? Rsa : Ecdsa);
        members();
        writer.WriteEndObject();
    }
}
