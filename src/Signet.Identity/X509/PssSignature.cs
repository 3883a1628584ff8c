using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;

namespace Signet.Identity.X509;

/// <summary>
/// Verifies RSASSA-PSS signatures (RFC 8017 §8.1.2) by SHA-256 with a salt of whatever length. The platform takes only salts as long as the hash,
/// while other signers make them as long as fits. Pure; works with public values only, so its time need not be constant.
/// </summary>
public static class PssSignature
{
    private const int HashBytes = SHA256.HashSizeInBytes;
    private const byte Trailer = 0xbc;

    /// <summary>Whether the key made the signature. A malformed signature is a no, not an exception.</summary>
    public static bool Verifies(RSA key, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        var numbers = key.ExportParameters(includePrivateParameters: false);
        var modulus = new BigInteger(numbers.Modulus, isUnsigned: true, isBigEndian: true);
        var number = new BigInteger(signature, isUnsigned: true, isBigEndian: true);
        if (signature.Length != numbers.Modulus!.Length || number >= modulus)
        {
            return false;
        }

        var bits = (int)modulus.GetBitLength() - 1;
        var message = BigInteger.ModPow(number, new BigInteger(numbers.Exponent, isUnsigned: true, isBigEndian: true), modulus);
        var encoded = new byte[(bits + 7) / 8];
        return message.GetByteCount(isUnsigned: true) <= encoded.Length
            && message.TryWriteBytes(encoded.AsSpan(encoded.Length - message.GetByteCount(isUnsigned: true)), out _, isUnsigned: true, isBigEndian: true)
            && IsEncodingOf(data, encoded, bits);
    }

    /// <summary>EMSA-PSS-VERIFY (RFC 8017 §9.1.2): <c>maskedDB || H || 0xbc</c>, where DB is zeros, 1 and the salt.</summary>
    private static bool IsEncodingOf(ReadOnlySpan<byte> data, ReadOnlySpan<byte> encoded, int bits)
    {
        if (encoded.Length < HashBytes + 2 || encoded[^1] != Trailer)
        {
            return false;
        }

        var hash = encoded[^(HashBytes + 1)..^1];
        var block = encoded[..^(HashBytes + 1)].ToArray();
        var unusedBits = (8 * encoded.Length) - bits;
        var used = (byte)(0xff >> unusedBits);
        if ((block[0] & ~used) != 0)
        {
            return false;
        }

        Unmask(block, hash);
        block[0] &= used;
        var one = block.AsSpan().IndexOfAnyExcept((byte)0);
        if (one < 0 || block[one] != 1)
        {
            return false;
        }

        using var expected = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        expected.AppendData(new byte[8]);
        expected.AppendData(SHA256.HashData(data));
        expected.AppendData(block.AsSpan(one + 1));
        return expected.GetHashAndReset().AsSpan().SequenceEqual(hash);
    }

    /// <summary>MGF1 (RFC 8017 §B.2.1): hashes of the seed and a counter, side by side.</summary>
    private static void Unmask(Span<byte> block, ReadOnlySpan<byte> seed)
    {
        Span<byte> input = stackalloc byte[HashBytes + 4];
        Span<byte> mask = stackalloc byte[HashBytes];
        seed.CopyTo(input);
        for (var i = 0; i < block.Length; i++)
        {
            if (i % HashBytes == 0)
            {
                BinaryPrimitives.WriteInt32BigEndian(input[HashBytes..], i / HashBytes);
                SHA256.HashData(input, mask);
            }

            block[i] ^= mask[i % HashBytes];
        }
    }
}
