using System.Formats.Asn1;
using System.Net;

namespace Signet.Identity.X509;

// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm AlgorithmIdentifier, signature BIT STRING }
// TBSCertificate ::= SEQUENCE { version [0] DEFAULT v1, serialNumber INTEGER, signature AlgorithmIdentifier, issuer Name,
//   validity SEQUENCE { notBefore, notAfter }, subject Name, subjectPublicKeyInfo, issuerUniqueID [1] OPTIONAL,
//   subjectUniqueID [2] OPTIONAL, extensions [3] SEQUENCE OF Extension OPTIONAL }                          (RFC 5280 §4.1)
public sealed partial class Certificate
{
    private const int MaxSerialLength = 64;

    private Certificate(ReadOnlyMemory<byte> der, ReadOnlyMemory<byte> signedPart, SignatureAlgorithm algorithm, ReadOnlyMemory<byte> signature)
    {
        Der = der;
        SignedPart = signedPart;
        SignatureAlgorithm = algorithm;
        Signature = signature;

        var tbs = new AsnReader(signedPart, AsnEncodingRules.DER).ReadSequence();
        Version = ReadVersion(tbs);
        Serial = tbs.ReadIntegerBytes();
        if (Serial.Length > MaxSerialLength)
        {
            throw new AsnContentException($"the serial number is longer than {MaxSerialLength} bytes");
        }

        SerialHex = ToHex(Serial);
        if (!tbs.ReadEncodedValue().Span.SequenceEqual(algorithm.Der.Span))
        {
            // RFC 5280 §4.1.1.2
            throw new AsnContentException("the signature algorithm inside differs from the one outside");
        }

        IssuerName = DistinguishedName.Parse(tbs.ReadEncodedValue());
        var validity = tbs.ReadSequence();
        NotBefore = DerTime.Read(validity);
        NotAfter = DerTime.Read(validity);
        validity.ThrowIfNotEmpty();
        SubjectName = DistinguishedName.Parse(tbs.ReadEncodedValue());
        PublicKey = PublicKey.Read(tbs.ReadEncodedValue());
        SkipUniqueIds(tbs);
        if (tbs.HasData)
        {
            if (Version != 3)
            {
                throw new AsnContentException($"version {Version} has extensions");
            }

            var wrapper = tbs.ReadSequence(new Asn1Tag(TagClass.ContextSpecific, 3));
            Extensions = ReadExtensions(wrapper.ReadSequence());
            wrapper.ThrowIfNotEmpty();
            foreach (var (oid, isCritical, content) in Extensions)
            {
                Understand(oid, isCritical, content);
            }
        }

        tbs.ThrowIfNotEmpty();
    }

    private static Certificate Read(ReadOnlyMemory<byte> der)
    {
        if (der.Length > MaxLength)
        {
            throw new AsnContentException($"it is {der.Length} bytes long; the limit is {MaxLength}");
        }

        var outer = new AsnReader(der, AsnEncodingRules.DER);
        var sequence = outer.ReadSequence();
        outer.ThrowIfNotEmpty();
        var signedPart = sequence.ReadEncodedValue();
        var algorithm = SignatureAlgorithm.Read(sequence.ReadEncodedValue());
        if (!sequence.TryReadPrimitiveBitString(out var unused, out var signature) || unused != 0)
        {
            throw new AsnContentException("the signature is not whole bytes");
        }

        sequence.ThrowIfNotEmpty();
        return new Certificate(der, signedPart, algorithm, signature);
    }

    private static int ReadVersion(AsnReader tbs)
    {
        var tag = new Asn1Tag(TagClass.ContextSpecific, 0, isConstructed: true);
        if (tbs.PeekTag() != tag)
        {
            return 1;
        }

        var wrapper = tbs.ReadSequence(tag);
        if (!wrapper.TryReadInt32(out var version) || version is not (1 or 2))
        {
            throw new AsnContentException("the version is not 1, 2 or 3");
        }

        wrapper.ThrowIfNotEmpty();
        return version + 1;
    }

    private void SkipUniqueIds(AsnReader tbs)
    {
        for (var tagValue = 1; tagValue <= 2; tagValue++)
        {
            var tag = new Asn1Tag(TagClass.ContextSpecific, tagValue);
            if (tbs.HasData && tbs.PeekTag() == tag)
            {
                if (Version == 1)
                {
                    throw new AsnContentException("version 1 has a unique identifier");
                }

                tbs.ReadBitString(out _, tag);
            }
        }
    }

    internal static List<(string Oid, bool IsCritical, ReadOnlyMemory<byte> Content)> ReadExtensions(AsnReader sequence)
    {
        // Extension ::= SEQUENCE { extnID OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }
        var extensions = new List<(string Oid, bool IsCritical, ReadOnlyMemory<byte> Content)>(8);
        do
        {
            if (extensions.Count == MaxExtensions)
            {
                throw new AsnContentException($"it has more than {MaxExtensions} extensions");
            }

            var (oid, isCritical, content) = ReadExtension(sequence.ReadEncodedValue());
            if (extensions.Exists(e => e.Oid == oid))
            {
                // RFC 5280 §4.2
                throw new AsnContentException($"the extension {oid} appears twice");
            }

            extensions.Add((oid, isCritical, content));
        }
        while (sequence.HasData);
        return extensions;
    }

    private static (string Oid, bool IsCritical, ReadOnlyMemory<byte> Content) ReadExtension(ReadOnlyMemory<byte> encoded)
    {
        AsnDecoder.ReadSequence(encoded.Span, AsnEncodingRules.DER, out var at, out _, out _);
        var oid = AsnDecoder.ReadObjectIdentifier(encoded.Span[at..], AsnEncodingRules.DER, out var length);
        at += length;
        var isCritical = false;
        if (Asn1Tag.TryDecode(encoded.Span[at..], out var tag, out _) && tag == Asn1Tag.Boolean)
        {
            isCritical = AsnDecoder.ReadBoolean(encoded.Span[at..], AsnEncodingRules.DER, out length);
            at += length;
        }

        return AsnDecoder.TryReadPrimitiveOctetString(encoded.Span[at..], AsnEncodingRules.DER, out var content, out length) && at + length == encoded.Length
            ? (oid, isCritical, encoded[^content.Length..])
            : throw new AsnContentException($"the extension {oid} is not one octet string");
    }

    private void Understand(string oid, bool isCritical, ReadOnlyMemory<byte> content)
    {
        switch (oid)
        {
            case Oids.BasicConstraints:
                BasicConstraints = ReadBasicConstraints(content, isCritical);
                break;
            case Oids.KeyUsage:
                KeyUsage = ReadKeyUsage(content);
                IsKeyUsageCritical = isCritical;
                break;
            case Oids.ExtendedKeyUsage:
                ExtendedKeyUsages = ReadPurposes(content);
                break;
            case Oids.SubjectAltName:
                AreAlternativeNamesCritical = isCritical;
                AlternativeNames = ReadNames(content);
                UriNames = AlternativeNames.Where(n => n.Kind == GeneralNameKind.Uri).Select(n => n.Text).ToArray();
                DnsNames = AlternativeNames.Where(n => n.Kind == GeneralNameKind.Dns).Select(n => n.Text).ToArray();
                IpAddresses = AlternativeNames.Where(n => n.Kind == GeneralNameKind.Ip).Select(ReadAddress).ToArray();
                break;
            case Oids.NameConstraints:
                NameConstraints = ReadNameConstraints(content, isCritical);
                break;
            case Oids.SubjectKeyIdentifier:
                SubjectKeyIdentifier = Whole(content).ReadOctetString();
                break;
            case Oids.AuthorityKeyIdentifier:
                AuthorityKeyIdentifier = ReadAuthorityKeyIdentifier(content, isCritical);
                break;
            case Oids.CrlDistributionPoints:
                CrlUris = ReadCrlUris(content);
                break;
            case Oids.AuthorityInformationAccess:
                CheckAccessDescriptions(content);
                break;
        }
    }

    internal static List<GeneralName> ReadNames(ReadOnlyMemory<byte> content) => ReadNames(Whole(content).ReadSequence());

    private static List<GeneralName> ReadNames(AsnReader sequence)
    {
        // GeneralNames ::= SEQUENCE SIZE (1..MAX) OF GeneralName
        var names = new List<GeneralName>(4);
        do
        {
            if (names.Count == MaxNames)
            {
                throw new AsnContentException($"it has more than {MaxNames} names");
            }

            names.Add(GeneralName.Read(sequence));
        }
        while (sequence.HasData);
        return names;
    }

    private static IPAddress ReadAddress(GeneralName name) => name.Address ?? throw new AsnContentException("an IP address is not 4 or 16 bytes long");

    internal static BasicConstraints ReadBasicConstraints(ReadOnlyMemory<byte> content, bool isCritical)
    {
        // BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER (0..MAX) OPTIONAL }
        var sequence = Whole(content).ReadSequence();
        var isAuthority = sequence.HasData && sequence.PeekTag() == Asn1Tag.Boolean && sequence.ReadBoolean();
        int? pathLength = null;
        if (sequence.HasData)
        {
            if (!sequence.TryReadInt32(out var length) || length < 0)
            {
                throw new AsnContentException("the path length is not a number from 0 upwards");
            }

            pathLength = length;
        }

        sequence.ThrowIfNotEmpty();
        return new BasicConstraints(isAuthority, pathLength, isCritical);
    }

    private static KeyUsages ReadKeyUsage(ReadOnlyMemory<byte> content)
    {
        var usages = Whole(content).ReadNamedBitListValue<KeyUsages>();
        return usages == KeyUsages.None ? throw new AsnContentException("the key usage has no bit set") : usages;
    }

    private static List<string> ReadPurposes(ReadOnlyMemory<byte> content)
    {
        // ExtKeyUsageSyntax ::= SEQUENCE SIZE (1..MAX) OF OBJECT IDENTIFIER
        var sequence = Whole(content).ReadSequence();
        var purposes = new List<string>(2);
        do
        {
            if (purposes.Count == MaxNames)
            {
                throw new AsnContentException($"it has more than {MaxNames} purposes");
            }

            purposes.Add(sequence.ReadObjectIdentifier());
        }
        while (sequence.HasData);
        return purposes;
    }

    private static NameConstraints ReadNameConstraints(ReadOnlyMemory<byte> content, bool isCritical)
    {
        // NameConstraints ::= SEQUENCE { permittedSubtrees [0] OPTIONAL, excludedSubtrees [1] OPTIONAL }
        var sequence = Whole(content).ReadSequence();
        var permitted = ReadSubtrees(sequence, 0);
        var excluded = ReadSubtrees(sequence, 1);
        sequence.ThrowIfNotEmpty();
        return permitted.Count + excluded.Count is 0 or > MaxNames
            ? throw new AsnContentException($"the name constraints have no subtree, or more than {MaxNames}")
            : new NameConstraints(permitted, excluded, isCritical);
    }

    private static List<GeneralName> ReadSubtrees(AsnReader sequence, int tagValue)
    {
        // GeneralSubtree ::= SEQUENCE { base GeneralName, minimum [0] DEFAULT 0, maximum [1] OPTIONAL }; the last two must not be there.
        var subtrees = new List<GeneralName>();
        var tag = new Asn1Tag(TagClass.ContextSpecific, tagValue, isConstructed: true);
        if (sequence.HasData && sequence.PeekTag() == tag)
        {
            var list = sequence.ReadSequence(tag);
            do
            {
                if (subtrees.Count == MaxNames)
                {
                    throw new AsnContentException($"the name constraints have more than {MaxNames} subtrees");
                }

                var subtree = list.ReadSequence();
                subtrees.Add(GeneralName.Read(subtree));
                subtree.ThrowIfNotEmpty();
            }
            while (list.HasData);
        }

        return subtrees;
    }

    internal static AuthorityKeyIdentifier ReadAuthorityKeyIdentifier(ReadOnlyMemory<byte> content, bool isCritical)
    {
        // AuthorityKeyIdentifier ::= SEQUENCE { keyIdentifier [0] OPTIONAL, authorityCertIssuer [1] OPTIONAL, authorityCertSerialNumber [2] OPTIONAL }
        var sequence = Whole(content).ReadSequence();
        ReadOnlyMemory<byte> keyId = default;
        var keyTag = new Asn1Tag(TagClass.ContextSpecific, 0);
        if (sequence.HasData && sequence.PeekTag() == keyTag)
        {
            keyId = sequence.ReadOctetString(keyTag);
        }

        var hasMore = sequence.HasData;
        while (sequence.HasData)
        {
            sequence.ReadEncodedValue();
        }

        return new AuthorityKeyIdentifier(keyId, hasMore, isCritical);
    }

    private static List<string> ReadCrlUris(ReadOnlyMemory<byte> content)
    {
        // CRLDistributionPoints ::= SEQUENCE SIZE (1..MAX) OF SEQUENCE { distributionPoint [0] OPTIONAL, reasons [1] OPTIONAL, cRLIssuer [2] OPTIONAL }
        var points = Whole(content).ReadSequence();
        var uris = new List<string>(1);
        var nameTag = new Asn1Tag(TagClass.ContextSpecific, 0, isConstructed: true);
        do
        {
            var point = points.ReadSequence();
            var names = point.HasData && point.PeekTag() == nameTag ? ReadDistributionPointName(point.ReadSequence(nameTag)) : null;
            var isWhole = !point.HasData;
            while (point.HasData)
            {
                point.ReadEncodedValue();
            }

            // A point for some reasons only, or of another issuer, leads to lists that are not understood here.
            if (names is not null && isWhole)
            {
                uris.AddRange(names);
            }

            if (uris.Count > MaxNames)
            {
                throw new AsnContentException($"it has more than {MaxNames} distribution points");
            }
        }
        while (points.HasData);
        return uris;
    }

    /// <summary>The URIs of a distribution point, or null when it has another kind of name.</summary>
    internal static IReadOnlyList<string>? ReadDistributionPointName(AsnReader wrapper)
    {
        // DistributionPointName ::= CHOICE { fullName [0] GeneralNames, nameRelativeToCRLIssuer [1] RelativeDistinguishedName }
        var fullName = new Asn1Tag(TagClass.ContextSpecific, 0, isConstructed: true);
        if (wrapper.PeekTag() != fullName)
        {
            wrapper.ReadEncodedValue();
            wrapper.ThrowIfNotEmpty();
            return null;
        }

        var names = ReadNames(wrapper.ReadSequence(fullName));
        wrapper.ThrowIfNotEmpty();
        return names.TrueForAll(n => n.Kind == GeneralNameKind.Uri) ? names.ConvertAll(n => n.Text) : null;
    }

    private static void CheckAccessDescriptions(ReadOnlyMemory<byte> content)
    {
        // AuthorityInfoAccessSyntax ::= SEQUENCE SIZE (1..MAX) OF SEQUENCE { accessMethod OBJECT IDENTIFIER, accessLocation GeneralName }
        var descriptions = Whole(content).ReadSequence();
        do
        {
            var description = descriptions.ReadSequence();
            description.ReadObjectIdentifier();
            GeneralName.Read(description);
            description.ThrowIfNotEmpty();
        }
        while (descriptions.HasData);
    }

    /// <summary>An integer's bytes in lower-case hex, without the byte that only carries the sign.</summary>
    internal static string ToHex(ReadOnlyMemory<byte> integer) =>
        Convert.ToHexStringLower(integer.Length > 1 && integer.Span[0] == 0 ? integer.Span[1..] : integer.Span);

    /// <summary>A reader over one value and nothing behind it.</summary>
    internal static AsnReader Whole(ReadOnlyMemory<byte> content)
    {
        AsnDecoder.ReadEncodedValue(content.Span, AsnEncodingRules.DER, out _, out _, out var consumed);
        return consumed == content.Length ? new AsnReader(content, AsnEncodingRules.DER) : throw new AsnContentException("an extension has trailing bytes");
    }
}
