using System.Formats.Asn1;
using System.Security.Cryptography;

namespace Signet.Identity.X509;

/// <summary>How a signature was made: which kind of key, which hash. One that must not be trusted carries the reason. Immutable.</summary>
internal sealed class SignatureAlgorithm
{
    public static readonly byte[] DerNull = [0x05, 0x00];

    private static readonly SignatureAlgorithm[] Common =
        [.. new[] { Oids.EcdsaSha256, Oids.EcdsaSha384, Oids.EcdsaSha512, Oids.RsaSha256, Oids.RsaSha384, Oids.RsaSha512, Oids.Ed25519 }.Select(oid => ReadNew(Encode(oid)))];

    private SignatureAlgorithm(ReadOnlyMemory<byte> der, string name, PublicKeyKind keyKind, HashAlgorithmName hash, RSASignaturePadding? padding, string weakness)
    {
        Der = der;
        Name = name;
        KeyKind = keyKind;
        Hash = hash;
        Padding = padding;
        Weakness = weakness;
    }

    /// <summary>The encoded <c>AlgorithmIdentifier</c>.</summary>
    public ReadOnlyMemory<byte> Der { get; }

    public string Name { get; }

    public PublicKeyKind KeyKind { get; }

    public HashAlgorithmName Hash { get; }

    public RSASignaturePadding? Padding { get; }

    /// <summary>Why the signature must not be trusted, or empty.</summary>
    public string Weakness { get; }

    /// <exception cref="AsnContentException">Not an algorithm identifier, or parameters that contradict the algorithm.</exception>
    public static SignatureAlgorithm Read(ReadOnlyMemory<byte> der)
    {
        // Nearly every certificate has one of these, so they are read once.
        foreach (var known in Common)
        {
            if (der.Span.SequenceEqual(known.Der.Span))
            {
                return known;
            }
        }

        return ReadNew(der);
    }

    /// <summary>An algorithm of RFC 7518 §3, which has a name and no encoding.</summary>
    public static SignatureAlgorithm OfToken(string name, PublicKeyKind keyKind, HashAlgorithmName hash, RSASignaturePadding? padding) =>
        new(ReadOnlyMemory<byte>.Empty, name, keyKind, hash, padding, "");

    private static SignatureAlgorithm ReadNew(ReadOnlyMemory<byte> der)
    {
        // AlgorithmIdentifier ::= SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY OPTIONAL }
        var outer = new AsnReader(der, AsnEncodingRules.DER);
        var sequence = outer.ReadSequence();
        outer.ThrowIfNotEmpty();
        var oid = sequence.ReadObjectIdentifier();
        var parameters = sequence.HasData ? sequence.ReadEncodedValue() : default;
        sequence.ThrowIfNotEmpty();
        return oid switch
        {
            Oids.EcdsaSha256 => Ecdsa(der, "ECDSA with SHA-256", HashAlgorithmName.SHA256, parameters),
            Oids.EcdsaSha384 => Ecdsa(der, "ECDSA with SHA-384", HashAlgorithmName.SHA384, parameters),
            Oids.EcdsaSha512 => Ecdsa(der, "ECDSA with SHA-512", HashAlgorithmName.SHA512, parameters),
            Oids.RsaSha256 => Pkcs1(der, "RSA with SHA-256", HashAlgorithmName.SHA256, parameters),
            Oids.RsaSha384 => Pkcs1(der, "RSA with SHA-384", HashAlgorithmName.SHA384, parameters),
            Oids.RsaSha512 => Pkcs1(der, "RSA with SHA-512", HashAlgorithmName.SHA512, parameters),
            Oids.RsaPss => Pss(der, parameters),
            Oids.Ed25519 => Ed25519(der, parameters),
            _ => new SignatureAlgorithm(der, NameOf(oid), PublicKeyKind.Unknown, default, null, $"the signature algorithm {NameOf(oid)} is not one that Signet trusts"),
        };
    }

    /// <summary>The algorithm that a key signs with: the hash as strong as the key.</summary>
    public static SignatureAlgorithm For(PublicKey key) => Read(Encode((key.Kind, key.Size) switch
    {
        (PublicKeyKind.Ec, <= 256) => Oids.EcdsaSha256,
        (PublicKeyKind.Ec, <= 384) => Oids.EcdsaSha384,
        (PublicKeyKind.Ec, _) => Oids.EcdsaSha512,
        (PublicKeyKind.Rsa, _) => Oids.RsaSha256,
        (PublicKeyKind.Ed25519, _) => Oids.Ed25519,
        _ => throw new CryptographicException($"a key of type {key.Description} cannot sign certificates"),
    }));

    /// <summary>Signs, using nothing of the key but its virtual signing method, so that keys in hardware work too.</summary>
    /// <exception cref="CryptographicException">The key refused, or is of another kind.</exception>
    public byte[] Sign(byte[] data, AsymmetricAlgorithm key) => (KeyKind, key) switch
    {
        (PublicKeyKind.Ec, ECDsa ec) => ToDer(ec.SignHash(CryptographicOperations.HashData(Hash, data))),
        (PublicKeyKind.Rsa, RSA rsa) => rsa.SignHash(CryptographicOperations.HashData(Hash, data), Hash, Padding!),
        (PublicKeyKind.Ed25519, Ed25519Key ed) => ed.Sign(data),
        _ => throw new CryptographicException($"the signing key is not of the kind that {Name} needs"),
    };

    /// <summary>Keys answer r and s side by side, each as long as the curve; certificates want SEQUENCE { r INTEGER, s INTEGER } (RFC 3279 §2.2.3).</summary>
    private static byte[] ToDer(ReadOnlySpan<byte> signature)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteIntegerUnsigned(Trimmed(signature[..(signature.Length / 2)]));
            writer.WriteIntegerUnsigned(Trimmed(signature[(signature.Length / 2)..]));
        }

        return writer.Encode();

        static ReadOnlySpan<byte> Trimmed(ReadOnlySpan<byte> number) => number.TrimStart((byte)0) is { IsEmpty: false } trimmed ? trimmed : [0];
    }

    private static byte[] Encode(string oid)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier(oid);
            if (oid is Oids.RsaSha256 or Oids.RsaSha384 or Oids.RsaSha512)
            {
                writer.WriteNull();
            }
        }

        return writer.Encode();
    }

    // RFC 5758 §3.2: the parameters are absent.
    private static SignatureAlgorithm Ecdsa(ReadOnlyMemory<byte> der, string name, HashAlgorithmName hash, ReadOnlyMemory<byte> parameters) => parameters.IsEmpty
        ? new SignatureAlgorithm(der, name, PublicKeyKind.Ec, hash, null, "")
        : throw new AsnContentException("an ECDSA signature has parameters");

    // RFC 4055 §5: the parameters are NULL.
    private static SignatureAlgorithm Pkcs1(ReadOnlyMemory<byte> der, string name, HashAlgorithmName hash, ReadOnlyMemory<byte> parameters) => parameters.Span.SequenceEqual(DerNull)
        ? new SignatureAlgorithm(der, name, PublicKeyKind.Rsa, hash, RSASignaturePadding.Pkcs1, "")
        : throw new AsnContentException("an RSA signature has parameters that are not NULL");

    // RFC 8410 §3: the parameters are absent, and the hash is the algorithm's own.
    private static SignatureAlgorithm Ed25519(ReadOnlyMemory<byte> der, ReadOnlyMemory<byte> parameters) => parameters.IsEmpty
        ? new SignatureAlgorithm(der, "Ed25519", PublicKeyKind.Ed25519, default, null, "")
        : throw new AsnContentException("an Ed25519 signature has parameters");

    private static SignatureAlgorithm Pss(ReadOnlyMemory<byte> der, ReadOnlyMemory<byte> parameters)
    {
        // RSASSA-PSS-params ::= SEQUENCE { hash [0], maskGen [1], saltLength [2] INTEGER, trailer [3] DEFAULT 1 } (RFC 4055 §3.1).
        // Only the three combinations that the web uses are known: one hash for both, salt as long as the hash.
        foreach (var (hash, oid, salt) in new[] { (HashAlgorithmName.SHA256, Oids.Sha256, 32), (HashAlgorithmName.SHA384, Oids.Sha384, 48), (HashAlgorithmName.SHA512, Oids.Sha512, 64) })
        {
            if (parameters.Span.SequenceEqual(PssParameters(oid, salt, true)) || parameters.Span.SequenceEqual(PssParameters(oid, salt, false)))
            {
                return new SignatureAlgorithm(der, "RSA-PSS with SHA-" + (salt * 8).ToString(System.Globalization.CultureInfo.InvariantCulture), PublicKeyKind.Rsa, hash, RSASignaturePadding.Pss, "");
            }
        }

        return new SignatureAlgorithm(der, "RSA-PSS", PublicKeyKind.Unknown, default, null, "the RSA-PSS parameters are not SHA-256, SHA-384 or SHA-512 with a salt of the same length");
    }

    private static byte[] PssParameters(string hash, int salt, bool withNull)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 0)))
            {
                WriteHash(writer, hash, withNull);
            }

            using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 1)))
            using (writer.PushSequence())
            {
                writer.WriteObjectIdentifier(Oids.Mgf1);
                WriteHash(writer, hash, withNull);
            }

            using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 2)))
            {
                writer.WriteInteger(salt);
            }
        }

        return writer.Encode();
    }

    private static void WriteHash(AsnWriter writer, string hash, bool withNull)
    {
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier(hash);
            if (withNull)
            {
                writer.WriteNull();
            }
        }
    }

    private static string NameOf(string oid) => oid switch
    {
        "1.2.840.113549.1.1.4" => "RSA with MD5",
        "1.2.840.113549.1.1.5" => "RSA with SHA-1",
        "1.2.840.10045.4.1" => "ECDSA with SHA-1",
        "1.2.840.10040.4.3" => "DSA with SHA-1",
        "2.16.840.1.101.3.4.3.2" => "DSA with SHA-256",
        _ => oid,
    };
}
