namespace Signet.Rpc.Wire.Attestation.Tpm;

/// <summary>The numbers of the TPM 2.0 Library Specification, Part 2, that attestation needs: algorithms (§6.3), kinds of structures (§6.9) and attributes of keys (§8.3).</summary>
public static class TpmWords
{
    public const ushort Rsa = 0x0001, Aes = 0x0006, Sha256 = 0x000B, Sha384 = 0x000C, Null = 0x0010, RsaSsa = 0x0014, RsaEs = 0x0015, RsaPss = 0x0016, Oaep = 0x0017, Ecdsa = 0x0018, Ecc = 0x0023, Cfb = 0x0043;

    public const ushort P256 = 0x0003, P384 = 0x0004;

    /// <summary>What a TPM writes before what it made itself, and never signs for anybody else under a restricted key.</summary>
    public const uint Generated = 0xFF544347;

    /// <summary>That what follows is about a key.</summary>
    public const ushort AttestCertify = 0x8017;

    /// <summary>It cannot leave this TPM.</summary>
    public const uint FixedTpm = 1 << 1, FixedParent = 1 << 4;

    /// <summary>The TPM made it.</summary>
    public const uint SensitiveDataOrigin = 1 << 5;

    public const uint UserWithAuth = 1 << 6, AdminWithPolicy = 1 << 7, NoDictionaryAttack = 1 << 10;

    /// <summary>It signs, or decrypts, only what the TPM made.</summary>
    public const uint Restricted = 1 << 16;

    public const uint Decrypt = 1 << 17, Sign = 1 << 18;
}
