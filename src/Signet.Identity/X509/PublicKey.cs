using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Security.Cryptography;

namespace Signet.Identity.X509;

/// <summary>
/// The public key of a certificate or request: what it is, whether it is strong enough, and whether it made a signature. Thread-safe:
/// the imported key is cached in a few slots, and a slot is used by one thread at a time.
/// </summary>
internal sealed class PublicKey
{
    public const int MinRsaBits = 2048;

    /// <summary>Checking a signature takes time that grows with the square of the key; more than this is an attack.</summary>
    public const int MaxRsaBits = 8192;

    private const int MaxRsaExponentBytes = 8;

    /// <summary>What every P-256 key with an uncompressed point begins with, up to the point: most keys of a mesh are read in one comparison.</summary>
    private static ReadOnlySpan<byte> P256Header =>
        [0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00];

    private const int P256Length = 26 + 65;
    private const int Slots = 8;

    private readonly AsymmetricAlgorithm?[] _slots = new AsymmetricAlgorithm?[Slots];

    private PublicKey(ReadOnlyMemory<byte> info, ReadOnlyMemory<byte> bits, PublicKeyKind kind, int size, string description, string weakness)
    {
        Info = info;
        Bits = bits;
        Kind = kind;
        Size = size;
        Description = description;
        Weakness = weakness;
    }

    /// <summary>The encoded <c>SubjectPublicKeyInfo</c>.</summary>
    public ReadOnlyMemory<byte> Info { get; }

    /// <summary>The content of its bit string: what key identifiers are made of.</summary>
    public ReadOnlyMemory<byte> Bits { get; }

    public PublicKeyKind Kind { get; }

    /// <summary>In bits: of the modulus or the curve; 0 when unknown.</summary>
    public int Size { get; }

    /// <summary>For people: <c>EC P-256</c>, <c>RSA 2048</c>, <c>Ed25519</c>, or the algorithm's identifier.</summary>
    public string Description { get; }

    /// <summary>Why the key must not be trusted, or empty.</summary>
    public string Weakness { get; }

    /// <exception cref="AsnContentException">Not a public key; an unknown algorithm is no error here, but a weakness.</exception>
    public static PublicKey Read(ReadOnlyMemory<byte> info)
    {
        if (info.Length == P256Length && info.Span.StartsWith(P256Header))
        {
            return new PublicKey(info, info[P256Header.Length..], PublicKeyKind.Ec, 256, "EC P-256", "");
        }

        // SubjectPublicKeyInfo ::= SEQUENCE { algorithm AlgorithmIdentifier, subjectPublicKey BIT STRING }
        var outer = new AsnReader(info, AsnEncodingRules.DER);
        var sequence = outer.ReadSequence();
        outer.ThrowIfNotEmpty();
        var algorithm = sequence.ReadSequence();
        var oid = algorithm.ReadObjectIdentifier();
        var parameters = algorithm.HasData ? algorithm.ReadEncodedValue() : default;
        algorithm.ThrowIfNotEmpty();
        if (!sequence.TryReadPrimitiveBitString(out var unused, out var bits) || unused != 0)
        {
            throw new AsnContentException("the public key is not whole bytes");
        }

        sequence.ThrowIfNotEmpty();
        return oid switch
        {
            Oids.EcPublicKey => ReadEc(info, bits, parameters),
            Oids.Rsa => ReadRsa(info, bits, parameters),
            Oids.Ed25519 => ReadEd25519(info, bits, parameters),
            _ => new PublicKey(info, bits, PublicKeyKind.Unknown, 0, oid, $"the key algorithm {oid} is not one that Signet trusts"),
        };
    }

    /// <summary>Whether this key made the signature. A malformed signature or key is a no, not an exception.</summary>
    public bool Verifies(
        ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature, SignatureAlgorithm algorithm, DSASignatureFormat ecFormat = DSASignatureFormat.Rfc3279DerSequence)
    {
        if (Kind == PublicKeyKind.Unknown || Weakness.Length > 0 || algorithm.KeyKind != Kind)
        {
            return false;
        }

        var slot = Environment.CurrentManagedThreadId % Slots;
        var key = Interlocked.Exchange(ref _slots[slot], null);
        try
        {
            key ??= Import();
            return key switch
            {
                ECDsa ec => ec.VerifyData(data, signature, algorithm.Hash, ecFormat),
                RSA rsa => rsa.VerifyData(data, signature, algorithm.Hash, algorithm.Padding!),
                Ed25519Key ed => ed.Verify(data, signature),
                _ => false,
            };
        }
        catch (CryptographicException)
        {
            return false;
        }
        finally
        {
            Interlocked.Exchange(ref _slots[slot], key)?.Dispose();
        }
    }

    /// <summary>Whether the bits really are a key: the point lies on its curve, the modulus is a number.</summary>
    public bool IsUsable([NotNullWhen(false)] out string? problem)
    {
        problem = Weakness.Length > 0 ? Weakness : null;
        if (problem is null)
        {
            try
            {
                Import().Dispose();
            }
            catch (CryptographicException)
            {
                problem = $"the {Description} public key is not a valid key";
            }
        }

        return problem is null;
    }

    private static PublicKey ReadEc(ReadOnlyMemory<byte> info, ReadOnlyMemory<byte> bits, ReadOnlyMemory<byte> parameters)
    {
        // RFC 5480 §2.1.1: only named curves; explicit parameters have been used to forge keys.
        if (parameters.IsEmpty || new AsnReader(parameters, AsnEncodingRules.DER).PeekTag() != Asn1Tag.ObjectIdentifier)
        {
            return new PublicKey(info, bits, PublicKeyKind.Unknown, 0, "EC with explicit parameters", "the EC key does not name its curve");
        }

        var curve = new AsnReader(parameters, AsnEncodingRules.DER).ReadObjectIdentifier();
        var (size, name) = curve switch
        {
            Oids.P256 => (256, "EC P-256"),
            Oids.P384 => (384, "EC P-384"),
            Oids.P521 => (521, "EC P-521"),
            _ => (0, "EC " + curve),
        };
        return size == 0
            ? new PublicKey(info, bits, PublicKeyKind.Unknown, 0, name, $"the curve {curve} is not one of P-256, P-384 and P-521")
            : new PublicKey(info, bits, PublicKeyKind.Ec, size, name, "");
    }

    private static PublicKey ReadRsa(ReadOnlyMemory<byte> info, ReadOnlyMemory<byte> bits, ReadOnlyMemory<byte> parameters)
    {
        // RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }; RFC 3279 §2.3.1: the parameters are NULL.
        if (!parameters.Span.SequenceEqual(SignatureAlgorithm.DerNull))
        {
            throw new AsnContentException("the RSA key has parameters that are not NULL");
        }

        var (n, e) = ReadRsaNumbers(bits);
        var modulus = n.Span;
        var exponent = e.Span;
        var size = modulus.IsEmpty ? 0 : (modulus.Length * 8) - byte.LeadingZeroCount(modulus[0]);
        var weakness = size switch
        {
            < MinRsaBits => $"the RSA key has {size} bits; the least is {MinRsaBits}",
            > MaxRsaBits => $"the RSA key has {size} bits; the most is {MaxRsaBits}",
            _ when exponent.IsEmpty || (exponent[^1] & 1) == 0 || (exponent.Length == 1 && exponent[0] == 1) => "the RSA key's exponent is not an odd number above 1",
            _ when exponent.Length > MaxRsaExponentBytes => $"the RSA key's exponent is longer than {MaxRsaExponentBytes} bytes",
            _ when (modulus[^1] & 1) == 0 => "the RSA key's modulus is even",
            _ => "",
        };
        return new PublicKey(info, bits, PublicKeyKind.Rsa, size, "RSA " + size.ToString(System.Globalization.CultureInfo.InvariantCulture), weakness);
    }

    // RFC 8410 §3, §4: the parameters are absent, the bits are the key.
    private static PublicKey ReadEd25519(ReadOnlyMemory<byte> info, ReadOnlyMemory<byte> bits, ReadOnlyMemory<byte> parameters)
    {
        if (!parameters.IsEmpty)
        {
            throw new AsnContentException("the Ed25519 key has parameters");
        }

        var weakness = Ed25519Key.Problem.Length > 0 ? Ed25519Key.Problem : Ed25519Key.WeaknessOf(bits.Span);
        return new PublicKey(info, bits, PublicKeyKind.Ed25519, Ed25519Key.PublicKeyLength * 8, "Ed25519", weakness);
    }

    /// <summary>Modulus and exponent, big-endian, without leading zeros.</summary>
    public (ReadOnlyMemory<byte> Modulus, ReadOnlyMemory<byte> Exponent) ReadRsaNumbers() => ReadRsaNumbers(Bits);

    private static (ReadOnlyMemory<byte> Modulus, ReadOnlyMemory<byte> Exponent) ReadRsaNumbers(ReadOnlyMemory<byte> bits)
    {
        var outer = new AsnReader(bits, AsnEncodingRules.DER);
        var key = outer.ReadSequence();
        outer.ThrowIfNotEmpty();
        var modulus = key.ReadIntegerBytes();
        var exponent = key.ReadIntegerBytes();
        key.ThrowIfNotEmpty();
        return (modulus.Span[0] | exponent.Span[0]) < 0x80
            ? (modulus.TrimStart((byte)0), exponent.TrimStart((byte)0))
            : throw new AsnContentException("the RSA key has a negative number");
    }

    /// <exception cref="CryptographicException">The bits are not a key of that kind.</exception>
    public AsymmetricAlgorithm Import()
    {
        if (Kind == PublicKeyKind.Ed25519)
        {
            return Ed25519Key.TryOfPublic(Bits.Span, out var read, out var problem) ? read : throw new CryptographicException(problem);
        }

        AsymmetricAlgorithm key = Kind == PublicKeyKind.Ec ? ECDsa.Create() : RSA.Create();
        try
        {
            key.ImportSubjectPublicKeyInfo(Info.Span, out _);
            return key;
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }
}

internal enum PublicKeyKind
{
    Unknown,
    Ec,
    Rsa,
    Ed25519,
}
