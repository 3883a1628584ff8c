using System.Security.Cryptography;
using System.Text;
using Signet.Rpc.Wire.Attestation.Tpm;

namespace Signet.Server.Attestation;

/// <summary>
/// Seals a secret so that only one TPM can open it, and only if it holds a certain other key too: TPM2_MakeCredential in software (TPM 2.0 Library, Part 1, §24, and Part 3, §12.6).
/// </summary>
internal static class TpmCredential
{
    /// <param name="storage">The public half of the key that opens it; RSA, restricted to decrypting.</param>
    /// <param name="name">The name of the key that must be there.</param>
    /// <param name="secret">What is sealed; at most as long as the storage key's hash.</param>
    /// <returns>TPMS_ID_OBJECT, and the seed encrypted to the storage key.</returns>
    public static (byte[] Credential, byte[] Seed) Seal(TpmPublic storage, byte[] name, byte[] secret)
    {
        var hash = storage.NameAlgorithm == TpmWords.Sha384 ? HashAlgorithmName.SHA384 : HashAlgorithmName.SHA256;
        var hashBits = storage.NameAlgorithm == TpmWords.Sha384 ? 384 : 256;
        var seed = RandomNumberGenerator.GetBytes(hashBits / 8);

        // 1. The secret, encrypted under a key made of the seed and the name.
        var sealedSecret = EncryptCfb(Derive(hash, seed, "STORAGE", name, storage.SymmetricBits), new TpmWriter().Sized(secret).ToArray());

        // 2. A seal over that and the name.
        var seal = Hmac(hash, Derive(hash, seed, "INTEGRITY", [], hashBits), [.. sealedSecret, .. name]);

        // 3. The seed, for the TPM alone.
        using var key = RSA.Create();
        key.ImportSubjectPublicKeyInfo(storage.SubjectPublicKeyInfo.Span, out _);
        return (new TpmWriter().Sized(seal).Raw(sealedSecret).ToArray(), Oaep.Encrypt(key, hash, seed, "IDENTITY\0"u8));
    }

    // A stream of whole blocks, of which the last may be cut. The vector is zero, since each key is used once.
    private static byte[] EncryptCfb(byte[] key, byte[] data)
    {
        using var aes = Aes.Create();
        aes.Key = key;
        var block = aes.BlockSize / 8;
        var whole = new byte[(data.Length + block - 1) / block * block];
        data.CopyTo(whole, 0);
        return aes.EncryptCfb(whole, new byte[block], PaddingMode.None, aes.BlockSize)[..data.Length];
    }

    // KDFa (Part 1, §11.4.10.2) for keys of at most one block.
    private static byte[] Derive(HashAlgorithmName hash, byte[] key, string label, byte[] context, int bits) =>
        Hmac(hash, key, [0, 0, 0, 1, .. Encoding.ASCII.GetBytes(label), 0, .. context, 0, 0, (byte)(bits >> 8), (byte)bits])[..(bits / 8)];

    private static byte[] Hmac(HashAlgorithmName hash, byte[] key, byte[] data) => hash == HashAlgorithmName.SHA384 ? HMACSHA384.HashData(key, data) : HMACSHA256.HashData(key, data);
}

/// <summary>RSAES-OAEP with a label (RFC 8017 §7.1.1), which the framework does not let one say.</summary>
internal static class Oaep
{
    /// <exception cref="CryptographicException">The message is too long for the key.</exception>
    public static byte[] Encrypt(RSA key, HashAlgorithmName hash, ReadOnlySpan<byte> message, ReadOnlySpan<byte> label)
    {
        var (k, h) = (key.KeySize / 8, hash == HashAlgorithmName.SHA384 ? 48 : 32);
        if (message.Length > k - (2 * h) - 2)
        {
            throw new CryptographicException("the message is too long");
        }

        // 00 || maskedSeed || maskedDB, where DB = lHash || PS || 01 || M
        var block = new byte[k];
        var seed = block.AsSpan(1, h);
        var data = block.AsSpan(1 + h);
        Hash(hash, label).CopyTo(data);
        data[^(message.Length + 1)] = 1;
        message.CopyTo(data[^message.Length..]);
        RandomNumberGenerator.Fill(seed);
        Mask(hash, seed, data);
        Mask(hash, data, seed);
        return PowerOf(key, block);
    }

    // MGF1 (RFC 8017 appendix B.2.1), laid over the target.
    private static void Mask(HashAlgorithmName hash, ReadOnlySpan<byte> seed, Span<byte> target)
    {
        byte[] input = [.. seed, 0, 0, 0, 0];
        for (var (done, counter) = (0, 0); done < target.Length; counter++)
        {
            (input[^4], input[^3], input[^2], input[^1]) = ((byte)(counter >> 24), (byte)(counter >> 16), (byte)(counter >> 8), (byte)counter);
            foreach (var mask in Hash(hash, input).Take(target.Length - done))
            {
                target[done++] ^= mask;
            }
        }
    }

    private static byte[] Hash(HashAlgorithmName hash, ReadOnlySpan<byte> data) => hash == HashAlgorithmName.SHA384 ? SHA384.HashData(data) : SHA256.HashData(data);

    // RSAEP (RFC 8017 §5.1.1). Only public numbers and a padded message go in.
    private static byte[] PowerOf(RSA key, byte[] block)
    {
        var numbers = key.ExportParameters(includePrivateParameters: false);
        var power = System.Numerics.BigInteger.ModPow(Number(block), Number(numbers.Exponent!), Number(numbers.Modulus!)).ToByteArray(isUnsigned: true, isBigEndian: true);
        var padded = new byte[block.Length];
        power.CopyTo(padded.AsSpan(padded.Length - power.Length));
        return padded;
    }

    private static System.Numerics.BigInteger Number(byte[] bytes) => new(bytes, isUnsigned: true, isBigEndian: true);
}
