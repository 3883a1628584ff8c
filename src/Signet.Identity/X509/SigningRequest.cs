using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Security.Cryptography;
using Signet.Identity.Spiffe;

namespace Signet.Identity.X509;

/// <summary>
/// A certification request (PKCS#10, RFC 2986) that proved possession of its key. What it asks for is advice: the authority decides what a
/// certificate says, and takes nothing but the key without checking. Immutable, thread-safe.
/// </summary>
public sealed class SigningRequest
{
    /// <summary>The longest encoding that is read, in bytes.</summary>
    public const int MaxLength = 16 * 1024;

    private const int MaxAttributes = 16;

    private SigningRequest(ReadOnlyMemory<byte> der, DistinguishedName subject, PublicKey key, IReadOnlyList<GeneralName> names, bool asksForAuthority)
    {
        Der = der;
        SubjectName = subject;
        SubjectPublicKeyInfo = key.Info;
        KeyDescription = key.Description;
        AlternativeNames = names;
        AsksForAuthority = asksForAuthority;
        UriNames = names.Where(n => n.Kind == GeneralNameKind.Uri).Select(n => n.Text).ToArray();
        DnsNames = names.Where(n => n.Kind == GeneralNameKind.Dns).Select(n => n.Text).ToArray();
    }

    public ReadOnlyMemory<byte> Der { get; }

    public DistinguishedName SubjectName { get; }

    /// <summary>The encoded public key; strong, on a known curve, and possessed by whoever signed the request.</summary>
    public ReadOnlyMemory<byte> SubjectPublicKeyInfo { get; }

    /// <summary>For people: <c>EC P-256</c>, <c>RSA 2048</c>.</summary>
    public string KeyDescription { get; }

    /// <summary>Every alternative name that is asked for, of whatever kind.</summary>
    public IReadOnlyList<GeneralName> AlternativeNames { get; }

    /// <summary>Whether it asks for basic constraints with CA:TRUE (RFC 5280 §4.2.1.9).</summary>
    public bool AsksForAuthority { get; }

    /// <summary>The URI names that are asked for. Text from a stranger: use <see cref="Printable"/> before showing it.</summary>
    public IReadOnlyList<string> UriNames { get; }

    /// <summary>The DNS names that are asked for. Text from a stranger: use <see cref="Printable"/> before showing it.</summary>
    public IReadOnlyList<string> DnsNames { get; }

    /// <summary>A request for the key, signed by it, with the SPIFFE ID and the DNS names, as far as there are any, as alternative names.</summary>
    /// <exception cref="CryptographicException">The key cannot sign.</exception>
    public static byte[] Create(AsymmetricAlgorithm key, SpiffeId? id = null, IReadOnlyList<string>? dnsNames = null)
    {
        var publicKey = PublicKey.Read(KeyPair.ExportPublicKey(key));
        var algorithm = SignatureAlgorithm.For(publicKey);
        var info = EncodeInfo(publicKey, id, dnsNames ?? []);
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteEncodedValue(info);
            writer.WriteEncodedValue(algorithm.Der.Span);
            writer.WriteBitString(algorithm.Sign(info, key));
        }

        return writer.Encode();
    }

    /// <summary>Reads exactly one request and checks its signature. Never throws; bounded in size, names and key length.</summary>
    /// <param name="der">The encoding; it is kept, not copied.</param>
    /// <param name="request">The request, when the answer is true.</param>
    /// <param name="problem">What is wrong, when the answer is false; otherwise empty.</param>
    public static bool TryParse(ReadOnlyMemory<byte> der, [NotNullWhen(true)] out SigningRequest? request, out string problem)
    {
        request = null;
        if (der.Length > MaxLength)
        {
            problem = $"certification request is {der.Length} bytes long; the limit is {MaxLength}";
            return false;
        }

        try
        {
            return TryRead(der, out request, out problem);
        }
        catch (Exception e) when (e is AsnContentException or CryptographicException)
        {
            problem = "certification request is malformed: " + e.Message;
            return false;
        }
    }

    private static bool TryRead(ReadOnlyMemory<byte> der, [NotNullWhen(true)] out SigningRequest? request, out string problem)
    {
        // CertificationRequest ::= SEQUENCE { info, signatureAlgorithm AlgorithmIdentifier, signature BIT STRING }
        // CertificationRequestInfo ::= SEQUENCE { version INTEGER (0), subject Name, subjectPublicKeyInfo, attributes [0] SET OF Attribute }
        request = null;
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
        var info = new AsnReader(signedPart, AsnEncodingRules.DER).ReadSequence();
        if (!info.TryReadInt32(out var version) || version != 0)
        {
            throw new AsnContentException("the version is not 1");
        }

        var subject = DistinguishedName.Parse(info.ReadEncodedValue());
        var key = PublicKey.Read(info.ReadEncodedValue());
        var (names, asksForAuthority) = info.HasData ? ReadRequested(info.ReadSetOf(new Asn1Tag(TagClass.ContextSpecific, 0))) : ([], false);
        info.ThrowIfNotEmpty();

        problem = key.Weakness.Length > 0 ? key.Weakness : algorithm.Weakness;
        if (problem.Length == 0 && !key.Verifies(signedPart.Span, signature.Span, algorithm))
        {
            problem = key.IsUsable(out var keyProblem) ? "its signature was not made by the key that it carries" : keyProblem;
        }

        if (problem.Length > 0)
        {
            problem = "certification request is refused: " + problem;
            return false;
        }

        request = new SigningRequest(der, subject, key, names, asksForAuthority);
        return true;
    }

    private static (IReadOnlyList<GeneralName> Names, bool AsksForAuthority) ReadRequested(AsnReader attributes)
    {
        // Attribute ::= SEQUENCE { type OBJECT IDENTIFIER, values SET OF ANY }; extensionRequest holds one Extensions (RFC 2985 §5.4.2).
        IReadOnlyList<GeneralName>? names = null;
        var (isRequested, asksForAuthority) = (false, false);
        for (var count = 0; attributes.HasData; count++)
        {
            if (count == MaxAttributes)
            {
                throw new AsnContentException($"it has more than {MaxAttributes} attributes");
            }

            var attribute = attributes.ReadSequence();
            var type = attribute.ReadObjectIdentifier();
            var values = attribute.ReadSetOf();
            attribute.ThrowIfNotEmpty();
            if (type != Oids.ExtensionRequest)
            {
                continue;
            }

            if (isRequested)
            {
                throw new AsnContentException("it requests extensions twice");
            }

            isRequested = true;
            foreach (var (oid, isCritical, content) in Certificate.ReadExtensions(values.ReadSequence()))
            {
                names = oid == Oids.SubjectAltName ? Certificate.ReadNames(content) : names;
                asksForAuthority |= oid == Oids.BasicConstraints && Certificate.ReadBasicConstraints(content, isCritical).IsAuthority;
            }

            values.ThrowIfNotEmpty();
        }

        return (names ?? [], asksForAuthority);
    }

    private static byte[] EncodeInfo(PublicKey key, SpiffeId? id, IReadOnlyList<string> dnsNames)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteInteger(0);
            writer.WriteEncodedValue(DistinguishedName.Empty.Der.Span);
            writer.WriteEncodedValue(key.Info.Span);
            using (writer.PushSetOf(new Asn1Tag(TagClass.ContextSpecific, 0)))
            {
                if (id is not null || dnsNames.Count > 0)
                {
                    using (writer.PushSequence())
                    {
                        writer.WriteObjectIdentifier(Oids.ExtensionRequest);
                        using (writer.PushSetOf())
                        using (writer.PushSequence())
                        {
                            ExtensionWriter.WriteAlternativeNames(writer, id, dnsNames, [], [], isCritical: true);
                        }
                    }
                }
            }
        }

        return writer.Encode();
    }
}
