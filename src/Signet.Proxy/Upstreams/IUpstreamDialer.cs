using Signet.Proxy.Loop;

namespace Signet.Proxy.Upstreams;

/// <summary>Opens connections to one destination: the own application, or the proxies of a service.</summary>
internal interface IUpstreamDialer
{
    /// <summary>Opens a connection that lives on the given loop, trying every address that there is.</summary>
    /// <exception cref="OperationCanceledException">The caller no longer wants it.</exception>
    Task<DialOutcome> DialAsync(EventLoop loop, bool forHttp, CancellationToken cancellationToken);

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
    public sealed record Failed(RefusalReason Reason, string Detail, string? Endpoint) : DialOutcome;
}
