using Signet.Proxy.Authorization;
using Signet.Proxy.Config;
using Signet.Proxy.Connections;
using Signet.Proxy.L4;
using Signet.Proxy.L7;
using Signet.Proxy.Loop;
using Signet.Proxy.Sniffing;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Tls;
using Signet.Proxy.Transport;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Listeners;

/// <summary>One connection from the workload to a service: plaintext in, mutual TLS out or nothing.</summary>
internal sealed class OutboundConnection(OutboundConfig service, UpstreamPool pool, MeshDialer dialer, ProxyCore core, LoopSocket socket, LiveConnection live) : IHttpRole
{
    private bool _isHttp;

    public UpstreamPool Pool => pool;

    public async Task RunAsync()
    {
        var started = core.Time.GetTimestamp();
        var record = NewRecord();
        await using var client = new BufferedTransport(socket);
        try
        {
            _isHttp = service.Protocol == AppProtocol.Http || (service.Protocol == AppProtocol.Auto
                && await Detector.DetectHttpAsync(client, core.Config.Timeouts.ServerFirst, core.Config.Timeouts.Detection, core.Time, live.Token).ConfigureAwait(false));
            live.Protocol = record.Protocol = _isHttp ? "http" : "tcp";
            if (_isHttp)
            {
                await new HttpServer(core, live, client, this).RunAsync().ConfigureAwait(false);
            }
            else
            {
                await RelayAsync(client, record).ConfigureAwait(false);
            }
        }
        catch (IOException e)
        {
            record.Detail ??= e.Message;
        }
        catch (OperationCanceledException) when (live.Closed is { } closed)
        {
            record.Refuse(closed.Reason, closed.Detail);
        }

        core.Note(record, live, started);
        if (!_isHttp)
        {
            core.AccessLog.Write(record);
        }
    }

    private async Task RelayAsync(BufferedTransport client, AccessRecord record)
    {
        var dialled = await dialer.DialAsync(live.Loop, forHttp: false, live.Token).ConfigureAwait(false);
        if (dialled is DialOutcome.Failed failed)
        {
            record.Upstream = failed.Endpoint;
            record.Refuse(failed.Reason, failed.Detail);
            client.Abort();
            return;
        }

        await using var upstream = ((DialOutcome.Connected)dialled).Connection;
        record.Upstream = upstream.Endpoint;
        if (upstream.Session is { } session)
        {
            record.Note(session);
            live.Peer = session.Peer;
            live.KeepAsking(() => CheckTrust(session.Peer));
        }

        live.CloseWhenIdleFor(core.Config.Timeouts.TcpIdle);
        record.Detail = await Relay.RunAsync(Clearance.Outbound, client, upstream.Transport, live, live.Token).ConfigureAwait(false);
    }

    /// <summary>The destination decides; this side only takes away what is not the application's to say.</summary>
    public ValueTask<Ruling> JudgeAsync(RequestHead head, List<KeyValuePair<string, string>> fields, AccessRecord record) =>
        ValueTask.FromResult(core.RateLimits.Judge(service.RateLimit, record) ?? new Ruling(new Forwarding(Clearance.Outbound, head.Path, fields, []), null));

    /// <summary>A tunnel through a pooled connection lasts as long as its server is believed; the destination asks its own policy.</summary>
    public void KeepAsking(Peer? upstream, bool isTunnel)
    {
        live.Peer = upstream;
        live.KeepAsking(upstream is null ? null : () => CheckTrust(upstream));
    }

    public AccessRecord NewRecord() => new()
    {
        Began = core.Time.GetUtcNow(),
        Direction = Direction.Outbound,
        Listener = live.Listener,
        Protocol = _isHttp ? "http" : null,
        Source = live.Source,
        DestinationHost = service.Host,
        DestinationPort = service.Port,
    };

    private LiveConnection.Closure? CheckTrust(Peer peer) =>
        core.Identity.Current is { } identity && dialer.Judge(peer, identity) is { Peer: null } no
            ? new(no.Reason == RefusalReason.PeerCertificateExpired ? RefusalReason.PeerExpired : RefusalReason.PeerNoLongerTrusted, no.Detail)
            : null;
}
