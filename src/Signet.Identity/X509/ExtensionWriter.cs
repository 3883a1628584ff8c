using System.Formats.Asn1;
using System.Net;
using Signet.Identity.Spiffe;

namespace Signet.Identity.X509;

/// <summary>The extensions that Signet writes, each as RFC 5280 §4.2 encodes it.</summary>
internal static class ExtensionWriter
{
    public static void Write(AsnWriter writer, string oid, bool isCritical, Action<AsnWriter> content)
    {
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier(oid);
            if (isCritical)
            {
                writer.WriteBoolean(true);
            }

            using (writer.PushOctetString())
            {
                content(writer);
            }
        }
    }

    public static void WriteAlternativeNames(AsnWriter writer, SpiffeId? id, IReadOnlyList<string> dnsNames, IReadOnlyList<IPAddress> addresses, IReadOnlyList<string> emails, bool isCritical) =>
        Write(writer, Oids.SubjectAltName, isCritical, w =>
        {
            using (w.PushSequence())
            {
                if (id is not null)
                {
                    w.WriteCharacterString(UniversalTagNumber.IA5String, id.Uri, new Asn1Tag(TagClass.ContextSpecific, (int)GeneralNameKind.Uri));
                }

                foreach (var name in dnsNames)
                {
                    w.WriteCharacterString(UniversalTagNumber.IA5String, name, new Asn1Tag(TagClass.ContextSpecific, (int)GeneralNameKind.Dns));
                }

                foreach (var address in addresses)
                {
                    w.WriteOctetString(address.GetAddressBytes(), new Asn1Tag(TagClass.ContextSpecific, (int)GeneralNameKind.Ip));
                }

                foreach (var email in emails)
                {
                    w.WriteCharacterString(UniversalTagNumber.IA5String, email, new Asn1Tag(TagClass.ContextSpecific, (int)GeneralNameKind.Email));
                }
            }
        });

    public static void WriteBasicConstraints(AsnWriter writer, bool isAuthority, int? pathLength) =>
        Write(writer, Oids.BasicConstraints, isCritical: true, w =>
        {
            using (w.PushSequence())
            {
                if (isAuthority)
                {
                    w.WriteBoolean(true);
                }

                if (pathLength is { } length)
                {
                    w.WriteInteger(length);
                }
            }
        });

    public static void WriteKeyUsage(AsnWriter writer, KeyUsages usages) =>
        Write(writer, Oids.KeyUsage, isCritical: true, w => w.WriteNamedBitList(usages));

    public static void WritePurposes(AsnWriter writer, params IEnumerable<string> purposes) =>
        Write(writer, Oids.ExtendedKeyUsage, isCritical: false, w =>
        {
            using (w.PushSequence())
            {
                foreach (var purpose in purposes)
                {
                    w.WriteObjectIdentifier(purpose);
                }
            }
        });

    public static void WriteSubjectKeyIdentifier(AsnWriter writer, ReadOnlySpan<byte> keyId)
    {
        var bytes = keyId.ToArray();
        Write(writer, Oids.SubjectKeyIdentifier, isCritical: false, w => w.WriteOctetString(bytes));
    }

    public static void WriteAuthorityKeyIdentifier(AsnWriter writer, ReadOnlySpan<byte> keyId)
    {
        var bytes = keyId.ToArray();
        Write(writer, Oids.AuthorityKeyIdentifier, isCritical: false, w =>
        {
            using (w.PushSequence())
            {
                w.WriteOctetString(bytes, new Asn1Tag(TagClass.ContextSpecific, 0));
            }
        });
    }
}
