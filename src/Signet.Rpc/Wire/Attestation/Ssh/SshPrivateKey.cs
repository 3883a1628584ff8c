using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Security.Cryptography;
using Signet.Identity.X509;

namespace Signet.Rpc.Wire.Attestation.Ssh;

/// <summary>Private keys in OpenSSH's own files (its PROTOCOL.key), or in PEM, and the signatures that are made with them.</summary>
public static class SshPrivateKey
{
    /// <summary>The longest file, in characters.</summary>
    public const int MaxLength = 32 * 1024;

    private const string Label = "OPENSSH PRIVATE KEY";
    private static ReadOnlySpan<byte> Magic => "openssh-key-v1\0"u8;

    /// <summary>Reads a key, which the caller disposes. Never throws; the problem never contains the key.</summary>
    public static bool TryRead(string text, [NotNullWhen(true)] out AsymmetricAlgorithm? key, out string problem)
    {
        (key, problem) = (null, "it is not a private key of SSH");
        if (text.Length > MaxLength || !PemEncoding.TryFind(text, out var fields))
        {
            return false;
        }

        if (text[fields.Label] != Label)
        {
            return Pem.TryReadPrivateKey(text, out key, out problem);
        }

        var bytes = Convert.FromBase64String(text[fields.Base64Data]);
        try
        {
            return TryRead(bytes, out key, out problem);
        }
        catch (CryptographicException)
        {
            problem = "its numbers are not a key";
            return false;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    /// <summary>Signs, and names the algorithm.</summary>
    public static (string Format, byte[] Signature) Sign(AsymmetricAlgorithm key, byte[] data)
    {
        switch (key)
        {
            case RSA rsa:
                return ("rsa-sha2-512", rsa.SignData(data, HashAlgorithmName.SHA512, RSASignaturePadding.Pkcs1));
            case ECDsa ec:
                var numbers = ec.SignData(data, SshPublicKey.HashOf(ec), DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
                return ($"{SshPublicKey.EcPrefix}nistp{ec.KeySize}", new SshWriter().Integer(numbers.AsSpan(0, numbers.Length / 2)).Integer(numbers.AsSpan(numbers.Length / 2)).ToArray());
            default:
                return (SshPublicKey.Ed25519, ((Ed25519Key)key).Sign(data));
        }
    }

    private static bool TryRead(byte[] bytes, [NotNullWhen(true)] out AsymmetricAlgorithm? key, out string problem)
    {
        (key, problem) = (null, "it is not a private key of SSH");
        if (!bytes.AsSpan().StartsWith(Magic))
        {
            return false;
        }

        var outer = new SshReader(bytes.AsSpan(Magic.Length));
        var cipher = outer.Text();
        outer.Text();
        outer.Bytes();
        var count = outer.Number();
        outer.Bytes();
        var inside = outer.Bytes();
        if (!outer.IsWhole || count != 1)
        {
            return false;
        }

        if (cipher != "none")
        {
            problem = "it is encrypted; the keys of hosts are not";
            return false;
        }

        var reader = new SshReader(inside);
        if (reader.Number() != reader.Number())
        {
            return false;
        }

        key = reader.Text() switch
        {
            SshPublicKey.Rsa => ReadRsa(ref reader),
            SshPublicKey.EcPrefix + "nistp256" => ReadEc(ref reader, ECCurve.NamedCurves.nistP256, 32),
            SshPublicKey.EcPrefix + "nistp384" => ReadEc(ref reader, ECCurve.NamedCurves.nistP384, 48),
            SshPublicKey.EcPrefix + "nistp521" => ReadEc(ref reader, ECCurve.NamedCurves.nistP521, 66),
            SshPublicKey.Ed25519 => ReadEdwards(ref reader),
            _ => null,
        };
        problem = key is not null ? "" : "it is of a kind that is not known here, or cut off; RSA, ECDSA and Ed25519 keys are known";
        return key is not null;
    }

    private static RSA? ReadRsa(ref SshReader reader)
    {
        var (n, e, d, q1, p, q) = (reader.Integer(), reader.Integer(), reader.Integer(), reader.Integer(), reader.Integer(), reader.Integer());
        if (p.Length == 0 || q.Length == 0 || !reader.HasMore)
        {
            return null;
        }

        var half = (n.Length + 1) / 2;
        return RSA.Create(new RSAParameters
        {
            Modulus = n,
            Exponent = e,
            D = Padded(d, n.Length),
            P = Padded(p, half),
            Q = Padded(q, half),
            DP = Padded(Remainder(d, p), half),
            DQ = Padded(Remainder(d, q), half),
            InverseQ = Padded(q1, half),
        });
    }

    private static ECDsa? ReadEc(ref SshReader reader, ECCurve curve, int size)
    {
        reader.Text();
        var point = reader.Bytes().ToArray();
        var d = reader.Integer();
        return point.Length == 1 + (2 * size) && point[0] == 4 && d.Length is > 0 && d.Length <= size
            ? ECDsa.Create(new ECParameters { Curve = curve, Q = new ECPoint { X = point[1..(1 + size)], Y = point[(1 + size)..] }, D = Padded(d, size) })
            : null;
    }

    // The seed, and the public key again.
    private static Ed25519Key? ReadEdwards(ref SshReader reader)
    {
        reader.Bytes();
        var both = reader.Bytes();
        return both.Length == Ed25519Key.SeedLength + Ed25519Key.PublicKeyLength ? Ed25519Key.OfSeed(both[..Ed25519Key.SeedLength]) : null;
    }

    private static byte[] Remainder(byte[] d, byte[] prime) =>
        (new BigInteger(d, isUnsigned: true, isBigEndian: true) % (new BigInteger(prime, isUnsigned: true, isBigEndian: true) - 1)).ToByteArray(isUnsigned: true, isBigEndian: true);

    private static byte[] Padded(byte[] number, int length)
    {
        var padded = new byte[Math.Max(length, number.Length)];
        number.CopyTo(padded, padded.Length - number.Length);
        return padded;
    }
}
