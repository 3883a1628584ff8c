using System.Net;
using Signet.Identity.Spiffe;
using Signet.Identity.X509.Revocation;

namespace Signet.Identity.X509;

/// <summary>Whose rules a path must keep besides those of RFC 5280.</summary>
public enum PathProfile
{
    /// <summary>X509-SVID: the leaf is a workload's SVID, the authorities are signing certificates.</summary>
    Spiffe,

    /// <summary>The public web: server and client certificates with DNS names and addresses, held to the baseline requirements.</summary>
    WebPki,

    /// <summary>Nothing besides RFC 5280 §6.1: private authorities whose certificates keep no profile.</summary>
    Rfc5280,
}

/// <summary>What the leaf is about to be used for.</summary>
public enum CertificateUsage
{
    Any,
    Server,
    Client,
}

/// <summary>A question to <see cref="PathValidator"/>: is there a path from this leaf to one of these roots? Immutable.</summary>
public sealed record PathRequest
{
    public const int DefaultMaxIntermediates = 10;

    public required Certificate Leaf { get; init; }

    /// <summary>What may lie between; in any order, possibly with certificates that do not belong. Nothing in it is trusted.</summary>
    public IReadOnlyList<Certificate> Intermediates { get; init; } = [];

    /// <summary>The trust anchors. Their own validity, constraints and rights are checked; their own signature is not.</summary>
    public required IReadOnlyList<Certificate> Roots { get; init; }

    /// <summary>The time at which the path must be valid.</summary>
    public required DateTimeOffset At { get; init; }

    public PathProfile Profile { get; init; } = PathProfile.Spiffe;

    public CertificateUsage Usage { get; init; } = CertificateUsage.Any;

    /// <summary>How many certificates may lie between leaf and root; self-issued ones are not counted (RFC 5280 §6.1.4 (l)).</summary>
    public int MaxIntermediates { get; init; } = DefaultMaxIntermediates;

    /// <summary>The SPIFFE ID that the leaf must carry, or null for any.</summary>
    public SpiffeId? ExpectedId { get; init; }

    /// <summary>The host name that the leaf must carry, or null for any.</summary>
    public string? DnsName { get; init; }

    /// <summary>The address that the leaf must carry, or null for any.</summary>
    public IPAddress? IpAddress { get; init; }

    /// <summary>Revocation lists. None means that revocation is not looked at.</summary>
    public IReadOnlyList<CertificateRevocationList> Crls { get; init; } = [];

    /// <summary>For which certificates there must be a list. Without lists it has no effect.</summary>
    public RevocationScope RevocationScope { get; init; } = RevocationScope.EveryCertificate;
}
