using System.Net;

namespace Signet.Proxy.Capture;

/// <summary>How connections reach the proxy without their applications knowing.</summary>
public enum CaptureMode
{
    /// <summary>They don't: applications connect to ports that the configuration lists.</summary>
    None,

    /// <summary>Addresses are rewritten to the proxy's; the kernel remembers the original ones.</summary>
    Redirect,

    /// <summary>Inbound connections are handed to the proxy with their addresses untouched; outbound ones are rewritten as in redirect mode.</summary>
    Tproxy,
}

/// <summary>Which connections of a network namespace go through the proxy. Everything not named is captured. Immutable.</summary>
public sealed record CaptureOptions
{
    /// <summary>No list of an option is longer.</summary>
    public const int MaxEntries = 256;

    /// <summary><see cref="CaptureMode.Redirect"/> or <see cref="CaptureMode.Tproxy"/>.</summary>
    public CaptureMode Mode { get; init; } = CaptureMode.Redirect;

    /// <summary>The user that the proxy runs as, and nobody else: its own connections are not captured. Never 0.</summary>
    public required uint ProxyUid { get; init; }

    /// <summary>A group whose processes count as the proxy too; null: none.</summary>
    public uint? ProxyGid { get; init; }

    /// <summary>Where the proxy takes captured inbound connections.</summary>
    public int InboundPort { get; init; } = 15006;

    /// <summary>Where the proxy takes captured outbound connections.</summary>
    public int OutboundPort { get; init; } = 15001;

    /// <summary>Ports on which the proxy itself serves others, in plaintext and uncaptured: metrics and readiness.</summary>
    public IReadOnlyList<PortRange> ProxyPorts { get; init; } = [new(15020, 15021)];

    /// <summary>Inbound ports that are captured; null: all.</summary>
    public IReadOnlyList<PortRange>? IncludeInboundPorts { get; init; }

    public IReadOnlyList<PortRange> ExcludeInboundPorts { get; init; } = [];

    /// <summary>Outbound ports that are captured; null: all.</summary>
    public IReadOnlyList<PortRange>? IncludeOutboundPorts { get; init; }

    public IReadOnlyList<PortRange> ExcludeOutboundPorts { get; init; } = [];

    /// <summary>Outbound destinations that are captured; null: all.</summary>
    public IReadOnlyList<IPNetwork>? IncludeOutboundNetworks { get; init; }

    public IReadOnlyList<IPNetwork> ExcludeOutboundNetworks { get; init; } = [];

    /// <summary>Interfaces whose traffic is left alone in both directions.</summary>
    public IReadOnlyList<InterfaceName> ExcludeInterfaces { get; init; } = [];
}
