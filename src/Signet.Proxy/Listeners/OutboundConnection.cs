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
internal sealed class OutboundConnection(OutboundConfig service, UpstreamPool pool, MeshDialer dialer, ProxyCore core, LoopSocket socket, LiveConnection live)
{
    /// <summary>What requests are told about where they came from.</summary>
    public HopFields Hop { get; } = new(service.HopFields, new ForwardedClientCert(service.ForwardClientCert, null, null), live.Source.Address, isTls: false, core.AccessLog.Sampler);
    private bool _isHttp;

    public UpstreamPool Pool => pool;

    /// <summary>How many requests the service is sent.</summary>
    public RateLimitConfig? RateLimit => service.RateLimit;

    /// <summary>What servers are judged under.</summary>
    public object Era => dialer.Era;

    public async Task RunAsync()
    {
        var started = core.Time.GetTimestamp();
        var record = NewRecord();
        await using var client = new BufferedTransport(socket);
        await ConnectionEnd.OfAsync(record, live, () => ServeAsync(client, record)).ConfigureAwait(false);
        core.Note(record, live, started);
        if (!_isHttp)
        {
            core.AccessLog.Write(record);
        }
    }

    private async Task ServeAsync(BufferedTransport client, AccessRecord record)
    {
        _isHttp = service.Protocol.IsHttp() || (service.Protocol == AppProtocol.Auto
            && await Detector.DetectHttpAsync(client, core.Config.Timeouts.ServerFirst, core.Config.Timeouts.Detection, core.Time, live.Token).ConfigureAwait(false));
        live.Protocol = record.Protocol = _isHttp ? "http" : "tcp";
        if (_isHttp)
        {
            using var requests = new OutboundRequests(this, core, live);
            await new HttpServer(core, live, client, requests).RunAsync().ConfigureAwait(false);
        }
        else
        {
            await RelayAsync(client, record).ConfigureAwait(false);
        }
    }

    private async Task RelayAsync(BufferedTransport client, AccessRecord record)
    {
        var dialled = await dialer.DialAsync(live.Loop, UpstreamUse.Tcp, live.Token).ConfigureAwait(false);
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
            live.Prove(session);
            live.KeepAsking(() => CheckTrust(session.Peer));
        }

        live.CloseWhenIdleFor(core.Config.Timeouts.TcpIdle);
        record.Detail = await Relay.RunAsync(Clearance.Outbound, client, upstream.Transport, live, live.Token).ConfigureAwait(false);
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

    public LiveConnection.Closure? CheckTrust(Peer peer) =>
        core.Identity.Current is { } identity && dialer.Judge(peer, identity) is { Peer: null } no
            ? new(no.Reason == RefusalReason.PeerCertificateExpired ? RefusalReason.PeerExpired : RefusalReason.PeerNoLongerTrusted, no.Detail)
            : null;
}
