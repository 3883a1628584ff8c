using System.Formats.Asn1;
using System.Security.Cryptography;
using Signet.Identity.Spiffe;

namespace Signet.Identity.X509;

/// <summary>
/// What a certificate will say, before anyone signed it. Nothing in it depends on who signs. Immutable; the serial number is random.
/// </summary>
public sealed record CertificateTemplate
{
    private const int SerialLength = 16;
    private const int KeyIdLength = 20;

    private static readonly DistinguishedName LeafSubject = DistinguishedName.Of(("O", "Signet"));

    /// <summary>The SPIFFE ID that becomes the only URI name.</summary>
    public required SpiffeId Id { get; init; }

    /// <summary>May be empty for a leaf; the alternative names are critical then (X509-SVID §3.1).</summary>
    public required DistinguishedName Subject { get; init; }

    /// <summary>The encoded <c>SubjectPublicKeyInfo</c>.</summary>
    public required ReadOnlyMemory<byte> PublicKey { get; init; }

    /// <summary>Whole seconds count; fractions are cut off.</summary>
    public required DateTimeOffset NotBefore { get; init; }

    /// <inheritdoc cref="NotBefore"/>
    public required DateTimeOffset NotAfter { get; init; }

    public required bool IsAuthority { get; init; }

    /// <summary>How many authorities may stand below this one; null for no limit. Only for authorities.</summary>
    public int? PathLength { get; init; }

    public IReadOnlyList<string> DnsNames { get; init; } = [];

    /// <summary>The serial number, big-endian: 16 random bytes with the top bit clear and the next one set, so that the length never varies.</summary>
    public ReadOnlyMemory<byte> Serial { get; init; } = NewSerial();

    /// <summary>
    /// A workload's certificate: for servers and clients, never for signing certificates (X509-SVID §4). The ID must have a path (§3.1);
    /// the subject is <c>O=Signet</c> unless given; the public key is an encoded <c>SubjectPublicKeyInfo</c>.
    /// </summary>
    /// <exception cref="ArgumentException">The ID has no path, or the life ends before it begins.</exception>
    public static CertificateTemplate Leaf(
        SpiffeId id, ReadOnlyMemory<byte> publicKey, DateTimeOffset notBefore, DateTimeOffset notAfter, IReadOnlyList<string>? dnsNames = null, DistinguishedName? subject = null)
    {
        if (!id.HasPath)
        {
            throw new ArgumentException($"{id} is the ID of a trust domain; a leaf needs one with a path", nameof(id));
        }

        return new CertificateTemplate
        {
            Id = id,
            Subject = subject ?? LeafSubject,
            PublicKey = publicKey,
            NotBefore = notBefore,
            NotAfter = Later(notBefore, notAfter),
            IsAuthority = false,
            DnsNames = dnsNames ?? [],
        };
    }

    /// <summary>
    /// An authority's certificate: signs certificates and CRLs, names its trust domain, has no path (X509-SVID §3.2).
    /// The subject is <c>O=Signet,CN=commonName</c>; set <see cref="Subject"/> for another.
    /// </summary>
    /// <exception cref="ArgumentException">The life ends before it begins.</exception>
    public static CertificateTemplate Authority(
        TrustDomain trustDomain, ReadOnlyMemory<byte> publicKey, DateTimeOffset notBefore, DateTimeOffset notAfter, string commonName, int? pathLength = null) => new()
        {
            Id = SpiffeId.Of(trustDomain),
            Subject = DistinguishedName.Of(("O", "Signet"), ("CN", commonName)),
            PublicKey = publicKey,
            NotBefore = notBefore,
            NotAfter = Later(notBefore, notAfter),
            IsAuthority = true,
            PathLength = pathLength,
        };

    /// <summary>Signs with the template's own key: a trust anchor.</summary>
    /// <exception cref="CryptographicException">The key refused, or is of another kind than the template's.</exception>
    public Certificate SignSelf(AsymmetricAlgorithm key)
    {
        var own = X509.PublicKey.Read(PublicKey);
        return Sign(Subject, KeyIdOf(own), own, key);
    }

    /// <summary>Signs with the key of an issuer. Whether the issuer may sign this is the caller's question.</summary>
    /// <exception cref="CryptographicException">The key refused, or is of another kind than the issuer's.</exception>
    public Certificate Sign(Certificate issuer, AsymmetricAlgorithm issuerKey) => Sign(
        issuer.SubjectName,
        issuer.SubjectKeyIdentifier.IsEmpty ? KeyIdOf(issuer.PublicKey) : issuer.SubjectKeyIdentifier.ToArray(),
        issuer.PublicKey,
        issuerKey);

    private Certificate Sign(DistinguishedName issuer, byte[] issuerKeyId, PublicKey issuerPublicKey, AsymmetricAlgorithm issuerKey)
    {
        var algorithm = SignatureAlgorithm.For(issuerPublicKey);
        var signedPart = EncodeSignedPart(issuer, issuerKeyId, algorithm);
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteEncodedValue(signedPart);
            writer.WriteEncodedValue(algorithm.Der.Span);
            writer.WriteBitString(algorithm.Sign(signedPart, issuerKey));
        }

        return Certificate.Parse(writer.Encode());
    }

    private byte[] EncodeSignedPart(DistinguishedName issuer, byte[] issuerKeyId, SignatureAlgorithm algorithm)
    {
        var key = X509.PublicKey.Read(PublicKey);
        var writer = new AsnWriter(AsnEncodingRules.DER, 1024);
        using (writer.PushSequence())
        {
            using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 0)))
            {
                writer.WriteInteger(2);
            }

            writer.WriteIntegerUnsigned(Serial.Span);
            writer.WriteEncodedValue(algorithm.Der.Span);
            writer.WriteEncodedValue(issuer.Der.Span);
            using (writer.PushSequence())
            {
                DerTime.Write(writer, NotBefore);
                DerTime.Write(writer, NotAfter);
            }

            writer.WriteEncodedValue(Subject.Der.Span);
            writer.WriteEncodedValue(PublicKey.Span);
            using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 3)))
            using (writer.PushSequence())
            {
                WriteExtensions(writer, key, issuerKeyId);
            }
        }

        return writer.Encode();
    }

    private void WriteExtensions(AsnWriter writer, PublicKey key, byte[] issuerKeyId)
    {
        ExtensionWriter.WriteKeyUsage(writer, (IsAuthority, key.Kind) switch
        {
            (true, _) => KeyUsages.KeyCertSign | KeyUsages.CrlSign,
            (false, PublicKeyKind.Rsa) => KeyUsages.DigitalSignature | KeyUsages.KeyEncipherment,
            (false, PublicKeyKind.Ed25519) => KeyUsages.DigitalSignature, // RFC 8410 §5: the key does nothing else
            (false, _) => KeyUsages.DigitalSignature | KeyUsages.KeyAgreement,
        });
        if (!IsAuthority)
        {
            ExtensionWriter.WritePurposes(writer, Oids.ServerAuth, Oids.ClientAuth);
        }

        ExtensionWriter.WriteBasicConstraints(writer, IsAuthority, IsAuthority ? PathLength : null);
        ExtensionWriter.WriteSubjectKeyIdentifier(writer, KeyIdOf(key));
        ExtensionWriter.WriteAuthorityKeyIdentifier(writer, issuerKeyId);
        ExtensionWriter.WriteAlternativeNames(writer, Id, DnsNames, isCritical: Subject.IsEmpty);
    }

    /// <summary>RFC 7093 §2, method 1: the first 160 bits of SHA-256 over the key's bits.</summary>
    private static byte[] KeyIdOf(PublicKey key) => SHA256.HashData(key.Bits.Span)[..KeyIdLength];

    private static ReadOnlyMemory<byte> NewSerial()
    {
        var serial = RandomNumberGenerator.GetBytes(SerialLength);
        serial[0] &= 0x7f;
        serial[0] |= 0x40;
        return serial;
    }

    private static DateTimeOffset Later(DateTimeOffset notBefore, DateTimeOffset notAfter) => notAfter > notBefore
        ? notAfter
        : throw new ArgumentException($"the certificate would end at {notAfter:O}, before it begins at {notBefore:O}", nameof(notAfter));
}
