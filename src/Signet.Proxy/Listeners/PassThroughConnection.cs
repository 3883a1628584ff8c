using System.Net;
using Signet.Proxy.Authorization;
using Signet.Proxy.Connections;
using Signet.Proxy.L4;
using Signet.Proxy.Loop;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Transport;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Listeners;

/// <summary>
/// A captured connection to a place outside the mesh, carried on as it is. The operator asked for that in so many words; the access log and
/// a counter say each time that it happened.
/// </summary>
internal sealed class PassThroughConnection(IPEndPoint destination, ProxyCore core, LoopSocket socket, LiveConnection live)
{
    public async Task RunAsync()
    {
        var started = core.Time.GetTimestamp();
        var record = RecordOf(destination, core, live);
        live.Protocol = record.Protocol = "tcp";
        await using var client = new BufferedTransport(socket);
        await ConnectionEnd.OfAsync(record, live, () => RelayAsync(client, record)).ConfigureAwait(false);

        record.Detail = record.Detail is null ? "passthrough" : $"passthrough; {record.Detail}";
        core.Note(record, live, started);
        core.AccessLog.Write(record);
    }

    public static AccessRecord RecordOf(IPEndPoint? destination, ProxyCore core, LiveConnection live) => new()
    {
        Began = core.Time.GetUtcNow(),
        Direction = live.Direction,
        Listener = live.Listener,
        Source = live.Source,
        DestinationHost = live.Direction == Direction.Outbound ? destination?.Address.ToString() : null,
        DestinationPort = destination?.Port ?? 0,
        DestinationIp = live.Direction == Direction.Inbound ? destination?.Address : null,
        DestinationWorkload = live.Direction == Direction.Inbound ? core.Config.Workload : null,
    };

    private async Task RelayAsync(BufferedTransport client, AccessRecord record)
    {
        if (!core.Identity.TryUse(out _, out var reason, out var detail))
        {
            record.Refuse(reason, detail);
            client.Abort();
            return;
        }

        var (upstream, failure) = await Connector.ConnectAsync(live.Loop, destination, source: null, core.Config.Timeouts.Connect, core.Time, live.Token).ConfigureAwait(false);
        record.Upstream = destination.ToString();
        if (upstream is null)
        {
            record.Refuse(failure!.Reason, failure.Detail);
            client.Abort();
            return;
        }

        await using (upstream.ConfigureAwait(false))
        {
            core.Metrics.PassedThrough();
            live.CloseWhenIdleFor(core.Config.Timeouts.TcpIdle);
            record.Detail = await Relay.RunAsync(Clearance.Outbound, client, upstream, live, live.Token).ConfigureAwait(false);
        }
    }
}
