using System.Net;
using Signet.Identity.Spiffe;

namespace Signet.Identity.X509;

/// <summary>Whose rules a path must keep besides those of RFC 5280.</summary>
public enum PathProfile
{
    /// <summary>X509-SVID: the leaf is a workload's SVID, the authorities are signing certificates.</summary>
    Spiffe,

    /// <summary>The public web: server and client certificates with DNS names and addresses.</summary>
    WebPki,
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

    /// <summary>How many certificates may lie between leaf and root.</summary>
    public int MaxIntermediates { get; init; } = DefaultMaxIntermediates;

    /// <summary>The SPIFFE ID that the leaf must carry, or null for any.</summary>
    public SpiffeId? ExpectedId { get; init; }
}
