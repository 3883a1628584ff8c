using System.Net;
using Signet.Identity.X509;
using Signet.Policy;
using Signet.Proxy.Authorization;
using Signet.Proxy.Config;
using Signet.Proxy.Connections;
using Signet.Proxy.L4;
using Signet.Proxy.L7;
using Signet.Proxy.Loop;
using Signet.Proxy.ProxyProtocol;
using Signet.Proxy.Sniffing;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Tls;
using Signet.Proxy.Transport;
using Signet.Proxy.Tunnel;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Listeners;

/// <summary>
/// One connection from a peer to the workload, from its first byte to its last. The order is the proxy's whole promise: look, admit,
/// authenticate, authorise, and only then move bytes.
/// </summary>
/// <param name="port">The workload's port.</param>
/// <param name="shared">Connections to the application that all clients of the port share; null when this connection keeps its own.</param>
/// <param name="authorisers">The external ones.</param>
/// <param name="core">The proxy.</param>
/// <param name="socket">The connection.</param>
/// <param name="live">Its life.</param>
/// <param name="destination">Where it was going when it was captured; null when it came to a port of the proxy.</param>
internal sealed class InboundConnection(
    InboundConfig port, UpstreamPool? shared, Authorisers authorisers, ProxyCore core, LoopSocket socket, LiveConnection live, IPEndPoint? destination = null)
{
    private readonly Stack<InboundRequests> _unused = [];
    private TlsSession? _session;
    private readonly IPEndPoint? _local = destination ?? socket.LocalEndPoint();
    private AppDialer _app = new(port.App, port.Protocol, default, core);
    private ProxyHeader? _header;
    private string? _sni;
    private string? _why;
    private bool _isHttp;

    /// <summary>Chosen once it is known who the client is.</summary>
    public UpstreamPool Pool { get; private set; } = null!;

    /// <summary>How many requests the port takes.</summary>
    public RateLimitConfig? RateLimit => port.RateLimit;

    /// <summary>What requests are told about where they came from.</summary>
    public HopFields Hop { get; private set; } = null!;

    public bool IsAuthenticated => _session is not null;

    public async Task RunAsync()
    {
        var started = core.Time.GetTimestamp();
        var record = NewRecord();
        await using var raw = new BufferedTransport(socket);
        try
        {
            await ConnectionEnd.OfAsync(record, live, () => ServeAsync(raw, record)).ConfigureAwait(false);
        }
        finally
        {
            if (_session is { Transport: var inside })
            {
                await inside.DisposeAsync().ConfigureAwait(false);
            }
        }

        core.Note(record, live, started);

        // The requests of an HTTP connection have their own lines.
        if (!_isHttp)
        {
            core.AccessLog.Write(record);
        }
    }

    private async Task ServeAsync(BufferedTransport raw, AccessRecord record)
    {
        // 1. Without an identity or policies nothing is let in, whatever the port's mode.
        if (!core.Identity.TryUse(out var identity, out var reason, out var detail))
        {
            record.Refuse(reason, detail);
            raw.Abort();
            return;
        }

        if (core.Model is not { } model)
        {
            record.Refuse(RefusalReason.WaitingForPolicy, core.WhyNoModel);
            raw.Abort();
            return;
        }

        // 2. Who is the client, if a load balancer stands between; then look.
        if (port.ProxyProtocolFrom.Count > 0 && !await TryReadProxyHeaderAsync(raw, record).ConfigureAwait(false))
        {
            return;
        }

        var mode = model.Policy.MtlsFor(port.Port).Mode;
        if (await LookAsync(raw, mode).ConfigureAwait(false) is not { } sniff)
        {
            record.Detail = "the peer connected and left without a byte";
            return;
        }

        // 3. Admit. 4. Authenticate.
        var stream = raw;
        IReadOnlyList<string>? offered = null;
        var mayBeHttp = true;
        switch (Admission.Decide(mode, sniff, port.Protocol))
        {
            case Admission.Refuse refuse:
                record.Refuse(refuse.Reason, refuse.Detail);
                raw.Abort();
                return;

            case Admission.Anonymous anonymous:
                (_sni, _why, mayBeHttp) = (anonymous.Sni, anonymous.Why, anonymous.MayBeHttp);
                break;

            case Admission.Terminate terminate:
                (_sni, offered) = (terminate.Sni, terminate.Alpn);
                var outcome = await HandshakeAsync(raw, identity!, offered).ConfigureAwait(false);
                if (outcome is TlsOutcome.Refused refused)
                {
                    record.Sni = _sni;
                    record.Refuse(refused.Reason, refused.Detail);
                    await Parting.LingerAsync(raw, core.Time).ConfigureAwait(false);
                    return;
                }

                raw.Consume(raw.Available.Length);
                raw.ReleaseIfEmpty();
                _session = ((TlsOutcome.Established)outcome).Session;
                live.Prove(_session);
                stream = new BufferedTransport(_session.Transport);
                break;
        }

        Describe(record);
        Hop = new HopFields(port.HopFields, new ForwardedClientCert(port.ForwardClientCert, identity!.Id, _session?.Peer), NewFacts().RemoteIp!, _session is not null, core.AccessLog.Sampler);
        await using var own = ChooseApp();
        if (_session is { Alpn: MeshAlpn.Tunnel })
        {
            await RunTunnelAsync(record).ConfigureAwait(false);
            return;
        }

        if (_session is not null)
        {
            live.KeepAsking(CheckTrust);
        }

        // 5. Authorise: each request of HTTP, the connection as a whole otherwise.
        _isHttp = mayBeHttp && await IsHttpAsync(stream, offered).ConfigureAwait(false);
        live.Protocol = record.Protocol = _isHttp ? "http" : "tcp";
        if (_isHttp)
        {
            using var requests = new InboundRequests(this, authorisers, core, live, NewFacts());
            await (MeshAlpn.SaysHttp2(_session?.Alpn) ? new HttpStreams(core, live, stream, requests).RunAsync() : new HttpServer(core, live, stream, requests).RunAsync()).ConfigureAwait(false);
        }
        else
        {
            await RelayAsync(stream, record).ConfigureAwait(false);
        }
    }

    /// <summary>Reads the header with which those that are believed must begin. What others send is never taken for one.</summary>
    private async Task<bool> TryReadProxyHeaderAsync(BufferedTransport raw, AccessRecord record)
    {
        var source = Unmapped(live.Source.Address);
        if (!port.ProxyProtocolFrom.Any(network => network.Contains(source)))
        {
            return true;
        }

        switch (await Detector.DetectProxyHeaderAsync(raw, core.Config.Timeouts.Detection, core.Time, live.Token).ConfigureAwait(false))
        {
            case ProxyHeaderRead.Whole whole:
                raw.Consume(whole.Length);
                _header = whole.Header;
                Describe(record);
                return true;
            case ProxyHeaderRead.Malformed malformed:
                record.Refuse(RefusalReason.ProxyHeaderInvalid, malformed.Problem);
                raw.Abort();
                return false;
            default:
                record.Detail = "the peer connected and left without a byte";
                return false;
        }
    }

    /// <summary>An application that is told who its client is needs connections that serve this client alone.</summary>
    /// <returns>Those connections, unless they are shared.</returns>
    private UpstreamPool? ChooseApp()
    {
        if (port.SendProxyProtocol is { } version)
        {
            var header = new ProxyHeader(version, _local is null ? null : new ProxyAddresses(_header?.Addresses?.Source ?? live.Source, _header?.Addresses?.Destination ?? _local))
            {
                Authority = _sni ?? _header?.Authority,
                Alpn = _session?.Alpn,
                UniqueId = _header?.UniqueId,
                Tls = _session is null ? null : new ProxyTls { HasCertificate = true, IsVerified = true, Version = _session.Version, Cipher = _session.CipherSuite },
            };
            _app = new AppDialer(port.App, port.Protocol, ProxyHeaderWriter.Write(header), core);
        }

        var own = shared is null || port.SendProxyProtocol is not null ? new UpstreamPool(_app, core) : null;
        Pool = own ?? shared!;
        return own;
    }

    private Task<TlsSniff?> LookAsync(BufferedTransport raw, MtlsMode mode)
    {
        // Nothing that a declared TCP application's client may say changes what a DISABLE port does, so nobody has to wait for it.
        if (mode == MtlsMode.Disable && port.Protocol == AppProtocol.Tcp)
        {
            return Task.FromResult<TlsSniff?>(TlsSniff.NeedMore.Instance);
        }

        var timeouts = core.Config.Timeouts;
        var mayServerBeFirst = mode != MtlsMode.Strict && !port.Protocol.IsHttp();
        return Detector.DetectTlsAsync(raw, mayServerBeFirst ? timeouts.ServerFirst : timeouts.Detection, timeouts.Detection, core.Time, live.Token);
    }

    private Task<TlsOutcome> HandshakeAsync(BufferedTransport raw, OwnIdentity identity, IReadOnlyList<string> offered)
    {
        var forHttp = port.Protocol.IsHttp() || (port.Protocol == AppProtocol.Auto && MeshAlpn.SaysHttp(offered) != false);
        var setup = new TlsServerSetup(
            port.Resumption ? identity.Certificate.Server : identity.Certificate.ServerWithoutSessions, MeshAlpn.Select(offered, forHttp, core.Config.Tls.Tunnel),
            presented => identity.Verdicts.Judge(presented, CertificateUsage.Client, expected: null, core.Time.GetUtcNow()), core.Time,
            core.Config.Tls.NeverResumed);
        return Handshake.RunAsync(core, Direction.Inbound, token => TlsEngine.AcceptAsync(socket, raw.Available, setup, token), live.Token);
    }

    private async Task<bool> IsHttpAsync(BufferedTransport stream, IReadOnlyList<string>? offered) => port.Protocol switch
    {
        AppProtocol.Http or AppProtocol.Http2 => true,
        AppProtocol.Tcp => false,
        _ => (offered is not null && MeshAlpn.SaysHttp(offered) == true)
            || await Detector.DetectHttpAsync(stream, core.Config.Timeouts.ServerFirst, core.Config.Timeouts.Detection, core.Time, live.Token).ConfigureAwait(false),
    };

    private async Task RelayAsync(BufferedTransport stream, AccessRecord record)
    {
        record.Detail = _why;
        var facts = NewFacts();
        var relay = new InboundRelay(_app, authorisers, core, live, facts, record);
        if (await relay.OpenAsync(() => Subject(record, http: null)).ConfigureAwait(false))
        {
            await relay.RunAsync(stream, () => CheckTrust() ?? CheckPolicy(facts)).ConfigureAwait(false);
        }
        else
        {
            stream.Abort();
        }
    }

    /// <summary>One session, many connections; each is decided by itself.</summary>
    private async Task RunTunnelAsync(AccessRecord record)
    {
        live.Protocol = record.Protocol = "tunnel";
        live.KeepAsking(CheckTrust);
        var tunnel = new InboundTunnel(
            _app, authorisers, core, live, NewStreamRecord, NewFacts, of => Subject(of, http: null), facts => CheckTrust() ?? CheckPolicy(facts), RequestsOf);
        record.Detail = await tunnel.RunAsync(_session!.Transport).ConfigureAwait(false);

        AccessRecord NewStreamRecord()
        {
            var one = NewRecord();
            one.Protocol = "tcp";
            return one;
        }

        InboundRequests? RequestsOf(TunnelRequest request, LiveConnection one)
        {
            if (!port.Protocol.IsHttp() && !(port.Protocol == AppProtocol.Auto && request.SaysHttp))
            {
                return null;
            }

            one.KeepAsking(CheckTrust);
            return new InboundRequests(this, authorisers, core, one, NewFacts());
        }
    }

    /// <summary>The requests on one stream of the connection.</summary>
    public InboundRequests RequestsOf(LiveConnection stream)
    {
        InboundRequests? unused;
        lock (_unused)
        {
            _unused.TryPop(out unused);
        }

        return (unused ?? new InboundRequests(this, authorisers, core, stream, NewFacts())).On(stream);
    }

    public void GiveBack(InboundRequests unused)
    {
        lock (_unused)
        {
            _unused.Push(unused);
        }
    }

    public CheckSubject Subject(AccessRecord record, CheckedRequest? http) =>
        new(record.Began, live.Source, _local, _session?.Peer.Id, core.Identity.Current?.Id, _sni, http);

    public AccessRecord NewRecord()
    {
        var record = new AccessRecord
        {
            Began = core.Time.GetUtcNow(),
            Direction = Direction.Inbound,
            Listener = live.Listener,
            Source = live.Source,
            DestinationPort = port.Port,
            DestinationIp = _local?.Address,
            DestinationWorkload = core.Config.Workload,
        };
        Describe(record);
        return record;
    }

    private void Describe(AccessRecord record)
    {
        record.Protocol = _isHttp ? "http" : record.Protocol;
        record.Sni = _sni;
        record.RemoteIp = _header?.Addresses?.Source.Address;
        if (_session is not null)
        {
            record.Note(_session);
        }
    }

    private RequestFacts NewFacts()
    {
        var facts = new RequestFacts();
        (facts.Peer, facts.MutualTls) = (_session?.Peer.Id, _session is not null);
        facts.SourceIp = Unmapped(live.Source.Address);
        facts.RemoteIp = _header?.Addresses is { Source.Address: var client } ? Unmapped(client) : facts.SourceIp;
        facts.DestinationIp = _local is null ? null : Unmapped(_local.Address);
        (facts.DestinationPort, facts.Sni) = (port.Port, _sni);
        return facts;
    }

    /// <summary>Whether the peer would still be believed in a handshake now.</summary>
    public LiveConnection.Closure? CheckTrust() =>
        _session is { } session && core.Identity.Current is { } identity
        && identity.Verdicts.Judge(session.Peer, CertificateUsage.Client, expected: null, core.Time.GetUtcNow()) is { Peer: null } no
            ? new(no.Reason == RefusalReason.PeerCertificateExpired ? RefusalReason.PeerExpired : RefusalReason.PeerNoLongerTrusted, no.Detail)
            : null;

    public LiveConnection.Closure? CheckPolicy(RequestFacts facts) =>
        core.Model?.Policy.Decide(facts) is { Permit: null } denied ? new(RefusalReason.PolicyChanged, denied.Verdict.Reason) : null;

    private static IPAddress Unmapped(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
}
