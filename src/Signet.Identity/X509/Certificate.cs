using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Security.Cryptography;
using Signet.Identity.Spiffe;

namespace Signet.Identity.X509;

/// <summary>
/// An X.509 certificate (RFC 5280 §4), read from its bytes by Signet's own bounded parser. Reading checks form only: whether to trust it is
/// asked of <see cref="PathValidator"/>. Immutable and thread-safe; equal when the bytes are.
/// </summary>
public sealed partial class Certificate : IEquatable<Certificate>
{
    /// <summary>The longest encoding that is read, in bytes.</summary>
    public const int MaxLength = 64 * 1024;

    /// <summary>How many extensions a certificate may have.</summary>
    public const int MaxExtensions = 64;

    /// <summary>How many names (alternative names, or subtrees of name constraints) and how many purposes a certificate may have.</summary>
    public const int MaxNames = 1000;

    private string? _fingerprint;

    /// <summary>Reads exactly one certificate, without trailing bytes. Never throws.</summary>
    /// <param name="der">The encoding; it is kept, not copied, so it must not change afterwards.</param>
    /// <param name="certificate">The certificate, when the answer is true.</param>
    /// <param name="problem">What is wrong, when the answer is false; otherwise empty.</param>
    public static bool TryParse(ReadOnlyMemory<byte> der, [NotNullWhen(true)] out Certificate? certificate, out string problem)
    {
        try
        {
            certificate = Read(der);
            problem = "";
            return true;
        }
        catch (Exception e) when (e is System.Formats.Asn1.AsnContentException or CryptographicException)
        {
            certificate = null;
            problem = "certificate is malformed: " + e.Message;
            return false;
        }
    }

    /// <summary>Like <see cref="TryParse"/>, for bytes that are known to be good.</summary>
    /// <exception cref="FormatException">Not exactly one certificate; the message says why.</exception>
    public static Certificate Parse(ReadOnlyMemory<byte> der) =>
        TryParse(der, out var certificate, out var problem) ? certificate : throw new FormatException(problem);

    /// <summary>The whole encoding.</summary>
    public ReadOnlyMemory<byte> Der { get; }

    /// <summary>1, 2 or 3.</summary>
    public int Version { get; }

    /// <summary>The serial number in lower-case hex, two digits a byte, without the sign byte.</summary>
    public string SerialHex { get; }

    public DistinguishedName SubjectName { get; }

    public DistinguishedName IssuerName { get; }

    public ReadOnlyMemory<byte> SubjectDer => SubjectName.Der;

    public ReadOnlyMemory<byte> IssuerDer => IssuerName.Der;

    /// <summary>The subject for people, most specific attribute first (RFC 4514). Safe to log.</summary>
    public string Subject => SubjectName.ToString();

    /// <summary>The issuer for people, most specific attribute first (RFC 4514). Safe to log.</summary>
    public string Issuer => IssuerName.ToString();

    /// <summary>The first and the last second of the certificate's life, both inclusive (RFC 5280 §4.1.2.5).</summary>
    public DateTimeOffset NotBefore { get; }

    /// <inheritdoc cref="NotBefore"/>
    public DateTimeOffset NotAfter { get; }

    /// <summary>The encoded <c>SubjectPublicKeyInfo</c>.</summary>
    public ReadOnlyMemory<byte> SubjectPublicKeyInfo => PublicKey.Info;

    /// <summary>The subject's key, to check what it signed; the caller disposes it. An EC, RSA or Ed25519 key: the certificate must have been validated before.</summary>
    /// <exception cref="CryptographicException">The key is of another kind, or none.</exception>
    public AsymmetricAlgorithm ImportPublicKey() => PublicKey.Import();

    /// <summary>For people: <c>EC P-256</c>, <c>RSA 2048</c>.</summary>
    public string KeyDescription => PublicKey.Description;

    /// <summary>For people: <c>ECDSA with SHA-256</c>.</summary>
    public string SignatureDescription => SignatureAlgorithm.Name;

    /// <summary>RFC 5280 §4.2.1.2; empty when the certificate has none.</summary>
    public ReadOnlyMemory<byte> SubjectKeyIdentifier { get; private set; }

    /// <summary>The key identifier of RFC 5280 §4.2.1.1; empty when the certificate has none.</summary>
    public ReadOnlyMemory<byte> AuthorityKeyId => AuthorityKeyIdentifier?.KeyId ?? default;

    /// <summary>Null when the certificate has no such extension.</summary>
    public BasicConstraints? BasicConstraints { get; private set; }

    /// <summary>Null when the certificate has no such extension: the key may then be used for anything.</summary>
    public KeyUsages? KeyUsage { get; private set; }

    public bool IsKeyUsageCritical { get; private set; }

    /// <summary>The purposes as object identifiers; null when the certificate has no such extension.</summary>
    public IReadOnlyList<string>? ExtendedKeyUsages { get; private set; }

    /// <summary>Null when the certificate has no such extension.</summary>
    public NameConstraints? NameConstraints { get; private set; }

    /// <summary>Every alternative name, in order, of whatever kind.</summary>
    public IReadOnlyList<GeneralName> AlternativeNames { get; private set; } = [];

    public bool AreAlternativeNamesCritical { get; private set; }

    /// <summary>The URI names, in order. Text from a stranger: use <see cref="Printable"/> before showing it.</summary>
    public IReadOnlyList<string> UriNames { get; private set; } = [];

    /// <summary>The DNS names, in order. Text from a stranger: use <see cref="Printable"/> before showing it.</summary>
    public IReadOnlyList<string> DnsNames { get; private set; } = [];

    public IReadOnlyList<IPAddress> IpAddresses { get; private set; } = [];

    /// <summary>
    /// Whether the certificate is for a host: a DNS name, by a wildcard for the whole first label too, or an address in text (RFC 9525 §6.3). The
    /// common name does not count.
    /// </summary>
    public bool IsFor(string host) => HostName.IsCarriedBy(host, this);

    /// <summary>Whether the certificate may issue others: basic constraints with cA true.</summary>
    public bool IsAuthority => BasicConstraints is { IsAuthority: true };

    /// <summary>Whether the certificate's life has begun.</summary>
    public bool HasBegun(DateTimeOffset at) => at >= NotBefore;

    /// <summary>Whether the certificate's life is over: its last second belongs to it as a whole.</summary>
    public bool HasEnded(DateTimeOffset at) => DerTime.IsOver(NotAfter, at);

    /// <summary>Whether subject and issuer are the same name. The signature is not looked at.</summary>
    public bool IsSelfIssued => SubjectName.Equals(IssuerName);

    /// <summary>SHA-256 of the encoding in lower-case hex.</summary>
    public string Fingerprint => _fingerprint ??= Convert.ToHexStringLower(SHA256.HashData(Der.Span));

    /// <summary>Where the issuer publishes its revocation lists (RFC 5280 §4.2.1.13).</summary>
    public IReadOnlyList<string> CrlUris { get; private set; } = [];

    internal ReadOnlyMemory<byte> SignedPart { get; }

    internal ReadOnlyMemory<byte> Serial { get; }

    internal ReadOnlyMemory<byte> Signature { get; }

    internal SignatureAlgorithm SignatureAlgorithm { get; }

    internal PublicKey PublicKey { get; }

    internal AuthorityKeyIdentifier? AuthorityKeyIdentifier { get; private set; }

    /// <summary>The extensions as they stand: identifier, whether critical, content.</summary>
    internal IReadOnlyList<(string Oid, bool IsCritical, ReadOnlyMemory<byte> Content)> Extensions { get; private set; } = [];

    internal bool Has(string oid) => Extensions.Any(e => e.Oid == oid);

    internal bool IsCritical(string oid) => Extensions.Any(e => e.Oid == oid && e.IsCritical);

    /// <summary>Whether the issuer's key made this certificate's signature. Names, dates and rights are not looked at.</summary>
    public bool IsSignedBy(Certificate issuer) => issuer.PublicKey.Verifies(SignedPart.Span, Signature.Span, SignatureAlgorithm);

    public bool Equals(Certificate? other) => other is not null && Der.Span.SequenceEqual(other.Der.Span);

    public override bool Equals(object? obj) => Equals(obj as Certificate);

    public override int GetHashCode()
    {
        var hash = default(HashCode);
        hash.AddBytes(Signature.Span);
        return hash.ToHashCode();
    }

    /// <summary>Subject and serial, for logs.</summary>
    public override string ToString() => $"\"{Subject}\" (serial {SerialHex})";
}
