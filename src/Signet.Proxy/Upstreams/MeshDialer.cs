using System.Collections.Concurrent;
using System.Net;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Policy;
using Signet.Proxy.Config;
using Signet.Proxy.Connections;
using Signet.Proxy.Http2;
using Signet.Proxy.L7;
using Signet.Proxy.Loop;
using Signet.Proxy.Tls;
using Signet.Proxy.Transport;
using Signet.Proxy.Tunnel;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// Connects to the proxies of a service: round robin over its endpoints, the next one when one cannot be reached or is not who it should
/// be. By mutual TLS, unless a DestinationRule asks for plaintext in so many words; without an identity it connects to nobody.
/// </summary>
internal sealed class MeshDialer(OutboundConfig service, ProxyCore core) : IUpstreamDialer
{
    private readonly string _serverName = $"outbound_.{service.Port}_._.{service.Host}";
    private static readonly TimeSpan WithoutTunnelFor = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, long> _withoutTunnel = new(StringComparer.Ordinal);
    private int _turn = -1;
    private EraOf _era = new(null, null);

    /// <summary>Identity, bundles and policies: when one changes, so does this.</summary>
    public object Era
    {
        get
        {
            var now = new EraOf(core.Identity.Current, core.Model);
            var last = Volatile.Read(ref _era);
            if (ReferenceEquals(now.Identity, last.Identity) && ReferenceEquals(now.Model, last.Model))
            {
                return last;
            }

            Interlocked.CompareExchange(ref _era, now, last);
            return Volatile.Read(ref _era);
        }
    }

    /// <summary>What policy says about TLS toward a service.</summary>
    public static ClientTls TlsFor(OutboundConfig service, Workload client, ProxyModel model) =>
        model.Set.ClientTls(new ClientTlsQuery(client, service.Host, NamespaceOf(service.Host) ?? client.Namespace, service.Port));

    public int Width => service.Endpoints.Count;

    public bool PrefersHttp2(ProtocolVersion asked) => service.Protocol == AppProtocol.Http2 || asked == ProtocolVersion.Http2;

    /// <summary>Without TLS nobody can ask: what is declared counts.</summary>
    public bool SpeaksHttp2(TlsSession? session) => session is null ? service.Protocol != AppProtocol.Http : !MeshAlpn.SaysHttp1(session.Alpn);

    public async Task<DialOutcome> DialAsync(EventLoop loop, UpstreamUse use, CancellationToken cancellationToken)
    {
        if (!core.Identity.TryUse(out var identity, out var reason, out var detail))
        {
            return new DialOutcome.Failed(reason, detail, null);
        }

        if (core.Model is not { } model)
        {
            return new DialOutcome.Failed(RefusalReason.WaitingForSvid, "no policy is in force yet", null);
        }

        var tls = TlsFor(service, core.Config.Workload, model);
        if (tls.Refusal is { } refusal)
        {
            return new DialOutcome.Failed(RefusalReason.ClientTlsUnsupported, refusal, null);
        }

        if (tls.Mode is ClientTlsMode.Simple or ClientTlsMode.Mutual)
        {
            return new DialOutcome.Failed(
                RefusalReason.ClientTlsUnsupported, $"DestinationRule {tls.From} asks for TLS mode {tls.Mode.Word()}, which this version cannot do; use ISTIO_MUTUAL", null);
        }

        var first = (uint)Interlocked.Increment(ref _turn);
        DialOutcome? outcome = null;
        for (var i = 0u; i < service.Endpoints.Count && outcome is not DialOutcome.Connected; i++)
        {
            var endpoint = service.Endpoints[(int)((first + i) % (uint)service.Endpoints.Count)];
            outcome = await DialAsync(loop, endpoint, tls, identity!, use, cancellationToken).ConfigureAwait(false);
        }

        return outcome!;
    }

    private Task<DialOutcome> DialAsync(EventLoop loop, EndPoint endpoint, ClientTls tls, OwnIdentity identity, UpstreamUse use, CancellationToken cancellationToken) =>
        use == UpstreamUse.Http2 || tls.Mode == ClientTlsMode.Disable || !MayTunnel(EndPointText.Format(endpoint))
            ? ConnectAsync(loop, endpoint, tls, identity, MeshAlpn.Offer(use, mayTunnel: false), cancellationToken)
            : TunnelAsync(loop, endpoint, tls, identity, use, cancellationToken);

    private bool MayTunnel(string endpoint) =>
        core.Config.Tls.Tunnel && !(_withoutTunnel.TryGetValue(endpoint, out var since) && core.Time.GetElapsedTime(since) < WithoutTunnelFor);

    /// <summary>One more connection in a session to the endpoint. When it turns out to know no tunnels, the session becomes this connection's own.</summary>
    private async Task<DialOutcome> TunnelAsync(EventLoop loop, EndPoint endpoint, ClientTls tls, OwnIdentity identity, UpstreamUse use, CancellationToken cancellationToken)
    {
        var name = EndPointText.Format(endpoint);
        var expected = string.Join(' ', (IEnumerable<string>)[ServerName(tls), .. tls.Settings?.SubjectAltNames ?? [], .. service.ServerIdentities.Select(id => id.Uri)]);
        var own = new OwnSession();
        try
        {
            var outcome = await core.TunnelsOn(loop).ConnectAsync(
                new TunnelKey(identity, name, expected), token => OpenTunnelAsync(loop, endpoint, tls, identity, use, own, token), $"{service.Host}:{service.Port}", TunnelRequest.FieldsFor(use), cancellationToken).ConfigureAwait(false);
            await loop.EnterAsync();
            return own.Take() is { } alone ? new DialOutcome.Connected(alone) : outcome switch
            {
                TunnelOutcome.Opened opened => new DialOutcome.Connected(new UpstreamConnection(new BufferedTransport(opened.Stream), loop, name, opened.Session)),
                TunnelOutcome.Refused refused => new DialOutcome.Failed(RefusalReason.UpstreamClosed, $"{name}: {(refused.Status == 403 ? "its policy does not allow it" : "it cannot reach its application")}", name),
                TunnelOutcome.Failed when !MayTunnel(name) => await ConnectAsync(loop, endpoint, tls, identity, MeshAlpn.Offer(use, mayTunnel: false), cancellationToken).ConfigureAwait(false),
                TunnelOutcome.Failed failed => new DialOutcome.Failed(failed.Reason, failed.Detail, name),
                _ => throw new InvalidOperationException("a tunnel answers in one of three ways"),
            };
        }
        finally
        {
            await own.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task<SessionDial> OpenTunnelAsync(
        EventLoop loop, EndPoint endpoint, ClientTls tls, OwnIdentity identity, UpstreamUse use, OwnSession own, CancellationToken cancellationToken)
    {
        var dialled = await ConnectAsync(loop, endpoint, tls, identity, MeshAlpn.Offer(use, mayTunnel: true), cancellationToken).ConfigureAwait(false);
        if (dialled is DialOutcome.Failed failed)
        {
            return new SessionDial.Failed(failed.Reason, failed.Detail);
        }

        var connection = ((DialOutcome.Connected)dialled).Connection;
        if (connection.Session is { Alpn: MeshAlpn.Tunnel } session)
        {
            return new SessionDial.Connected(session.Transport, session, connection.Endpoint, loop.Post);
        }

        _withoutTunnel[connection.Endpoint] = core.Time.GetTimestamp();
        await own.GiveAsync(connection).ConfigureAwait(false);
        return new SessionDial.Failed(RefusalReason.UpstreamClosed, $"{connection.Endpoint}: it knows no tunnels");
    }

    private string ServerName(ClientTls tls) => tls.Settings?.Sni ?? _serverName;

    private async Task<DialOutcome> ConnectAsync(EventLoop loop, EndPoint endpoint, ClientTls tls, OwnIdentity identity, IReadOnlyList<string> alpn, CancellationToken cancellationToken)
    {
        var (socket, failure) = await Connector.ConnectAsync(loop, endpoint, source: null, core.Config.Timeouts.Connect, core.Time, cancellationToken).ConfigureAwait(false);
        if (socket is null)
        {
            return failure!;
        }

        var name = EndPointText.Format(endpoint);
        if (tls.Mode == ClientTlsMode.Disable)
        {
            return new DialOutcome.Connected(new UpstreamConnection(new BufferedTransport(socket), loop, name, session: null));
        }

        var isOurs = false;
        try
        {
            var setup = new TlsClientSetup(
                identity.Certificate, ServerName(tls), alpn, $"{name} {ServerName(tls)} {alpn[0]}",
                presented => identity.Verdicts.Judge(presented, CertificateUsage.Server, Accepts(identity, tls), core.Time.GetUtcNow()));
            var outcome = await Handshake.RunAsync(core, Direction.Outbound, token => TlsEngine.ConnectAsync(socket, setup, token), cancellationToken).ConfigureAwait(false);
            if (outcome is TlsOutcome.Refused refused)
            {
                return new DialOutcome.Failed(refused.Reason, $"{name}: {refused.Detail}", name);
            }

            isOurs = true;
            var session = ((TlsOutcome.Established)outcome).Session;
            return new DialOutcome.Connected(new UpstreamConnection(new BufferedTransport(session.Transport), loop, name, session));
        }
        finally
        {
            if (!isOurs)
            {
                await socket.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>Asks again, later, about a server that was accepted.</summary>
    public Judgement Judge(Peer peer, OwnIdentity current) =>
        current.Verdicts.Judge(peer, CertificateUsage.Server, Accepts(current, core.Model is { } model ? TlsFor(service, core.Config.Workload, model) : null), core.Time.GetUtcNow());

    private Func<SpiffeId, bool> Accepts(OwnIdentity identity, ClientTls? tls) => id => Accepts(id, identity.Id.TrustDomain, tls?.Settings?.SubjectAltNames ?? []);

    /// <summary>The DestinationRule's names count before the configuration's, and both before "any workload of the own trust domain".</summary>
    private bool Accepts(SpiffeId id, TrustDomain own, IReadOnlyList<string> expected) =>
        expected.Count > 0 ? expected.Contains(id.Uri)
        : service.ServerIdentities.Count > 0 ? service.ServerIdentities.Contains(id)
        : id.IsMemberOf(own);

    /// <summary>The namespace in <c>service.namespace.svc.…</c>; null for other names.</summary>
    private static string? NamespaceOf(string host) => host.Split('.') is [_, var ns, "svc", ..] ? ns : null;

    /// <summary>A session that was meant for a tunnel and is not one: whoever asked for it takes it, or nobody does.</summary>
    private sealed class OwnSession : IAsyncDisposable
    {
        private readonly Lock _gate = new();
        private UpstreamConnection? _connection;
        private bool _isOver;

        public ValueTask GiveAsync(UpstreamConnection connection)
        {
            lock (_gate)
            {
                if (!_isOver)
                {
                    _connection = connection;
                    return default;
                }
            }

            return connection.DisposeAsync();
        }

        public UpstreamConnection? Take()
        {
            lock (_gate)
            {
                var taken = _connection;
                (_connection, _isOver) = (null, true);
                return taken;
            }
        }

        public ValueTask DisposeAsync() => Take()?.DisposeAsync() ?? default;
    }

    private sealed record EraOf(OwnIdentity? Identity, ProxyModel? Model);
}
