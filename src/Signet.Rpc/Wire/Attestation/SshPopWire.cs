using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Signet.Rpc.Wire.Attestation;

/// <summary>What sshpop's two sides tell each other, in SPIRE's form: the host's certificate, then a nonce, then a nonce of the host's own with a signature over SHA-256 of both.</summary>
public static class SshPopWire
{
    public const string Type = "sshpop";

    public const int NonceLength = 32;

    /// <summary>The longest signature, in bytes.</summary>
    public const int MaxSignatureLength = 2048;

    private const int MaxFormatLength = 64;

    /// <summary>What the host shows first.</summary>
    public static byte[] EncodeCertificate(ReadOnlyMemory<byte> certificate) => AttestationJson.Write(writer => writer.WriteBase64String("Certificate", certificate.Span));

    /// <summary>Reads what <see cref="EncodeCertificate"/> writes. Never throws.</summary>
    public static bool TryReadCertificate(ReadOnlyMemory<byte> json, [NotNullWhen(true)] out byte[]? certificate, out string problem)
    {
        certificate = AttestationJson.TryRead(json, out var root, out problem) ? AttestationJson.Bytes(root, "Certificate", 1, Ssh.SshCertificate.MaxLength) : null;
        problem = problem.Length > 0 || certificate is not null ? problem : $"it holds no Certificate of at most {Ssh.SshCertificate.MaxLength} bytes";
        return certificate is not null;
    }

    /// <summary>What the server asks.</summary>
    public static byte[] EncodeChallenge(byte[] nonce) => AttestationJson.Write(writer => writer.WriteBase64String("Nonce", nonce));

    /// <summary>Reads what <see cref="EncodeChallenge"/> writes. Never throws.</summary>
    public static bool TryReadChallenge(ReadOnlyMemory<byte> json, [NotNullWhen(true)] out byte[]? nonce, out string problem)
    {
        nonce = AttestationJson.TryRead(json, out var root, out problem) ? AttestationJson.Bytes(root, "Nonce", NonceLength, NonceLength) : null;
        problem = problem.Length > 0 || nonce is not null ? problem : $"it holds no Nonce of {NonceLength} bytes";
        return nonce is not null;
    }

    /// <summary>The host's answer.</summary>
    /// <param name="nonce">Its own.</param>
    /// <param name="format">The signature's algorithm.</param>
    /// <param name="signature">The signature of <see cref="ToBeSigned"/>.</param>
    public static byte[] EncodeAnswer(byte[] nonce, string format, byte[] signature) => AttestationJson.Write(writer =>
    {
        writer.WriteBase64String("Nonce", nonce);
        writer.WriteStartObject("Signature");
        writer.WriteString("Format", format);
        writer.WriteBase64String("Blob", signature);
        writer.WriteNull("Rest");
        writer.WriteEndObject();
    });

    /// <summary>Reads what <see cref="EncodeAnswer"/> writes. Never throws.</summary>
    public static bool TryReadAnswer(ReadOnlyMemory<byte> json, out byte[] nonce, out string format, out byte[] signature, out string problem)
    {
        (nonce, format, signature) = ([], "", []);
        if (!AttestationJson.TryRead(json, out var root, out problem))
        {
            return false;
        }

        if (AttestationJson.Bytes(root, "Nonce", NonceLength, NonceLength) is { } own && AttestationJson.Child(root, "Signature") is { } signed
            && AttestationJson.Text(signed, "Format", MaxFormatLength) is { } name && AttestationJson.Bytes(signed, "Blob", 1, MaxSignatureLength) is { } blob)
        {
            (nonce, format, signature) = (own, name, blob);
            return true;
        }

        problem = $"it holds no Nonce of {NonceLength} bytes with a Signature of at most {MaxSignatureLength} bytes";
        return false;
    }

    /// <summary>What the host signs. Its own nonce is in it, so that nobody can have it sign something of their choosing.</summary>
    public static byte[] ToBeSigned(byte[] challenge, byte[] own) => SHA256.HashData([.. challenge, .. own]);
}
