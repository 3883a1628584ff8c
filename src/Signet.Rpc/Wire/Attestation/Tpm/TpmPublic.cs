using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace Signet.Rpc.Wire.Attestation.Tpm;

/// <summary>The public half of a key in a TPM, and what the TPM lets be done with it: TPMT_PUBLIC (TPM 2.0 Library, Part 2, §12.2.4). RSA keys, and EC keys on P-256 and P-384. Immutable.</summary>
public sealed record TpmPublic
{
    /// <summary>The longest encoding, in bytes.</summary>
    public const int MaxLength = 1024;

    private TpmPublic(byte[] encoded) => Encoded = encoded;

    /// <summary>As the TPM writes it.</summary>
    public ReadOnlyMemory<byte> Encoded { get; }

    /// <summary><see cref="TpmWords.Rsa"/> or <see cref="TpmWords.Ecc"/>.</summary>
    public ushort Type { get; private init; }

    /// <summary>The hash that its name is made with.</summary>
    public ushort NameAlgorithm { get; private init; }

    public uint Attributes { get; private init; }

    /// <summary>The scheme that it signs with, and the hash of that; <see cref="TpmWords.Null"/> where whoever uses it says so.</summary>
    public ushort Scheme { get; private init; }

    /// <inheritdoc cref="Scheme"/>
    public ushort SchemeHash { get; private init; }

    /// <summary>The bits of the symmetric key under which it stores others; 0 when it does not.</summary>
    public int SymmetricBits { get; private init; }

    /// <summary>The key, <c>SubjectPublicKeyInfo</c> in DER.</summary>
    public ReadOnlyMemory<byte> SubjectPublicKeyInfo { get; private init; }

    /// <summary>What the TPM calls it: the hash's number and the hash of the encoding (Part 1, §16).</summary>
    public byte[] Name => [(byte)(NameAlgorithm >> 8), (byte)NameAlgorithm, .. NameAlgorithm == TpmWords.Sha384 ? SHA384.HashData(Encoded.Span) : SHA256.HashData(Encoded.Span)];

    /// <summary>Whether it has all of these attributes.</summary>
    public bool Has(uint attributes) => (Attributes & attributes) == attributes;

    /// <summary>Reads one, with its length before it or without. Never throws.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> bytes, [NotNullWhen(true)] out TpmPublic? key, out string problem)
    {
        (key, problem) = (null, "");
        if (bytes.Length is < 2 or > MaxLength)
        {
            problem = $"it is {bytes.Length} bytes long; up to {MaxLength} were expected";
            return false;
        }

        var encoded = bytes.Span[0] << 8 | bytes.Span[1];
        var inner = encoded == bytes.Length - 2 ? bytes[2..] : bytes;
        var reader = new TpmReader(inner.Span);
        var (type, nameAlgorithm, attributes) = (reader.Short(), reader.Short(), reader.Long());
        reader.Sized();
        var symmetric = reader.Short();
        var symmetricBits = symmetric == TpmWords.Null ? 0 : (int)reader.Short();
        _ = symmetric == TpmWords.Null ? 0 : reader.Short();
        var scheme = reader.Short();
        var schemeHash = scheme is TpmWords.Null or TpmWords.RsaEs ? TpmWords.Null : reader.Short();
        byte[]? info = null;
        try
        {
            info = type switch
            {
                TpmWords.Rsa => ReadRsa(ref reader),
                TpmWords.Ecc => ReadEc(ref reader),
                _ => null,
            };
        }
        catch (CryptographicException)
        {
            // Said below.
        }

        if (!reader.IsWhole || info is null || nameAlgorithm is not (TpmWords.Sha256 or TpmWords.Sha384))
        {
            problem = "it is not the public half of an RSA or EC key that is named by SHA-256 or SHA-384";
            return false;
        }

        key = new TpmPublic(inner.ToArray())
        {
            Type = type,
            NameAlgorithm = nameAlgorithm,
            Attributes = attributes,
            Scheme = scheme,
            SchemeHash = schemeHash,
            SymmetricBits = symmetricBits,
            SubjectPublicKeyInfo = info,
        };
        return true;
    }

    private static byte[]? ReadRsa(ref TpmReader reader)
    {
        var (bits, exponent) = (reader.Short(), reader.Long());
        var modulus = reader.Sized();
        if (!reader.IsGood || bits is < 2048 or > 4096 || modulus.Length != bits / 8)
        {
            return null;
        }

        // 0 stands for the usual one.
        exponent = exponent == 0 ? 65537 : exponent;
        byte[] written = [(byte)(exponent >> 24), (byte)(exponent >> 16), (byte)(exponent >> 8), (byte)exponent];
        using var rsa = RSA.Create(new RSAParameters { Modulus = modulus.ToArray(), Exponent = written.AsSpan().TrimStart((byte)0).ToArray() });
        return rsa.ExportSubjectPublicKeyInfo();
    }

    private static byte[]? ReadEc(ref TpmReader reader)
    {
        var curve = reader.Short();
        _ = reader.Short() == TpmWords.Null ? 0 : reader.Short();
        var x = reader.Sized();
        var y = reader.Sized();
        var length = curve switch { TpmWords.P256 => 32, TpmWords.P384 => 48, _ => 0 };
        if (!reader.IsGood || length == 0 || x.Length > length || y.Length > length)
        {
            return null;
        }

        using var ec = ECDsa.Create(new ECParameters
        {
            Curve = curve == TpmWords.P256 ? ECCurve.NamedCurves.nistP256 : ECCurve.NamedCurves.nistP384,
            Q = new ECPoint { X = Padded(x, length), Y = Padded(y, length) },
        });
        return ec.ExportSubjectPublicKeyInfo();
    }

    private static byte[] Padded(ReadOnlySpan<byte> number, int length)
    {
        var padded = new byte[length];
        number.CopyTo(padded.AsSpan(length - number.Length));
        return padded;
    }
}
