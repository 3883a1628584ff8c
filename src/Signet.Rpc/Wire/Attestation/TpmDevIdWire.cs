using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace Signet.Rpc.Wire.Attestation;

/// <summary>
/// What a node with a TPM shows first, in the form of SPIRE's tpm_devid: the certificate of its device identity (IEEE 802.1AR) and what the TPM says of the three keys that tie it to
/// this very TPM.
/// </summary>
/// <param name="DevIdCertificates">The device's certificate, then intermediates, in DER.</param>
/// <param name="DevIdPublic">The device's key, TPMT_PUBLIC.</param>
/// <param name="EndorsementCertificate">The TPM maker's certificate for the endorsement key, in DER.</param>
/// <param name="EndorsementPublic">The endorsement key.</param>
/// <param name="AttestationPublic">A key that signs only what the TPM says.</param>
/// <param name="Certified">What the TPM says of the device's key, TPMS_ATTEST.</param>
/// <param name="CertifiedSignature">The attestation key's signature of that, TPMT_SIGNATURE.</param>
public sealed record TpmDevIdWire(
    IReadOnlyList<byte[]> DevIdCertificates, byte[] DevIdPublic, byte[] EndorsementCertificate, byte[] EndorsementPublic, byte[] AttestationPublic, byte[] Certified, byte[] CertifiedSignature)
{
    public const string Type = "tpm_devid";

    public const int NonceLength = 32;

    /// <summary>The certificate itself and the intermediates that may follow it.</summary>
    public const int MaxCertificates = 5;

    /// <summary>The longest certificate, in bytes.</summary>
    public const int MaxCertificateLength = 8 * 1024;

    /// <summary>The longest of the other parts, in bytes.</summary>
    public const int MaxPartLength = 2 * 1024;

    public byte[] Encode() => AttestationJson.Write(writer =>
    {
        writer.WriteStartArray("DevIDCert");
        foreach (var certificate in DevIdCertificates)
        {
            writer.WriteBase64StringValue(certificate);
        }

        writer.WriteEndArray();
        writer.WriteBase64String("DevIDPub", DevIdPublic);
        writer.WriteBase64String("EKCert", EndorsementCertificate);
        writer.WriteBase64String("EKPub", EndorsementPublic);
        writer.WriteBase64String("AKPub", AttestationPublic);
        writer.WriteBase64String("CertifiedDevID", Certified);
        writer.WriteBase64String("CertificationSignature", CertifiedSignature);
    });

    /// <summary>Reads what <see cref="Encode"/> writes. Never throws.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> json, [NotNullWhen(true)] out TpmDevIdWire? shown, out string problem)
    {
        shown = null;
        if (!AttestationJson.TryRead(json, out var root, out problem))
        {
            return false;
        }

        var count = root.TryGetProperty("DevIDCert", out var list) && list.ValueKind == JsonValueKind.Array ? list.GetArrayLength() : 0;
        var certificates = count is > 0 and <= MaxCertificates ? list.EnumerateArray().Select(item => AttestationJson.Bytes(item, 1, MaxCertificateLength)).OfType<byte[]>().ToArray() : [];
        if (certificates.Length == 0 || certificates.Length != count)
        {
            problem = $"it holds no DevIDCert, a list of 1 to {MaxCertificates} certificates of at most {MaxCertificateLength} bytes";
            return false;
        }

        string[] names = ["DevIDPub", "EKCert", "EKPub", "AKPub", "CertifiedDevID", "CertificationSignature"];
        var parts = names.Select(name => AttestationJson.Bytes(root, name, 1, name == "EKCert" ? MaxCertificateLength : MaxPartLength)).ToArray();
        var missing = Array.IndexOf(parts, null);
        if (missing >= 0)
        {
            problem = $"it holds no {names[missing]} of at most {(names[missing] == "EKCert" ? MaxCertificateLength : MaxPartLength)} bytes";
            return false;
        }

        shown = new TpmDevIdWire(certificates, parts[0]!, parts[1]!, parts[2]!, parts[3]!, parts[4]!, parts[5]!);
        return true;
    }

    /// <summary>What the server asks: to sign the nonce with the device's key, and to open what only the TPM with both other keys can open.</summary>
    /// <param name="nonce">What to sign.</param>
    /// <param name="credential">TPMS_ID_OBJECT.</param>
    /// <param name="secret">The seed, encrypted to the endorsement key.</param>
    public static byte[] EncodeChallenge(byte[] nonce, byte[] credential, byte[] secret) => AttestationJson.Write(writer =>
    {
        writer.WriteBase64String("DevID", nonce);
        writer.WriteStartObject("CredActivation");
        writer.WriteBase64String("Credential", credential);
        writer.WriteBase64String("Secret", secret);
        writer.WriteEndObject();
    });

    /// <summary>Reads what <see cref="EncodeChallenge"/> writes. Never throws.</summary>
    public static bool TryReadChallenge(ReadOnlyMemory<byte> json, out byte[] nonce, out byte[] credential, out byte[] secret, out string problem)
    {
        (nonce, credential, secret) = ([], [], []);
        if (!AttestationJson.TryRead(json, out var root, out problem))
        {
            return false;
        }

        if (AttestationJson.Bytes(root, "DevID", NonceLength, NonceLength) is { } asked && AttestationJson.Child(root, "CredActivation") is { } activation
            && AttestationJson.Bytes(activation, "Credential", 1, MaxPartLength) is { } sealedCredential && AttestationJson.Bytes(activation, "Secret", 1, MaxPartLength) is { } sealedSecret)
        {
            (nonce, credential, secret) = (asked, sealedCredential, sealedSecret);
            return true;
        }

        problem = $"it holds no DevID of {NonceLength} bytes and no CredActivation with a Credential and a Secret";
        return false;
    }

    /// <summary>The node's answer.</summary>
    /// <param name="signature">Of the nonce.</param>
    /// <param name="opened">What was in the credential.</param>
    public static byte[] EncodeAnswer(byte[] signature, byte[] opened) => AttestationJson.Write(writer =>
    {
        writer.WriteBase64String("DevID", signature);
        writer.WriteBase64String("CredActivation", opened);
    });

    /// <summary>Reads what <see cref="EncodeAnswer"/> writes. Never throws.</summary>
    public static bool TryReadAnswer(ReadOnlyMemory<byte> json, out byte[] signature, out byte[] opened, out string problem)
    {
        (signature, opened) = ([], []);
        if (!AttestationJson.TryRead(json, out var root, out problem))
        {
            return false;
        }

        if (AttestationJson.Bytes(root, "DevID", 1, MaxPartLength) is { } signed && AttestationJson.Bytes(root, "CredActivation", 1, MaxPartLength) is { } activated)
        {
            (signature, opened) = (signed, activated);
            return true;
        }

        problem = $"it holds no DevID and CredActivation of at most {MaxPartLength} bytes";
        return false;
    }
}
