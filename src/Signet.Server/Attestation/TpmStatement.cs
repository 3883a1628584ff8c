using System.Security.Cryptography;
using Signet.Rpc.Wire.Attestation.Tpm;

namespace Signet.Server.Attestation;

/// <summary>Reads what a TPM says of a key that it holds: TPMS_ATTEST of TPM2_Certify (TPM 2.0 Library, Part 2, §10.12.8, and Part 3, §18.2).</summary>
internal static class TpmStatement
{
    private const int ClockLength = 17, FirmwareLength = 8;

    /// <summary>Whether it is said that the TPM that holds one key holds another. Never throws.</summary>
    /// <param name="by">The key that signed; restricted, so that it signs only what its TPM says.</param>
    /// <param name="statement">TPMS_ATTEST.</param>
    /// <param name="signature">TPMT_SIGNATURE.</param>
    /// <param name="about">The other key.</param>
    /// <param name="reason">Why not, when the answer is false; otherwise empty.</param>
    public static bool Certifies(TpmPublic by, byte[] statement, byte[] signature, TpmPublic about, out string reason)
    {
        var reader = new TpmReader(statement);
        var (magic, kind) = (reader.Long(), reader.Short());
        reader.Sized();
        reader.Sized();
        reader.Take(ClockLength);
        reader.Take(FirmwareLength);
        var name = reader.Sized();
        reader.Sized();
        reason = !reader.IsWhole || magic != TpmWords.Generated || kind != TpmWords.AttestCertify ? "the statement is not one about a key"
            : !name.SequenceEqual(about.Name) ? "the statement is about another key"
            : !IsSigned(by, statement, signature) ? "the attestation key did not sign it by RSASSA with SHA-256 or SHA-384"
            : "";
        return reason.Length == 0;
    }

    private static bool IsSigned(TpmPublic by, byte[] statement, byte[] signature)
    {
        var reader = new TpmReader(signature);
        var (scheme, hash) = (reader.Short(), reader.Short());
        var signed = reader.Sized();
        if (!reader.IsWhole || by.Type != TpmWords.Rsa || scheme != TpmWords.RsaSsa || hash is not (TpmWords.Sha256 or TpmWords.Sha384))
        {
            return false;
        }

        using var key = RSA.Create();
        key.ImportSubjectPublicKeyInfo(by.SubjectPublicKeyInfo.Span, out _);
        return key.VerifyData(statement, signed, hash == TpmWords.Sha256 ? HashAlgorithmName.SHA256 : HashAlgorithmName.SHA384, RSASignaturePadding.Pkcs1);
    }
}
