using Signet.Rpc.Wire.Attestation.Tpm;

namespace Signet.Agent.Attestation.Tpm;

/// <summary>The keys that every TPM makes alike from its seeds (TCG EK Credential Profile 2.3, appendix B), and the attestation key.</summary>
internal static class TpmTemplates
{
    private const uint Resident = TpmWords.FixedTpm | TpmWords.FixedParent | TpmWords.SensitiveDataOrigin;
    private const uint Storage = Resident | TpmWords.UserWithAuth | TpmWords.NoDictionaryAttack | TpmWords.Restricted | TpmWords.Decrypt;
    private const ushort Bits = 2048, SymmetricBits = 128;

    /// <summary>TPM2_PolicySecret(TPM_RH_ENDORSEMENT), SHA-256.</summary>
    private static ReadOnlySpan<byte> EndorsementPolicy =>
    [
        0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xB3, 0xF8, 0x1A, 0x90, 0xCC, 0x8D, 0x46, 0xA5, 0xD7, 0x24, 0xFD, 0x52, 0xD7, 0x6E, 0x06, 0x52, 0x0B, 0x64, 0xF2, 0xA1, 0xDA, 0x1B, 0x33, 0x14, 0x69, 0xAA,
    ];

    /// <summary>L-1: the endorsement key that the TPM's maker certified.</summary>
    public static byte[] Endorsement => Rsa(Resident | TpmWords.AdminWithPolicy | TpmWords.Restricted | TpmWords.Decrypt, EndorsementPolicy)
        .Short(TpmWords.Aes).Short(SymmetricBits).Short(TpmWords.Cfb).Short(TpmWords.Null).Short(Bits).Long(0).Sized(new byte[Bits / 8]).ToArray();

    /// <summary>H-1: the storage root key under which an RSA key of the device was made.</summary>
    public static byte[] RsaStorage => Rsa(Storage, []).Short(TpmWords.Aes).Short(SymmetricBits).Short(TpmWords.Cfb).Short(TpmWords.Null).Short(Bits).Long(0).Sized([]).ToArray();

    /// <summary>H-2: the storage root key under which an EC key of the device was made.</summary>
    public static byte[] EcStorage => new TpmWriter().Short(TpmWords.Ecc).Short(TpmWords.Sha256).Long(Storage).Sized([])
        .Short(TpmWords.Aes).Short(SymmetricBits).Short(TpmWords.Cfb).Short(TpmWords.Null).Short(TpmWords.P256).Short(TpmWords.Null).Sized([]).Sized([]).ToArray();

    /// <summary>A key that signs only what the TPM says.</summary>
    public static byte[] Attestation => Rsa(Resident | TpmWords.UserWithAuth | TpmWords.Restricted | TpmWords.Sign, [])
        .Short(TpmWords.Null).Short(TpmWords.RsaSsa).Short(TpmWords.Sha256).Short(Bits).Long(0).Sized([]).ToArray();

    private static TpmWriter Rsa(uint attributes, ReadOnlySpan<byte> policy) => new TpmWriter().Short(TpmWords.Rsa).Short(TpmWords.Sha256).Long(attributes).Sized(policy);
}
