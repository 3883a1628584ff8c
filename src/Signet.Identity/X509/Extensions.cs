namespace Signet.Identity.X509;

/// <summary>What a key may be used for; the values are the bits of RFC 5280 §4.2.1.3.</summary>
[Flags]
public enum KeyUsages
{
    None = 0,
    DigitalSignature = 1 << 0,
    ContentCommitment = 1 << 1,
    KeyEncipherment = 1 << 2,
    DataEncipherment = 1 << 3,
    KeyAgreement = 1 << 4,
    KeyCertSign = 1 << 5,
    CrlSign = 1 << 6,
    EncipherOnly = 1 << 7,
    DecipherOnly = 1 << 8,
}

/// <summary>RFC 5280 §4.2.1.9. Without a path length there is no limit.</summary>
public sealed record BasicConstraints(bool IsAuthority, int? PathLength, bool IsCritical);

/// <summary>RFC 5280 §4.2.1.1.</summary>
internal sealed record AuthorityKeyIdentifier(ReadOnlyMemory<byte> KeyId, bool HasIssuerAndSerial, bool IsCritical);

/// <summary>RFC 5280 §4.2.1.10: the subtrees in which all names below this authority must, and must not, lie.</summary>
public sealed record NameConstraints(IReadOnlyList<GeneralName> Permitted, IReadOnlyList<GeneralName> Excluded, bool IsCritical);
