using System.Formats.Asn1;
using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;

namespace Signet.Identity.X509.Revocation;

/// <summary>
/// Which certificate is asked about (RFC 6960 §4.1.1): its serial number, and hashes of its issuer's name and key. SHA-1 is what everybody asks with; it
/// names an issuer here and protects nothing. Immutable; equal when the encodings are.
/// </summary>
public sealed class OcspCertificateId : IEquatable<OcspCertificateId>
{
    /// <summary>20 bytes (RFC 5280 §4.1.2.2), and one for the sign.</summary>
    private const int MaxSerialBytes = 21;

    private readonly HashAlgorithmName _hash;
    private readonly ReadOnlyMemory<byte> _nameHash;
    private readonly ReadOnlyMemory<byte> _keyHash;

    private OcspCertificateId(ReadOnlyMemory<byte> der, HashAlgorithmName hash, ReadOnlyMemory<byte> nameHash, ReadOnlyMemory<byte> keyHash, string serialHex) =>
        (Der, _hash, _nameHash, _keyHash, SerialHex) = (der, hash, nameHash, keyHash, serialHex);

    /// <summary>The encoded <c>CertID</c>.</summary>
    public ReadOnlyMemory<byte> Der { get; }

    /// <summary>The serial number in lower-case hex, as <see cref="Certificate.SerialHex"/>.</summary>
    public string SerialHex { get; }

    /// <summary>Asks about a certificate of this issuer.</summary>
    /// <param name="issuer">The issuer.</param>
    /// <param name="serialHex">The certificate's serial number in hex.</param>
    /// <param name="hash">SHA-1 or SHA-256.</param>
    /// <exception cref="FormatException">The serial number is none.</exception>
    public static OcspCertificateId Of(Certificate issuer, string serialHex, HashAlgorithmName hash)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            using (writer.PushSequence())
            {
                writer.WriteObjectIdentifier(hash == HashAlgorithmName.SHA1 ? Oids.Sha1 : Oids.Sha256);
                writer.WriteNull();
            }

            writer.WriteOctetString(CryptographicOperations.HashData(hash, issuer.SubjectDer.Span));
            writer.WriteOctetString(CryptographicOperations.HashData(hash, issuer.PublicKey.Bits.Span));
            writer.WriteInteger(BigInteger.Parse('0' + serialHex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
        }

        return Read(writer.Encode());
    }

    /// <summary>Whether the certificate that is asked about would be this issuer's.</summary>
    public bool IsOf(Certificate issuer) =>
        CryptographicOperations.HashData(_hash, issuer.SubjectDer.Span).AsSpan().SequenceEqual(_nameHash.Span)
        && CryptographicOperations.HashData(_hash, issuer.PublicKey.Bits.Span).AsSpan().SequenceEqual(_keyHash.Span);

    public bool Equals(OcspCertificateId? other) => other is not null && Der.Span.SequenceEqual(other.Der.Span);

    public override bool Equals(object? obj) => Equals(obj as OcspCertificateId);

    public override int GetHashCode() => SerialHex.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => $"serial {SerialHex}";

    /// <exception cref="AsnContentException">Malformed, or hashed in a way that is not understood.</exception>
    internal static OcspCertificateId Read(ReadOnlyMemory<byte> der)
    {
        // CertID ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier, issuerNameHash OCTET STRING, issuerKeyHash OCTET STRING, serialNumber INTEGER }
        var outer = new AsnReader(der, AsnEncodingRules.DER);
        var sequence = outer.ReadSequence();
        outer.ThrowIfNotEmpty();
        var algorithm = sequence.ReadSequence();
        var (hash, length) = algorithm.ReadObjectIdentifier() switch
        {
            Oids.Sha1 => (HashAlgorithmName.SHA1, SHA1.HashSizeInBytes),
            Oids.Sha256 => (HashAlgorithmName.SHA256, SHA256.HashSizeInBytes),
            var other => throw new AsnContentException($"the issuer is named by hashes of kind {other}; SHA-1 and SHA-256 are understood"),
        };
        if (algorithm.HasData)
        {
            algorithm.ReadNull();
            algorithm.ThrowIfNotEmpty();
        }

        var (nameHash, keyHash) = (ReadHash(sequence, length), ReadHash(sequence, length));
        var serial = sequence.ReadIntegerBytes();
        sequence.ThrowIfNotEmpty();
        return serial.Length <= MaxSerialBytes ? new OcspCertificateId(der, hash, nameHash, keyHash, Certificate.ToHex(serial)) : throw new AsnContentException("the serial number is too long");
    }

    private static ReadOnlyMemory<byte> ReadHash(AsnReader sequence, int length) =>
        sequence.TryReadPrimitiveOctetString(out var hash) && hash.Length == length ? hash : throw new AsnContentException("a hash is not as long as its kind has it");
}
