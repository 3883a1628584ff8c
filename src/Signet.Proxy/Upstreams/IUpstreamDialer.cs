using Signet.Proxy.Loop;

namespace Signet.Proxy.Upstreams;

/// <summary>Opens connections to one destination: the own application, or a service.</summary>
internal interface IUpstreamDialer
{
    /// <summary>The service's state; null where there is nothing to choose.</summary>
    Upstream? Upstream { get; }

    /// <summary>Opens a connection that lives on the given loop, to an endpoint that is chosen and to further ones when it fails.</summary>
    /// <exception cref="OperationCanceledException">The caller no longer wants it.</exception>
    Task<DialOutcome> DialAsync(EventLoop loop, bool forHttp, CancellationToken cancellationToken);

    /// <summary>Opens a connection to an endpoint that was chosen. The use is the connection's when there is one, and over otherwise.</summary>
    /// <exception cref="OperationCanceledException">The caller no longer wants it; the use is over.</exception>
    Task<DialOutcome> DialAsync(EventLoop loop, EndpointUse use, bool forHttp, CancellationToken cancellationToken);

    /// <summary>Stands for everything that a connection was opened under: own identity, bundles, policies. Another one needs another connection.</summary>
    object Era { get; }
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
