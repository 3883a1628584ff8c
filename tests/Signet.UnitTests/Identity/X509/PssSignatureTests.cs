using System.Security.Cryptography;
using FsCheck;
using FsCheck.Fluent;
using Signet.Identity.X509;
using Signet.Testing.X509;

namespace Signet.UnitTests.Identity.X509;

public sealed class PssSignatureTests
{
    private static readonly byte[] Data = "what is signed"u8.ToArray();
    private static readonly RSA Key = (RSA)CertificateForge.NewKey("rsa2048");

    [Fact]
    public void What_the_platform_signed_verifies() => Assert.True(PssSignature.Verifies(Key, Data, Sign(Data)));

    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    [InlineData(32)]
    [InlineData(222)]
    public void A_salt_may_have_any_length_that_fits(int saltLength) => Assert.True(PssSignature.Verifies(Key, Data, SignByHand(saltLength)));

    [Fact]
    public void Other_data_does_not_verify() => Assert.False(PssSignature.Verifies(Key, "what is signet"u8, Sign(Data)));

    [Fact]
    public void Another_key_does_not_verify()
    {
        using var other = RSA.Create(2048);
        Assert.False(PssSignature.Verifies(other, Data, Sign(Data)));
    }

    [Fact]
    public void A_signature_of_another_padding_does_not_verify() =>
        Assert.False(PssSignature.Verifies(Key, Data, Key.SignData(Data, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)));

    [Fact]
    public void A_signature_of_another_hash_does_not_verify() =>
        Assert.False(PssSignature.Verifies(Key, Data, Key.SignData(Data, HashAlgorithmName.SHA384, RSASignaturePadding.Pss)));

    [Fact]
    public void Every_byte_counts() => Assert.All(Enumerable.Range(0, 256).Where(i => i % 5 == 0), i =>
    {
        var changed = Sign(Data);
        changed[i] ^= 1;
        Assert.False(PssSignature.Verifies(Key, Data, changed));
    });

    [Fact]
    public void What_is_no_number_below_the_modulus_is_a_no()
    {
        var good = Sign(Data);
        Assert.All<byte[]>([[], [1], good[..^1], [.. good, 0], [0, .. good], new byte[256], [.. Enumerable.Repeat((byte)255, 256)], Key.ExportParameters(false).Modulus!], wrong =>
            Assert.False(PssSignature.Verifies(Key, Data, wrong)));
    }

    [Fact]
    public void Never_throws_and_never_says_yes_to_noise() => Prop.ForAll<byte[]>(noise => !PssSignature.Verifies(Key, Data, noise ?? [])).QuickCheckThrowOnFailure();

    [Fact]
    public void A_block_that_is_not_zeros_one_and_salt_does_not_verify()
    {
        Assert.False(PssSignature.Verifies(Key, Data, SignByHand(32, separator: 2)));
        Assert.False(PssSignature.Verifies(Key, Data, SignByHand(32, trailer: 0xbb)));
        Assert.True(PssSignature.Verifies(Key, Data, SignByHand(32, separator: 1, trailer: 0xbc)));
    }

    private static byte[] Sign(byte[] data) => Key.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pss);

    // EMSA-PSS-ENCODE and RSASP1 (RFC 8017 §9.1.1, §5.2.1) by the numbers, since the platform makes no other salts.
    private static byte[] SignByHand(int saltLength, byte separator = 1, byte trailer = 0xbc)
    {
        var salt = RandomNumberGenerator.GetBytes(saltLength);
        var hash = SHA256.HashData([.. new byte[8], .. SHA256.HashData(Data), .. salt]);
        var block = new byte[256 - 33];
        block[^(saltLength + 1)] = separator;
        salt.CopyTo(block, block.Length - saltLength);
        for (var i = 0; i < block.Length; i++)
        {
            block[i] ^= SHA256.HashData([.. hash, 0, 0, 0, (byte)(i / 32)])[i % 32];
        }

        block[0] &= 0x7f;
        byte[] encoded = [.. block, .. hash, trailer];
        var numbers = Key.ExportParameters(includePrivateParameters: true);
        return System.Numerics.BigInteger.ModPow(Number(encoded), Number(numbers.D!), Number(numbers.Modulus!)).ToByteArray(isUnsigned: true, isBigEndian: true) is var signature
            ? [.. new byte[256 - signature.Length], .. signature]
            : [];
    }

    private static System.Numerics.BigInteger Number(byte[] bytes) => new(bytes, isUnsigned: true, isBigEndian: true);
}
