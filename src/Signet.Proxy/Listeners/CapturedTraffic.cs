using System.Diagnostics.CodeAnalysis;
using System.Net;
using Signet.Proxy.Authorization;
using Signet.Proxy.Capture;
using Signet.Proxy.Config;
using Signet.Proxy.Connections;
using Signet.Proxy.Loop;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Transport;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Listeners;

/// <summary>A configured port, and the connections to its application that are kept.</summary>
internal sealed record InboundRoute(InboundConfig Port, UpstreamPool Pool);

/// <summary>A configured service, how it is reached, and the connections to it that are kept.</summary>
internal sealed record OutboundRoute(OutboundConfig Service, MeshDialer Dialer, UpstreamPool Pool);

/// <summary>
/// Hands a captured connection to the port or service that it was meant for. From there on it is served like any other: capture decides
/// where a connection goes, never whether it may.
/// </summary>
internal sealed class CapturedTraffic(
    ProxyCore core, Authorisers authorisers, IReadOnlyDictionary<int, InboundRoute> ports, IReadOnlyDictionary<OutboundConfig, OutboundRoute> services,
    OutboundTable table, Func<IPEndPoint, bool> isOwn, Func<LoopSocket, CaptureMode, IPEndPoint?> askKernel)
{
    /// <summary>To the workload. A port that nobody listed is the application's own, whatever it speaks, under the same policies as every other.</summary>
    public Task ServeInboundAsync(LoopSocket socket, LiveConnection live)
    {
        if (!TryRead(socket, live, core.Config.Capture.Mode, out var destination, out var refused))
        {
            return refused;
        }

        var route = ports.GetValueOrDefault(destination.Port);
        var port = route?.Port ?? new InboundConfig("inbound-unlisted", null, destination.Port, AppProtocol.Auto, destination);
        return new InboundConnection(port, route?.Pool, authorisers, core, socket, live, destination).RunAsync();
    }

    /// <summary>From the workload.</summary>
    public Task ServeOutboundAsync(LoopSocket socket, LiveConnection live)
    {
        // In tproxy mode too: what this machine sends can only be rewritten.
        if (!TryRead(socket, live, CaptureMode.Redirect, out var destination, out var refused))
        {
            return refused;
        }

        switch (table.Find(destination))
        {
            case OutboundMatch.Service { Config: var service }:
                var route = services[service];
                return new OutboundConnection(service, route.Pool, route.Dialer, core, socket, live).RunAsync();
            case OutboundMatch.PassThrough:
                return new PassThroughConnection(destination, core, socket, live).RunAsync();
            case OutboundMatch.Unknown unknown:
                return RefuseAsync(socket, live, destination, RefusalReason.DestinationUnknown, unknown.Reason);
            default:
                throw new InvalidOperationException("a match is one of three");
        }
    }

    private bool TryRead(LoopSocket socket, LiveConnection live, CaptureMode mode, [NotNullWhen(true)] out IPEndPoint? destination, [NotNullWhen(false)] out Task? refused)
    {
        var known = OriginalDestination.TryRead(askKernel(socket, mode), isOwn, out destination, out var problem);
        refused = known ? null : RefuseAsync(socket, live, destination, RefusalReason.NotCaptured, problem);
        return known;
    }

    private Task RefuseAsync(LoopSocket socket, LiveConnection live, IPEndPoint? destination, RefusalReason reason, string detail)
    {
        var record = PassThroughConnection.RecordOf(destination, core, live);
        record.Refuse(reason, detail);
        socket.Abort();
        core.Metrics.Closed(live, record);
        core.AccessLog.Write(record);
        return Task.CompletedTask;
    }
}
