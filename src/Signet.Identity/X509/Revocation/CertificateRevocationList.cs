using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;

namespace Signet.Identity.X509.Revocation;

/// <summary>
/// A certificate revocation list (RFC 5280 §5), read by Signet's own bounded parser. Complete lists are understood, whole or partitioned by
/// distribution point or by kind of certificate; delta and indirect lists are refused. Reading checks form only. Immutable, thread-safe.
/// </summary>
public sealed class CertificateRevocationList
{
    /// <summary>The longest encoding that is read, in bytes.</summary>
    public const int MaxLength = 64 * 1024 * 1024;

    /// <summary>How many certificates a list may revoke.</summary>
    public const int MaxEntries = 1_000_000;

    /// <summary>What PEM calls a list (RFC 7468 §7).</summary>
    public const string PemLabel = "X509 CRL";

    private readonly Dictionary<string, DateTimeOffset> _revoked;

    private CertificateRevocationList(
        ReadOnlyMemory<byte> der, ReadOnlyMemory<byte> signedPart, SignatureAlgorithm algorithm, ReadOnlyMemory<byte> signature,
        DistinguishedName issuer, DateTimeOffset thisUpdate, DateTimeOffset nextUpdate, Dictionary<string, DateTimeOffset> revoked, CrlExtensions extensions)
    {
        Der = der;
        SignedPart = signedPart;
        SignatureAlgorithm = algorithm;
        Signature = signature;
        IssuerName = issuer;
        ThisUpdate = thisUpdate;
        NextUpdate = nextUpdate;
        _revoked = revoked;
        NumberHex = extensions.NumberHex;
        AuthorityKeyId = extensions.AuthorityKeyId;
        Scope = extensions.Scope;
    }

    public ReadOnlyMemory<byte> Der { get; }

    public DistinguishedName IssuerName { get; }

    public DateTimeOffset ThisUpdate { get; }

    /// <summary>After this the list says nothing any more.</summary>
    public DateTimeOffset NextUpdate { get; }

    /// <summary>The list's number in lower-case hex (RFC 5280 §5.2.3).</summary>
    public string NumberHex { get; }

    /// <summary>Empty when the list does not say which key signed it.</summary>
    public ReadOnlyMemory<byte> AuthorityKeyId { get; }

    /// <summary>How many certificates are revoked.</summary>
    public int Count => _revoked.Count;

    /// <summary>Serial numbers in lower-case hex and the times of revocation.</summary>
    public IReadOnlyDictionary<string, DateTimeOffset> Revoked => _revoked;

    internal ReadOnlyMemory<byte> SignedPart { get; }

    internal SignatureAlgorithm SignatureAlgorithm { get; }

    internal ReadOnlyMemory<byte> Signature { get; }

    internal CrlScope Scope { get; }

    /// <summary>Reads exactly one list, without trailing bytes. Never throws.</summary>
    /// <param name="der">The encoding; it is kept, not copied.</param>
    /// <param name="list">The list, when the answer is true.</param>
    /// <param name="problem">What is wrong, when the answer is false; otherwise empty.</param>
    public static bool TryParse(ReadOnlyMemory<byte> der, [NotNullWhen(true)] out CertificateRevocationList? list, out string problem)
    {
        list = null;
        try
        {
            if (der.Length > MaxLength)
            {
                throw new AsnContentException($"it is {der.Length} bytes long; the limit is {MaxLength}");
            }

            list = Read(der);
            problem = "";
            return true;
        }
        catch (Exception e) when (e is AsnContentException or CryptographicException)
        {
            problem = "certificate revocation list is malformed: " + e.Message;
            return false;
        }
    }

    /// <summary>Reads every list of a PEM text (<c>X509 CRL</c>); one at least must be there. Never throws.</summary>
    public static bool TryReadPem(string text, out IReadOnlyList<CertificateRevocationList> lists, out string problem)
    {
        lists = [];
        if (!Pem.TryReadBlocks(text, label => label == PemLabel, out var blocks, out problem))
        {
            return false;
        }

        var found = new List<CertificateRevocationList>(blocks.Count);
        foreach (var (_, der) in blocks)
        {
            if (!TryParse(der, out var list, out problem))
            {
                return false;
            }

            found.Add(list);
        }

        problem = found.Count == 0 ? $"the text has no PEM block \"{PemLabel}\"" : "";
        lists = found;
        return found.Count > 0;
    }

    /// <summary>A complete list (RFC 5280 §5.1), signed by an authority.</summary>
    /// <param name="issuer">Who signs.</param>
    /// <param name="issuerKey">With its key.</param>
    /// <param name="thisUpdate">From when on it holds; whole seconds count.</param>
    /// <param name="nextUpdate">Until when.</param>
    /// <param name="number">Higher than that of any list of this issuer before (§5.2.3).</param>
    /// <param name="revoked">What the issuer signed and no longer stands by.</param>
    /// <exception cref="CryptographicException">The key refused, or is of another kind than the issuer's.</exception>
    public static CertificateRevocationList Sign(
        Certificate issuer, AsymmetricAlgorithm issuerKey, DateTimeOffset thisUpdate, DateTimeOffset nextUpdate, ulong number, IEnumerable<Certificate> revoked) =>
        Sign(issuer, issuerKey, thisUpdate, nextUpdate, number, revoked.Select(certificate => KeyValuePair.Create(certificate.SerialHex, thisUpdate)));

    /// <param name="issuer">Who signs.</param>
    /// <param name="issuerKey">With its key.</param>
    /// <param name="thisUpdate">From when on it holds; whole seconds count.</param>
    /// <param name="nextUpdate">Until when.</param>
    /// <param name="number">Higher than that of any list of this issuer before (§5.2.3).</param>
    /// <param name="revoked">Serial numbers in hex of what the issuer signed and no longer stands by, each with the time of its revocation.</param>
    /// <exception cref="CryptographicException">The key refused, or is of another kind than the issuer's.</exception>
    /// <exception cref="FormatException">A serial number is none.</exception>
    public static CertificateRevocationList Sign(
        Certificate issuer, AsymmetricAlgorithm issuerKey, DateTimeOffset thisUpdate, DateTimeOffset nextUpdate, ulong number, IEnumerable<KeyValuePair<string, DateTimeOffset>> revoked)
    {
        var algorithm = SignatureAlgorithm.For(issuer.PublicKey);
        var signedPart = EncodeSignedPart(issuer, algorithm, thisUpdate, nextUpdate, number, revoked);
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteEncodedValue(signedPart);
            writer.WriteEncodedValue(algorithm.Der.Span);
            writer.WriteBitString(algorithm.Sign(signedPart, issuerKey));
        }

        return Read(writer.Encode());
    }

    /// <summary>Whether the serial number, in lower-case hex, is on the list.</summary>
    public bool Contains(string serialHex, out DateTimeOffset since) => _revoked.TryGetValue(serialHex, out since);

    public string ToPem() => PemEncoding.WriteString(PemLabel, Der.Span) + "\n";

    /// <summary>Whether the issuer's key made the list's signature.</summary>
    public bool IsSignedBy(Certificate issuer) => issuer.PublicKey.Verifies(SignedPart.Span, Signature.Span, SignatureAlgorithm);

    private static byte[] EncodeSignedPart(
        Certificate issuer, SignatureAlgorithm algorithm, DateTimeOffset thisUpdate, DateTimeOffset nextUpdate, ulong number, IEnumerable<KeyValuePair<string, DateTimeOffset>> revoked)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER, 512);
        using (writer.PushSequence())
        {
            writer.WriteInteger(1);
            writer.WriteEncodedValue(algorithm.Der.Span);
            writer.WriteEncodedValue(issuer.SubjectDer.Span);
            DerTime.Write(writer, thisUpdate);
            DerTime.Write(writer, nextUpdate);
            var entries = revoked.ToArray();
            if (entries.Length > 0)
            {
                using (writer.PushSequence())
                {
                    foreach (var (serial, since) in entries)
                    {
                        using (writer.PushSequence())
                        {
                            writer.WriteInteger(BigInteger.Parse('0' + serial, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
                            DerTime.Write(writer, since);
                        }
                    }
                }
            }

            using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 0)))
            using (writer.PushSequence())
            {
                if (!issuer.SubjectKeyIdentifier.IsEmpty)
                {
                    ExtensionWriter.WriteAuthorityKeyIdentifier(writer, issuer.SubjectKeyIdentifier.Span);
                }

                ExtensionWriter.Write(writer, Oids.CrlNumber, isCritical: false, w => w.WriteInteger(number));
            }
        }

        return writer.Encode();
    }

    private static CertificateRevocationList Read(ReadOnlyMemory<byte> der)
    {
        // CertificateList ::= SEQUENCE { tbsCertList, signatureAlgorithm AlgorithmIdentifier, signature BIT STRING }
        // TBSCertList ::= SEQUENCE { version INTEGER (1) OPTIONAL, signature AlgorithmIdentifier, issuer Name, thisUpdate, nextUpdate OPTIONAL,
        //   revokedCertificates SEQUENCE OF SEQUENCE { userCertificate INTEGER, revocationDate, crlEntryExtensions OPTIONAL } OPTIONAL,
        //   crlExtensions [0] OPTIONAL }                                                                                  (RFC 5280 §5.1)
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
        var tbs = new AsnReader(signedPart, AsnEncodingRules.DER).ReadSequence();
        if (!tbs.TryReadInt32(out var version) || version != 1)
        {
            // Version 1 has no extensions, hence no number (RFC 5280 §5.1.2.1).
            throw new AsnContentException("the version is not 2");
        }

        if (!tbs.ReadEncodedValue().Span.SequenceEqual(algorithm.Der.Span))
        {
            throw new AsnContentException("the signature algorithm inside differs from the one outside");
        }

        var issuer = DistinguishedName.Parse(tbs.ReadEncodedValue());
        var thisUpdate = DerTime.Read(tbs);
        var nextUpdate = DerTime.Read(tbs);
        var revoked = tbs.HasData && tbs.PeekTag() == Asn1Tag.Sequence ? ReadEntries(tbs.ReadSequence()) : [];
        var wrapper = tbs.ReadSequence(new Asn1Tag(TagClass.ContextSpecific, 0));
        var extensions = CrlExtensions.Read(Certificate.ReadExtensions(wrapper.ReadSequence()));
        wrapper.ThrowIfNotEmpty();
        tbs.ThrowIfNotEmpty();
        return new CertificateRevocationList(der, signedPart, algorithm, signature, issuer, thisUpdate, nextUpdate, revoked, extensions);
    }

    private static Dictionary<string, DateTimeOffset> ReadEntries(AsnReader entries)
    {
        var revoked = new Dictionary<string, DateTimeOffset>(StringComparer.Ordinal);
        while (entries.HasData)
        {
            if (revoked.Count == MaxEntries)
            {
                throw new AsnContentException($"it revokes more than {MaxEntries} certificates");
            }

            var entry = entries.ReadSequence();
            var serial = Certificate.ToHex(entry.ReadIntegerBytes());
            var since = DerTime.Read(entry);
            if (entry.HasData)
            {
                // A critical entry extension that is not understood poisons the list (RFC 5280 §5.3); the reason code is never critical.
                foreach (var (oid, isCritical, _) in Certificate.ReadExtensions(entry.ReadSequence()))
                {
                    if (isCritical)
                    {
                        throw new AsnContentException($"an entry has the critical extension {oid}, which Signet does not know");
                    }
                }
            }

            entry.ThrowIfNotEmpty();
            if (!revoked.TryAdd(serial, since))
            {
                throw new AsnContentException($"it revokes the serial number {serial} twice");
            }
        }

        return revoked;
    }
}
