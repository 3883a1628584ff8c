using Signet.Proxy.L7;
using Signet.Proxy.Loop;
using Signet.Proxy.Tls;

namespace Signet.Proxy.Upstreams;

/// <summary>Opens connections to one destination: the own application, or a service.</summary>
internal interface IUpstreamDialer
{
    /// <summary>The service's state; null where there is nothing to choose.</summary>
    Upstream? Upstream { get; }

    /// <summary>Opens a connection that lives on the given loop, to an endpoint that is chosen and to further ones when it fails.</summary>
    /// <exception cref="OperationCanceledException">The caller no longer wants it.</exception>
    Task<DialOutcome> DialAsync(EventLoop loop, UpstreamUse use, CancellationToken cancellationToken);

    /// <summary>Opens a connection to an endpoint that was chosen, in a place that was kept for it: the connection's when there is one, and free again otherwise.</summary>
    /// <exception cref="OperationCanceledException">The caller no longer wants it; the place is free.</exception>
    Task<DialOutcome> DialAsync(EventLoop loop, UpstreamEndpoint endpoint, UpstreamUse use, CancellationToken cancellationToken);

    /// <summary>Whether a request that came in some version is to go on by HTTP/2.</summary>
    bool PrefersHttp2(ProtocolVersion asked);

    /// <summary>Whether the other side of a connection that was opened for HTTP/2 will speak it.</summary>
    bool SpeaksHttp2(TlsSession? session);

    /// <summary>Stands for everything that a connection was opened under: own identity, bundles, policies. Another one needs another connection.</summary>
    object Era { get; }
}

/// <summary>What a connection is wanted for.</summary>
internal enum UpstreamUse
{
    Tcp,
    Http1,

    /// <summary>HTTP/1 will do where the other side knows no HTTP/2 and says so.</summary>
    Http2,
}

internal abstract record DialOutcome
{
    private DialOutcome()
    {
    }

    public sealed record Connected(UpstreamConnection Connection) : DialOutcome;

    /// <param name="Reason">The closed reason.</param>
    /// <param name="Detail">Names the address and what happened there.</param>
    /// <param name="Endpoint">The address that was tried last, if any was.</param>
    public sealed record Failed(RefusalReason Reason, string Detail, string? Endpoint) : DialOutcome
    {
        /// <summary>Whether it says something against the endpoint; then another one may do better.</summary>
        public bool BlamesEndpoint { get; init; } = Endpoint is not null;
    }
}
