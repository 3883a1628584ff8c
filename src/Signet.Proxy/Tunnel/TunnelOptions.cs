using Signet.Proxy.Http2;

namespace Signet.Proxy.Tunnel;

/// <summary>The bounds of a pool of tunnels. Immutable.</summary>
public sealed record TunnelOptions
{
    public required Http2Options Http2 { get; init; }

    /// <summary>How long a tunnel without a connection in it is kept.</summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Tunnels of one key. Each carries as many connections as its peer allows; one more connection than all of them carry is refused.</summary>
    public int MaxTunnels { get; init; } = 16;

    /// <summary>How often a connection that a peer did not look at, because its tunnel was ending, is asked for again.</summary>
    public int MaxAttempts { get; init; } = 3;
}
