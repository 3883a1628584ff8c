using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Signet.Identity.X509;

namespace Signet.Rpc.Wire.Attestation.Ssh;

/// <summary>A public key as OpenSSH writes it (RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4), and the signatures of it. Immutable, thread-safe.</summary>
public sealed class SshPublicKey
{
    /// <summary>The longest encoding, in bytes.</summary>
    public const int MaxLength = 4096;

    internal const string Rsa = "ssh-rsa", Ed25519 = "ssh-ed25519", EcPrefix = "ecdsa-sha2-";
    private const int MinRsaBits = 2048, MaxRsaBits = 8192;

    private readonly Func<AsymmetricAlgorithm> _import;

    private SshPublicKey(byte[] encoded, string type, Func<AsymmetricAlgorithm> import) => (Encoded, Type, _import) = (encoded, type, import);

    /// <summary>As it is written before its base64.</summary>
    public ReadOnlyMemory<byte> Encoded { get; }

    /// <summary>As <c>ssh-ed25519</c> or <c>ecdsa-sha2-nistp256</c>.</summary>
    public string Type { get; }

    /// <summary>Reads a key. Never throws.</summary>
    public static bool TryRead(ReadOnlySpan<byte> encoded, [NotNullWhen(true)] out SshPublicKey? key, out string problem)
    {
        var reader = new SshReader(encoded.Length <= MaxLength ? encoded : []);
        var type = reader.Text();
        var isRead = TryReadParts(ref reader, type, encoded.ToArray(), out key, out problem) && reader.IsWhole;
        problem = isRead || problem.Length > 0 ? problem : "it is not a public key of SSH";
        key = isRead ? key : null;
        return isRead;
    }

    /// <summary>Reads the line of an authorized_keys file (sshd(8)) that begins with the key's type. Never throws.</summary>
    public static bool TryParse(string line, [NotNullWhen(true)] out SshPublicKey? key, out string problem)
    {
        (key, problem) = (null, "it is not a line such as \"ssh-ed25519 AAAA…\"");
        var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var bytes = new byte[MaxLength];
        return words.Length >= 2 && Convert.TryFromBase64String(words[1], bytes, out var length) && TryRead(bytes.AsSpan(0, length), out key, out problem) && (key.Type == words[0] || Forget(out key));
    }

    /// <summary>Whether the key made a signature. Never throws.</summary>
    /// <param name="data">What was signed.</param>
    /// <param name="format">The algorithm's name.</param>
    /// <param name="signature">As SSH has it.</param>
    /// <param name="withSha1">Whether RSA with SHA-1 counts, where what was signed is fresh and the signer's own.</param>
    public bool Verifies(ReadOnlySpan<byte> data, string format, ReadOnlySpan<byte> signature, bool withSha1)
    {
        try
        {
            using var key = _import();
            return key switch
            {
                RSA rsa => HashOf(format, withSha1) is { } hash && rsa.VerifyData(data, Padded(signature, rsa.KeySize / 8), hash, RSASignaturePadding.Pkcs1),
                ECDsa ec => format == Type && TryReadEc(signature, (ec.KeySize + 7) / 8, out var numbers) && ec.VerifyData(data, numbers, HashOf(ec), DSASignatureFormat.IeeeP1363FixedFieldConcatenation),
                Ed25519Key edwards => format == Type && edwards.Verify(data, signature),
                _ => false,
            };
        }
        catch (CryptographicException)
        {
            return false;
        }
    }

    /// <summary>The hash that goes with a curve (RFC 5656 §6.2.1).</summary>
    public static HashAlgorithmName HashOf(ECDsa key) => key.KeySize switch { 256 => HashAlgorithmName.SHA256, 384 => HashAlgorithmName.SHA384, _ => HashAlgorithmName.SHA512 };

    /// <summary>Reads what follows the type, also in a certificate.</summary>
    internal static bool TryReadParts(ref SshReader reader, string type, byte[] encoded, [NotNullWhen(true)] out SshPublicKey? key, out string problem)
    {
        (key, problem) = (null, "");
        switch (type)
        {
            case Rsa:
                var (exponent, modulus) = (reader.Integer(), reader.Integer());
                var bits = modulus.Length == 0 ? 0 : (modulus.Length * 8) - byte.LeadingZeroCount(modulus[0]);
                if (bits is < MinRsaBits or > MaxRsaBits || exponent.Length is 0 or > 4)
                {
                    problem = $"an RSA key has {MinRsaBits} to {MaxRsaBits} bits";
                    return false;
                }

                key = new SshPublicKey(encoded, type, () => RSA.Create(new RSAParameters { Modulus = modulus, Exponent = exponent }));
                return true;
            case EcPrefix + "nistp256" or EcPrefix + "nistp384" or EcPrefix + "nistp521":
                var curve = reader.Text();
                var point = reader.Bytes().ToArray();
                var size = curve switch { "nistp256" => 32, "nistp384" => 48, _ => 66 };
                if (EcPrefix + curve != type || point.Length != 1 + (2 * size) || point[0] != 4)
                {
                    problem = $"its point is not one of {type}";
                    return false;
                }

                var named = size switch { 32 => ECCurve.NamedCurves.nistP256, 48 => ECCurve.NamedCurves.nistP384, _ => ECCurve.NamedCurves.nistP521 };
                key = new SshPublicKey(encoded, type, () => ECDsa.Create(new ECParameters { Curve = named, Q = new ECPoint { X = point[1..(1 + size)], Y = point[(1 + size)..] } }));
                return true;
            case Ed25519:
                var bytes = reader.Bytes().ToArray();
                if (!Ed25519Key.TryOfPublic(bytes, out var edwards, out problem))
                {
                    return false;
                }

                edwards.Dispose();
                key = new SshPublicKey(encoded, type, () => Ed25519Key.TryOfPublic(bytes, out var again, out var why) ? again : throw new CryptographicException(why));
                return true;
            default:
                problem = "keys of its type are not believed here; RSA, ECDSA and Ed25519 keys are";
                return false;
        }
    }

    private static bool Forget(out SshPublicKey? key)
    {
        key = null;
        return false;
    }

    // RFC 8332 §3.
    private static HashAlgorithmName? HashOf(string format, bool withSha1) => format switch
    {
        "rsa-sha2-256" => HashAlgorithmName.SHA256,
        "rsa-sha2-512" => HashAlgorithmName.SHA512,
        Rsa when withSha1 => HashAlgorithmName.SHA1,
        _ => null,
    };

    private static byte[] Padded(ReadOnlySpan<byte> number, int length)
    {
        var padded = new byte[Math.Max(length, number.Length)];
        number.CopyTo(padded.AsSpan(padded.Length - number.Length));
        return padded;
    }

    // RFC 5656 §3.1.2: r and s.
    private static bool TryReadEc(ReadOnlySpan<byte> signature, int size, out byte[] numbers)
    {
        numbers = [];
        var reader = new SshReader(signature);
        var (r, s) = (reader.Integer(), reader.Integer());
        if (!reader.IsWhole || r.Length > size || s.Length > size)
        {
            return false;
        }

        numbers = [.. Padded(r, size), .. Padded(s, size)];
        return true;
    }
}
