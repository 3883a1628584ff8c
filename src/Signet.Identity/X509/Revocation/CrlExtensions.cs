using System.Formats.Asn1;

namespace Signet.Identity.X509.Revocation;

/// <summary>For which certificates a list speaks (RFC 5280 §5.2.5). Without names it speaks for all distribution points.</summary>
internal sealed record CrlScope(IReadOnlyList<string> Uris, bool OnlyLeaves, bool OnlyAuthorities)
{
    public static readonly CrlScope Everything = new([], false, false);

    /// <summary>Whether the list speaks for the certificate: its kind, and a distribution point in common, byte for byte, when the list is partitioned.</summary>
    public bool Covers(Certificate certificate) =>
        !(OnlyLeaves && certificate.IsAuthority)
        && !(OnlyAuthorities && !certificate.IsAuthority)
        && (Uris.Count == 0 || certificate.CrlUris.Any(Uris.Contains));
}

/// <summary>The extensions of a list (RFC 5280 §5.2), understood or refused.</summary>
internal sealed record CrlExtensions(string NumberHex, ReadOnlyMemory<byte> AuthorityKeyId, CrlScope Scope)
{
    public static CrlExtensions Read(List<(string Oid, bool IsCritical, ReadOnlyMemory<byte> Content)> extensions)
    {
        string? number = null;
        ReadOnlyMemory<byte> keyId = default;
        var scope = CrlScope.Everything;
        foreach (var (oid, isCritical, content) in extensions)
        {
            switch (oid)
            {
                case Oids.CrlNumber when !isCritical:
                    number = Certificate.ToHex(Certificate.Whole(content).ReadIntegerBytes());
                    break;
                case Oids.AuthorityKeyIdentifier when !isCritical:
                    keyId = Certificate.ReadAuthorityKeyIdentifier(content, isCritical).KeyId;
                    break;
                case Oids.IssuingDistributionPoint:
                    scope = ReadScope(content);
                    break;
                case Oids.DeltaCrlIndicator:
                    throw new AsnContentException("it is a delta list; a complete one was expected");
                default:
                    if (isCritical)
                    {
                        throw new AsnContentException($"it has the critical extension {oid}, which must not be critical or is not known");
                    }

                    break;
            }
        }

        return new CrlExtensions(number ?? throw new AsnContentException("it has no number (RFC 5280 §5.2.3)"), keyId, scope);
    }

    private static CrlScope ReadScope(ReadOnlyMemory<byte> content)
    {
        // IssuingDistributionPoint ::= SEQUENCE { distributionPoint [0] OPTIONAL, onlyContainsUserCerts [1], onlyContainsCACerts [2],
        //   onlySomeReasons [3] OPTIONAL, indirectCRL [4], onlyContainsAttributeCerts [5] }  with BOOLEANs DEFAULT FALSE
        var sequence = Certificate.Whole(content).ReadSequence();
        var nameTag = new Asn1Tag(TagClass.ContextSpecific, 0, isConstructed: true);
        IReadOnlyList<string> uris = [];
        if (sequence.HasData && sequence.PeekTag() == nameTag)
        {
            uris = Certificate.ReadDistributionPointName(sequence.ReadSequence(nameTag))
                ?? throw new AsnContentException("its distribution point is not named by URIs alone");
        }

        var onlyLeaves = ReadFlag(sequence, 1);
        var onlyAuthorities = ReadFlag(sequence, 2);
        if (sequence.HasData)
        {
            throw new AsnContentException("it is indirect, for attribute certificates, or only for some reasons; a list for all reasons was expected");
        }

        return new CrlScope(uris, onlyLeaves, onlyAuthorities);
    }

    private static bool ReadFlag(AsnReader sequence, int tagValue)
    {
        var tag = new Asn1Tag(TagClass.ContextSpecific, tagValue);
        return sequence.HasData && sequence.PeekTag() == tag && sequence.ReadBoolean(tag);
    }
}
