using Signet.Hosting.Configuration;

namespace Signet.Proxy.Config;

/// <summary>How much the proxy takes on at once. Beyond a limit others wait; nobody is refused for it.</summary>
public sealed record ProxyLimits
{
    /// <summary>Connections per listener; further ones wait in the kernel's queue.</summary>
    public int Connections { get; init; } = 10_000;

    /// <summary>Handshakes of the whole proxy, in each direction, that are worked on at once; further ones wait for their turn, within their deadline. One that lasts longer than a second no longer counts.</summary>
    public int Handshakes { get; init; } = 256;

    /// <summary>Unused connections kept per destination.</summary>
    public int IdleUpstreams { get; init; } = 1000;

    /// <summary>Requests at once on one HTTP/2 connection; a client that opens more has them refused and may send them again.</summary>
    public int Streams { get; init; } = 1_000;

    /// <summary>How often a request or connection is tried again at most, where that is safe.</summary>
    public int Retries { get; init; } = 2;

    /// <summary>Questions to external authorisers under way; further ones wait for their turn, within their timeout.</summary>
    public int Checks { get; init; } = 256;

    internal static ProxyLimits Read(ConfigSection section)
    {
        var defaults = new ProxyLimits();
        return new()
        {
            Connections = section.Integer("connections", defaults.Connections, 1, 1_000_000),
            Handshakes = section.Integer("handshakes", defaults.Handshakes, 1, 100_000),
            Streams = section.Integer("streams", defaults.Streams, 1, 100_000),
            Checks = section.Integer("checks", defaults.Checks, 1, 100_000),
            Retries = section.Integer("retries", defaults.Retries, 0, 10),
            IdleUpstreams = section.Integer("idleUpstreams", defaults.IdleUpstreams, 0, 100_000),
        };
    }
}
