namespace Signet.Identity.X509;

/// <summary>
/// What the public web asks of a path besides RFC 5280 §6.1: the rules that RFC 5280 §4 and the CA/Browser Forum's baseline requirements (§7.1)
/// put on issuers, kept by refusing what breaks them. Pure.
/// </summary>
internal static class WebPkiProfile
{
    private const int MaxSerialBytes = 20;

    private static readonly string[] ForeignPurposes =
    [
        "1.3.6.1.5.5.7.3.3", // code signing
        "1.3.6.1.5.5.7.3.4", // e-mail protection
        "1.3.6.1.5.5.7.3.8", // time stamping
        "1.3.6.1.5.5.7.3.9", // OCSP signing
        "1.3.6.1.4.1.11129.2.4.4", // precertificate signing
        Oids.AnyExtendedKeyUsage,
    ];

    public static PathFinding? Check(IReadOnlyList<Certificate> path)
    {
        for (var i = 0; i < path.Count; i++)
        {
            var isAnchor = i == path.Count - 1;
            var problem = CheckEvery(path[i], isAnchor) ?? (i == 0 ? CheckLeaf(path[i]) : CheckAuthority(path[i], isAnchor));
            if (problem is not null)
            {
                return new(PathProblem.Profile, $"{path[i]}: {problem}");
            }
        }

        return null;
    }

    private static string? CheckEvery(Certificate certificate, bool isAnchor) => certificate switch
    {
        { Version: not 3 } => $"it is an X.509 version {certificate.Version} certificate; version 3 was expected",
        _ when !IsSerialSound(certificate.Serial.Span) => $"its serial number is not positive, or longer than {MaxSerialBytes} bytes (RFC 5280 §4.1.2.2)",
        { AuthorityKeyIdentifier: null } when !(isAnchor && certificate.IsSelfIssued) => "it has no authority key identifier (RFC 5280 §4.2.1.1)",
        { AuthorityKeyIdentifier.KeyId.IsEmpty: true } => "its authority key identifier has no key identifier (RFC 5280 §4.2.1.1)",
        { AuthorityKeyIdentifier.HasIssuerAndSerial: true } => "its authority key identifier names an issuer or serial number (baseline requirements §7.1.2.11.1)",
        _ when certificate.PublicKey is { Kind: PublicKeyKind.Rsa, Size: var size } && size % 8 != 0 => $"its RSA key has {size} bits, which is not a multiple of 8 (baseline requirements §6.1.5)",
        _ when certificate.PublicKey.Kind == PublicKeyKind.Ed25519 => "it has an Ed25519 key, which the public web does not take (baseline requirements §6.1.5)",
        _ => null,
    };

    private static string? CheckLeaf(Certificate leaf) => leaf switch
    {
        { IsAuthority: true } => "it is an authority; a leaf must not be (baseline requirements §7.1.2.7.8)",
        { KeyUsage: { } usage } when (usage & KeyUsages.KeyCertSign) != 0 => "its key usage has keyCertSign, but it is not an authority (RFC 5280 §4.2.1.9)",
        { SubjectName.IsEmpty: true, AreAlternativeNamesCritical: false } => "its subject is empty, so its alternative names must be critical (RFC 5280 §4.2.1.6)",
        { SubjectName.IsEmpty: false, AreAlternativeNamesCritical: true } => "its alternative names are critical although it has a subject (baseline requirements §7.1.2.7.12)",
        { ExtendedKeyUsages: { } purposes } when purposes.Any(ForeignPurposes.Contains) => "its extended key usage has a purpose besides servers and clients (baseline requirements §7.1.2.7.10)",
        _ when leaf.IsCritical(Oids.ExtendedKeyUsage) => "its extended key usage is critical (baseline requirements §7.1.2.7.6)",
        _ => null,
    };

    private static string? CheckAuthority(Certificate authority, bool isAnchor) => authority switch
    {
        { SubjectName.IsEmpty: true } => "it is an authority without a subject (RFC 5280 §4.1.2.6)",
        { SubjectKeyIdentifier.IsEmpty: true } => "it is an authority without a subject key identifier (RFC 5280 §4.2.1.2)",
        { BasicConstraints.IsCritical: false } => "its basic constraints are not critical (RFC 5280 §4.2.1.9)",
        { ExtendedKeyUsages: not null } when isAnchor => "it is a root with an extended key usage (baseline requirements §7.1.2.1.2)",
        { AuthorityKeyIdentifier: not null } when isAnchor && authority.IsSelfIssued && !authority.AuthorityKeyId.Span.SequenceEqual(authority.SubjectKeyIdentifier.Span) =>
            "it is a root whose authority key identifier is not its own (baseline requirements §7.1.2.1.3)",
        _ when authority.Has(Oids.PolicyConstraints) && !authority.IsCritical(Oids.PolicyConstraints) => "its policy constraints are not critical (RFC 5280 §4.2.1.11)",
        _ => null,
    };

    private static bool IsSerialSound(ReadOnlySpan<byte> serial)
    {
        var value = serial.TrimStart((byte)0);
        return serial[0] < 0x80 && value.Length is > 0 and <= MaxSerialBytes;
    }
}
