using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Security.Cryptography;

namespace Signet.Identity.X509.Revocation;

/// <summary>What an issuer says of a certificate.</summary>
public abstract record OcspStatus
{
    private OcspStatus()
    {
    }

    /// <summary>It is not revoked.</summary>
    public sealed record Good : OcspStatus;

    /// <summary>The issuer no longer stands by it.</summary>
    public sealed record Revoked(DateTimeOffset At, RevocationReason Reason) : OcspStatus;

    /// <summary>The issuer knows nothing of it.</summary>
    public sealed record Unknown : OcspStatus;
}

/// <summary>What is said of one certificate, from when on and until when.</summary>
public sealed record OcspAnswer(OcspCertificateId Certificate, OcspStatus Status, DateTimeOffset ThisUpdate, DateTimeOffset NextUpdate)
{
    /// <summary>Whether it may be relied on at this time.</summary>
    public bool IsCurrent(DateTimeOffset now) => now >= ThisUpdate && now < NextUpdate;
}

/// <summary>Why there is no answer (RFC 6960 §4.2.1). Such a response is not signed.</summary>
public enum OcspRefusal
{
    MalformedRequest = 1,
    InternalError = 2,
    TryLater = 3,
    Unauthorized = 6,
}

/// <summary>
/// Answers that an issuer signed itself (RFC 6960 §4.2), read strictly and within bounds. Of a foreign response only such can be read: one that a delegate
/// signed is not believed here. Reading checks form only. Immutable, thread-safe.
/// </summary>
public sealed class OcspResponse
{
    /// <summary>The longest encoding that is read, in bytes.</summary>
    public const int MaxLength = 64 * 1024;

    private const string Basic = "1.3.6.1.5.5.7.48.1.1";

    private static readonly Asn1Tag Zero = new(TagClass.ContextSpecific, 0, isConstructed: true);
    private static readonly Asn1Tag One = new(TagClass.ContextSpecific, 1, isConstructed: true);
    private static readonly Asn1Tag Two = new(TagClass.ContextSpecific, 2, isConstructed: true);
    private static readonly Asn1Tag Good = new(TagClass.ContextSpecific, 0);
    private static readonly Asn1Tag Unknown = new(TagClass.ContextSpecific, 2);

    private readonly ReadOnlyMemory<byte> _signedPart;
    private readonly SignatureAlgorithm _algorithm;
    private readonly ReadOnlyMemory<byte> _signature;

    private OcspResponse(ReadOnlyMemory<byte> der, ReadOnlyMemory<byte> signedPart, SignatureAlgorithm algorithm, ReadOnlyMemory<byte> signature, IReadOnlyList<OcspAnswer> answers) =>
        (Der, _signedPart, _algorithm, _signature, Answers) = (der, signedPart, algorithm, signature, answers);

    public ReadOnlyMemory<byte> Der { get; }

    /// <summary>One at least.</summary>
    public IReadOnlyList<OcspAnswer> Answers { get; }

    /// <summary>Signs answers with the issuer's own key.</summary>
    /// <param name="issuer">The issuer of all certificates that are spoken of.</param>
    /// <param name="issuerKey">Its key.</param>
    /// <param name="producedAt">The time; whole seconds count.</param>
    /// <param name="answers">What is said.</param>
    /// <exception cref="CryptographicException">The key refused, or is of another kind than the issuer's.</exception>
    public static byte[] Sign(Certificate issuer, AsymmetricAlgorithm issuerKey, DateTimeOffset producedAt, IReadOnlyList<OcspAnswer> answers)
    {
        var algorithm = SignatureAlgorithm.For(issuer.PublicKey);
        var signedPart = EncodeSignedPart(issuer, producedAt, answers);
        var basic = new AsnWriter(AsnEncodingRules.DER, 512);
        using (basic.PushSequence())
        {
            basic.WriteEncodedValue(signedPart);
            basic.WriteEncodedValue(algorithm.Der.Span);
            basic.WriteBitString(algorithm.Sign(signedPart, issuerKey));
        }

        var writer = new AsnWriter(AsnEncodingRules.DER, 512);
        using (writer.PushSequence())
        {
            writer.WriteEncodedValue([0x0a, 0x01, 0x00]);
            using (writer.PushSequence(Zero))
            using (writer.PushSequence())
            {
                writer.WriteObjectIdentifier(Basic);
                writer.WriteOctetString(basic.Encode());
            }
        }

        return writer.Encode();
    }

    /// <summary>A response that answers nothing.</summary>
    public static byte[] Refuse(OcspRefusal why) => [0x30, 0x03, 0x0a, 0x01, (byte)why];

    /// <summary>Reads exactly one successful response, without trailing bytes. Never throws.</summary>
    /// <param name="der">The encoding; it is kept, not copied.</param>
    /// <param name="response">The response, when the answer is true.</param>
    /// <param name="problem">What is wrong, when the answer is false; otherwise empty.</param>
    public static bool TryParse(ReadOnlyMemory<byte> der, [NotNullWhen(true)] out OcspResponse? response, out string problem)
    {
        response = null;
        try
        {
            response = der.Length <= MaxLength ? Read(der) : throw new AsnContentException($"it is {der.Length} bytes long; the limit is {MaxLength}");
            problem = "";
            return true;
        }
        catch (Exception e) when (e is AsnContentException or CryptographicException)
        {
            problem = "OCSP response is malformed: " + e.Message;
            return false;
        }
    }

    /// <summary>Whether the issuer's key made the signature, in a way that can be trusted.</summary>
    public bool IsSignedBy(Certificate issuer) => _algorithm.Weakness.Length == 0 && issuer.PublicKey.Verifies(_signedPart.Span, _signature.Span, _algorithm);

    private static byte[] EncodeSignedPart(Certificate issuer, DateTimeOffset producedAt, IReadOnlyList<OcspAnswer> answers)
    {
        // ResponseData ::= SEQUENCE { version [0] EXPLICIT INTEGER DEFAULT v1, responderID CHOICE { byName [1] EXPLICIT Name, byKey [2] EXPLICIT OCTET STRING },
        //   producedAt GeneralizedTime, responses SEQUENCE OF SingleResponse, responseExtensions [1] EXPLICIT Extensions OPTIONAL }
        var writer = new AsnWriter(AsnEncodingRules.DER, 256);
        using (writer.PushSequence())
        {
            using (writer.PushSequence(Two))
            {
                writer.WriteOctetString(CryptographicOperations.HashData(HashAlgorithmName.SHA1, issuer.PublicKey.Bits.Span));
            }

            writer.WriteGeneralizedTime(producedAt, omitFractionalSeconds: true);
            using (writer.PushSequence())
            {
                foreach (var answer in answers)
                {
                    Write(writer, answer);
                }
            }
        }

        return writer.Encode();
    }

    private static void Write(AsnWriter writer, OcspAnswer answer)
    {
        // SingleResponse ::= SEQUENCE { certID CertID, certStatus CHOICE { good [0] IMPLICIT NULL, revoked [1] IMPLICIT SEQUENCE { revocationTime GeneralizedTime,
        //   revocationReason [0] EXPLICIT ENUMERATED OPTIONAL }, unknown [2] IMPLICIT NULL }, thisUpdate GeneralizedTime,
        //   nextUpdate [0] EXPLICIT GeneralizedTime OPTIONAL, singleExtensions [1] EXPLICIT Extensions OPTIONAL }
        using (writer.PushSequence())
        {
            writer.WriteEncodedValue(answer.Certificate.Der.Span);
            switch (answer.Status)
            {
                case OcspStatus.Good:
                    writer.WriteNull(Good);
                    break;
                case OcspStatus.Revoked(var at, var reason):
                    using (writer.PushSequence(One))
                    {
                        writer.WriteGeneralizedTime(at, omitFractionalSeconds: true);
                        if (reason != RevocationReason.Unspecified)
                        {
                            // RFC 5280 §5.3.1: left out rather than unspecified.
                            using (writer.PushSequence(Zero))
                            {
                                writer.WriteEncodedValue([0x0a, 0x01, (byte)reason]);
                            }
                        }
                    }

                    break;
                default:
                    writer.WriteNull(Unknown);
                    break;
            }

            writer.WriteGeneralizedTime(answer.ThisUpdate, omitFractionalSeconds: true);
            using (writer.PushSequence(Zero))
            {
                writer.WriteGeneralizedTime(answer.NextUpdate, omitFractionalSeconds: true);
            }
        }
    }

    private static OcspResponse Read(ReadOnlyMemory<byte> der)
    {
        // OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED, responseBytes [0] EXPLICIT SEQUENCE { responseType OBJECT IDENTIFIER, response OCTET STRING } OPTIONAL }
        // BasicOCSPResponse ::= SEQUENCE { tbsResponseData ResponseData, signatureAlgorithm AlgorithmIdentifier, signature BIT STRING, certs [0] EXPLICIT OPTIONAL }
        var outer = new AsnReader(der, AsnEncodingRules.DER);
        var sequence = outer.ReadSequence();
        outer.ThrowIfNotEmpty();
        var status = sequence.ReadEnumeratedBytes();
        if (status.Length != 1 || status.Span[0] != 0)
        {
            throw new AsnContentException($"it answers nothing: status {Convert.ToHexStringLower(status.Span)}");
        }

        var wrapper = sequence.ReadSequence(Zero);
        sequence.ThrowIfNotEmpty();
        var bytes = wrapper.ReadSequence();
        wrapper.ThrowIfNotEmpty();
        if (bytes.ReadObjectIdentifier() != Basic || !bytes.TryReadPrimitiveOctetString(out var content))
        {
            throw new AsnContentException("it is not of the basic kind");
        }

        bytes.ThrowIfNotEmpty();
        var basic = Certificate.Whole(content).ReadSequence();
        var signedPart = basic.ReadEncodedValue();
        var algorithm = SignatureAlgorithm.Read(basic.ReadEncodedValue());
        if (!basic.TryReadPrimitiveBitString(out var unused, out var signature) || unused != 0)
        {
            throw new AsnContentException("the signature is not whole bytes");
        }

        if (basic.HasData)
        {
            basic.ReadSequence(Zero);
            basic.ThrowIfNotEmpty();
        }

        return new OcspResponse(der, signedPart, algorithm, signature, ReadAnswers(new AsnReader(signedPart, AsnEncodingRules.DER).ReadSequence()));
    }

    private static List<OcspAnswer> ReadAnswers(AsnReader data)
    {
        if (data.PeekTag() == Zero)
        {
            var version = data.ReadSequence(Zero);
            if (!version.TryReadInt32(out var number) || number != 0)
            {
                throw new AsnContentException("the version is not 1");
            }

            version.ThrowIfNotEmpty();
        }

        // Whoever the responder says it is: the signature tells.
        data.ReadSequence(data.PeekTag() == One ? One : Two);
        data.ReadGeneralizedTime();
        var list = data.ReadSequence();
        if (data.HasData)
        {
            RefuseCritical(data.ReadSequence(One));
        }

        data.ThrowIfNotEmpty();
        var answers = new List<OcspAnswer>(1);
        do
        {
            if (answers.Count == OcspRequest.MaxCertificates)
            {
                throw new AsnContentException($"it speaks of more than {OcspRequest.MaxCertificates} certificates");
            }

            answers.Add(ReadAnswer(list.ReadSequence()));
        }
        while (list.HasData);
        return answers;
    }

    private static OcspAnswer ReadAnswer(AsnReader one)
    {
        var certificate = OcspCertificateId.Read(one.ReadEncodedValue());
        OcspStatus status;
        var tag = one.PeekTag();
        if (tag == Good)
        {
            one.ReadNull(Good);
            status = new OcspStatus.Good();
        }
        else if (tag == One)
        {
            status = ReadRevoked(one.ReadSequence(One));
        }
        else
        {
            one.ReadNull(Unknown);
            status = new OcspStatus.Unknown();
        }

        var thisUpdate = one.ReadGeneralizedTime();
        var wrapper = one.ReadSequence(Zero);
        var nextUpdate = wrapper.ReadGeneralizedTime();
        wrapper.ThrowIfNotEmpty();
        if (one.HasData)
        {
            RefuseCritical(one.ReadSequence(One));
        }

        one.ThrowIfNotEmpty();
        return new OcspAnswer(certificate, status, thisUpdate, nextUpdate);
    }

    private static OcspStatus.Revoked ReadRevoked(AsnReader info)
    {
        var at = info.ReadGeneralizedTime();
        var reason = RevocationReason.Unspecified;
        if (info.HasData)
        {
            var wrapper = info.ReadSequence(Zero);
            var code = wrapper.ReadEnumeratedBytes();
            wrapper.ThrowIfNotEmpty();
            reason = code.Length == 1 && Enum.IsDefined((RevocationReason)code.Span[0]) ? (RevocationReason)code.Span[0] : RevocationReason.Unspecified;
        }

        info.ThrowIfNotEmpty();
        return new OcspStatus.Revoked(at, reason);
    }

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
