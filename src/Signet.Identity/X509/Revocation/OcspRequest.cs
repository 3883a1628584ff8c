using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Security.Cryptography;

namespace Signet.Identity.X509.Revocation;

/// <summary>A question after the status of certificates (RFC 6960 §4.1), read strictly and within bounds. Signatures of requestors are passed over. Immutable.</summary>
public sealed class OcspRequest
{
    /// <summary>The longest encoding that is read, in bytes.</summary>
    public const int MaxLength = 8 * 1024;

    /// <summary>How many certificates may be asked about at once.</summary>
    public const int MaxCertificates = 32;

    private static readonly Asn1Tag Version = new(TagClass.ContextSpecific, 0, isConstructed: true);
    private static readonly Asn1Tag RequestorName = new(TagClass.ContextSpecific, 1, isConstructed: true);
    private static readonly Asn1Tag Extensions = new(TagClass.ContextSpecific, 2, isConstructed: true);

    private OcspRequest(IReadOnlyList<OcspCertificateId> certificates) => Certificates = certificates;

    /// <summary>One at least.</summary>
    public IReadOnlyList<OcspCertificateId> Certificates { get; }

    /// <summary>Reads exactly one request, without trailing bytes. Never throws.</summary>
    /// <param name="der">The encoding; it is kept, not copied.</param>
    /// <param name="request">The request, when the answer is true.</param>
    /// <param name="problem">What is wrong, when the answer is false; otherwise empty.</param>
    public static bool TryParse(ReadOnlyMemory<byte> der, [NotNullWhen(true)] out OcspRequest? request, out string problem)
    {
        request = null;
        try
        {
            request = der.Length <= MaxLength ? Read(der) : throw new AsnContentException($"it is {der.Length} bytes long; the limit is {MaxLength}");
            problem = "";
            return true;
        }
        catch (Exception e) when (e is AsnContentException or CryptographicException)
        {
            problem = "OCSP request is malformed: " + e.Message;
            return false;
        }
    }

    /// <summary>A request for these certificates, unsigned and without a nonce.</summary>
    public static byte[] Encode(params IEnumerable<OcspCertificateId> certificates)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        using (writer.PushSequence())
        using (writer.PushSequence())
        {
            foreach (var certificate in certificates)
            {
                using (writer.PushSequence())
                {
                    writer.WriteEncodedValue(certificate.Der.Span);
                }
            }
        }

        return writer.Encode();
    }

    private static OcspRequest Read(ReadOnlyMemory<byte> der)
    {
        // OCSPRequest ::= SEQUENCE { tbsRequest TBSRequest, optionalSignature [0] EXPLICIT Signature OPTIONAL }
        // TBSRequest ::= SEQUENCE { version [0] EXPLICIT INTEGER DEFAULT v1 (0), requestorName [1] EXPLICIT GeneralName OPTIONAL,
        //   requestList SEQUENCE OF Request, requestExtensions [2] EXPLICIT Extensions OPTIONAL }
        // Request ::= SEQUENCE { reqCert CertID, singleRequestExtensions [0] EXPLICIT Extensions OPTIONAL }
        var outer = new AsnReader(der, AsnEncodingRules.DER);
        var sequence = outer.ReadSequence();
        outer.ThrowIfNotEmpty();
        var tbs = sequence.ReadSequence();
        if (sequence.HasData)
        {
            sequence.ReadSequence(Version);
            sequence.ThrowIfNotEmpty();
        }

        if (tbs.PeekTag() == Version)
        {
            var version = tbs.ReadSequence(Version);
            if (!version.TryReadInt32(out var number) || number != 0)
            {
                throw new AsnContentException("the version is not 1");
            }

            version.ThrowIfNotEmpty();
        }

        if (tbs.PeekTag() == RequestorName)
        {
            tbs.ReadSequence(RequestorName);
        }

        var certificates = ReadList(tbs.ReadSequence());
        if (tbs.HasData)
        {
            RefuseCritical(tbs.ReadSequence(Extensions));
        }

        tbs.ThrowIfNotEmpty();
        return new OcspRequest(certificates);
    }

    private static List<OcspCertificateId> ReadList(AsnReader list)
    {
        var certificates = new List<OcspCertificateId>(1);
        do
        {
            if (certificates.Count == MaxCertificates)
            {
                throw new AsnContentException($"it asks about more than {MaxCertificates} certificates");
            }

            var one = list.ReadSequence();
            certificates.Add(OcspCertificateId.Read(one.ReadEncodedValue()));
            if (one.HasData)
            {
                RefuseCritical(one.ReadSequence(Version));
            }

            one.ThrowIfNotEmpty();
        }
        while (list.HasData);
        return certificates;
    }

    // None is understood, a nonce neither: answers are the same for everybody. Whoever insists is refused.
    private static void RefuseCritical(AsnReader wrapper)
    {
        foreach (var (oid, isCritical, _) in Certificate.ReadExtensions(wrapper.ReadSequence()))
        {
            if (isCritical)
            {
                throw new AsnContentException($"the critical extension {oid} is not understood");
            }
        }

        wrapper.ThrowIfNotEmpty();
    }
}
