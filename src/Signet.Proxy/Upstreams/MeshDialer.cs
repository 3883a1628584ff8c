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
using Signet.Proxy.Tls.Web;
using Signet.Proxy.Transport;
using Signet.Proxy.Tunnel;
using Signet.Proxy.Upstreams.Limits;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// Connects to a service: to an endpoint that is well, the next one when it cannot be reached or is not who it should be. By the mesh's mutual TLS, unless a
/// DestinationRule asks for another TLS, or for plaintext in so many words; without an identity it connects to nobody.
/// </summary>
internal sealed class MeshDialer(OutboundConfig service, ProxyCore core) : IUpstreamDialer
{
    private readonly string _serverName = $"outbound_.{service.Port}_._.{service.Host}";
    private static readonly TimeSpan WithoutTunnelFor = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, long> _withoutTunnel = new(StringComparer.Ordinal);
    private EraOf _era = new(null, null, null);
    private RulesOf? _rules;

    /// <summary>Identity, bundles, policies, and files that policies name: when one changes, so does this.</summary>
    public object Era
    {
        get
        {
            var files = core.Model is { } model ? RulesIn(model).Files : null;
            var now = new EraOf(core.Identity.TryUse(out var identity, out _, out _) ? identity : null, core.Model, files is null ? null : core.WebCredentials.Current(files));
            var last = Volatile.Read(ref _era);
            if (now.IsSameAs(last))
            {
                return last;
            }

            Interlocked.CompareExchange(ref _era, now, last);
            return Volatile.Read(ref _era);
        }
    }

    /// <summary>What policy says about TLS toward a service.</summary>
    public static ClientTls TlsFor(OutboundConfig service, Workload client, ProxyModel model) =>
        model.Set.ClientTls(QueryOf(service, client));

    private static ClientTlsQuery QueryOf(OutboundConfig service, Workload client) => new(client, service.Host, NamespaceOf(service.Host) ?? client.Namespace, service.Port);

    public Upstream Upstream { get; } = core.Upstreams.Of(service);

    public bool PrefersHttp2(ProtocolVersion asked) => service.Protocol == AppProtocol.Http2 || asked == ProtocolVersion.Http2;

    /// <summary>Without TLS nobody can ask: what is declared counts.</summary>
    public bool SpeaksHttp2(TlsSession? session) => session is null ? service.Protocol != AppProtocol.Http : Toward.SpeaksHttp2(session);

    public async Task<DialOutcome> DialAsync(EventLoop loop, UpstreamUse use, CancellationToken cancellationToken)
    {
        using var tries = new RequestTries(Upstream, core);
        Refresh();
        DialOutcome.Failed? last = null;
        while (Upstream.TryChoose(isRequest: false, tries.Tried, out var chosen, out var nobody) || nobody is not null)
        {
            if (chosen is null)
            {
                return nobody!;
            }

            var isTaken = false;
            try
            {
                if (!Upstream.TryOpenConnection())
                {
                    return Upstream.TooManyConnections();
                }

                var outcome = await DialAsync(loop, chosen.Endpoint, use, cancellationToken).ConfigureAwait(false);
                if (outcome is DialOutcome.Connected connected)
                {
                    isTaken = true;
                    connected.Connection.BeginUse(chosen);
                    Upstream.ReportGood(chosen.Endpoint);
                    return outcome;
                }

                last = (DialOutcome.Failed)outcome;
            }
            finally
            {
                if (!isTaken)
                {
                    chosen.Dispose();
                }
            }

            if (!last.BlamesEndpoint || !tries.TryAgain(chosen.Endpoint, AttemptEnd.NotConnected, method: null, isReplayable: true, wasKept: false))
            {
                break;
            }
        }

        return last!;
    }

    public async Task<DialOutcome> DialAsync(EventLoop loop, UpstreamEndpoint endpoint, UpstreamUse use, CancellationToken cancellationToken)
    {
        UpstreamConnection? connection = null;
        try
        {
            var outcome = await ReachAsync(loop, endpoint.Address, use, mayTunnel: true, cancellationToken).ConfigureAwait(false);
            if (outcome is DialOutcome.Connected connected)
            {
                connection = connected.Connection;
                connection.Settle(endpoint);
            }
            else if (outcome is DialOutcome.Failed { BlamesEndpoint: true } failed)
            {
                Upstream.ReportFailure(endpoint, failed.Detail);
            }

            return outcome;
        }
        finally
        {
            if (connection is null)
            {
                Upstream.CloseConnection();
            }
        }
    }

    /// <summary>A connection of its own to one endpoint, as requests would have it; it counts for nothing.</summary>
    public Task<DialOutcome> ProbeAsync(EventLoop loop, UpstreamEndpoint endpoint, UpstreamUse use, CancellationToken cancellationToken) =>
        ReachAsync(loop, endpoint.Address, use, mayTunnel: false, cancellationToken);

    private async Task<DialOutcome> ReachAsync(EventLoop loop, EndPoint endpoint, UpstreamUse use, bool mayTunnel, CancellationToken cancellationToken)
    {
        if (!core.Identity.TryUse(out var identity, out var reason, out var detail))
        {
            return new DialOutcome.Failed(reason, detail, null);
        }

        if (core.Model is not { } model)
        {
            return new DialOutcome.Failed(RefusalReason.WaitingForPolicy, core.WhyNoModel, null);
        }

        var (toward, failure) = await TowardAsync(loop, RulesIn(model), identity!).ConfigureAwait(false);
        return toward is null ? failure!
            : use == UpstreamUse.Http2 || !mayTunnel || toward is not Toward.Workload workload || !MayTunnel(EndPointText.Format(endpoint)) ? await ConnectAsync(loop, endpoint, toward, toward.Alpn(use, mayTunnel: false), cancellationToken).ConfigureAwait(false)
            : await TunnelAsync(loop, endpoint, workload, use, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Lets the service know what the policies in force say.</summary>
    private void Refresh()
    {
        if (core.Model is { } model)
        {
            RulesIn(model);
        }
    }

    /// <summary>How a handshake with the service goes at this moment, or why there must be none.</summary>
    private async ValueTask<(Toward? Toward, DialOutcome.Failed? Failure)> TowardAsync(EventLoop loop, RulesOf rules, OwnIdentity identity)
    {
        var tls = rules.Tls;
        if (tls.Refusal is { } refusal)
        {
            return (null, new(RefusalReason.ClientTlsUnsupported, refusal, null));
        }

        if (tls.Mode == ClientTlsMode.Disable)
        {
            return (new Toward.Anybody(), null);
        }

        if (rules.Files is not { } files)
        {
            return (new Toward.Workload(identity, tls.Settings?.Sni ?? _serverName, Accepted(tls)), null);
        }

        if (tls.Settings!.CredentialName is { } name)
        {
            return (null, new(RefusalReason.ClientTlsUnsupported, $"DestinationRule {tls.From} names the credential \"{Printable.Of(name)}\", and this proxy has no store of credentials; name files", null));
        }

        var (credential, problem) = (core.WebCredentials.Current(files), "");
        if (credential is null)
        {
            (credential, problem) = await Task.Run(() => (core.WebCredentials.Load(files, out var why), why)).ConfigureAwait(false);
            await loop.EnterAsync();
        }

        return credential switch
        {
            null => (null, new(RefusalReason.CredentialUnusable, $"DestinationRule {tls.From}: {problem}", null)),
            { Leaf: { } leaf } when leaf.HasEnded(core.Time.GetUtcNow()) =>
                (null, new(RefusalReason.CredentialUnusable, $"DestinationRule {tls.From}: the certificate in {files.Certificate} expired at {leaf.NotAfter:O}", null)),
            _ => (new Toward.Server(credential, rules.WebName, rules.WebNames), null),
        };
    }

    private bool MayTunnel(string endpoint) =>
        core.Config.Tls.Tunnel && !(_withoutTunnel.TryGetValue(endpoint, out var since) && core.Time.GetElapsedTime(since) < WithoutTunnelFor);

    /// <summary>One more connection in a session to the endpoint. When it turns out to know no tunnels, the session becomes this connection's own.</summary>
    private async Task<DialOutcome> TunnelAsync(EventLoop loop, EndPoint endpoint, Toward.Workload toward, UpstreamUse use, CancellationToken cancellationToken)
    {
        var name = EndPointText.Format(endpoint);
        var own = new OwnSession();
        try
        {
            var outcome = await core.TunnelsOn(loop).ConnectAsync(
                new TunnelKey(toward.Identity, name, toward.Expectation), token => OpenTunnelAsync(loop, endpoint, toward, use, own, token), $"{service.Host}:{service.Port}", TunnelRequest.FieldsFor(use), cancellationToken).ConfigureAwait(false);
            await loop.EnterAsync();
            return own.Take() is { } alone ? new DialOutcome.Connected(alone) : outcome switch
            {
                TunnelOutcome.Opened opened => new DialOutcome.Connected(new UpstreamConnection(new BufferedTransport(opened.Stream), loop, name, opened.Session)),
                TunnelOutcome.Refused { Status: 403 } => new DialOutcome.Failed(RefusalReason.UpstreamClosed, $"{name}: its policy does not allow it", name) { BlamesEndpoint = false },
                TunnelOutcome.Refused => new DialOutcome.Failed(RefusalReason.UpstreamClosed, $"{name}: it cannot reach its application", name),
                TunnelOutcome.Failed when !MayTunnel(name) => await ConnectAsync(loop, endpoint, toward, toward.Alpn(use, mayTunnel: false), cancellationToken).ConfigureAwait(false),
                TunnelOutcome.Failed failed => new DialOutcome.Failed(failed.Reason, failed.Detail, name),
                _ => throw new InvalidOperationException("a tunnel answers in one of three ways"),
            };
        }
        finally
        {
            await own.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task<SessionDial> OpenTunnelAsync(EventLoop loop, EndPoint endpoint, Toward.Workload toward, UpstreamUse use, OwnSession own, CancellationToken cancellationToken)
    {
        var dialled = await ConnectAsync(loop, endpoint, toward, toward.Alpn(use, mayTunnel: true), cancellationToken).ConfigureAwait(false);
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

    private async Task<DialOutcome> ConnectAsync(EventLoop loop, EndPoint endpoint, Toward toward, IReadOnlyList<string> alpn, CancellationToken cancellationToken)
    {
        var (socket, failure) = await Connector.ConnectAsync(loop, endpoint, source: null, Upstream.Traffic.Pool.ConnectTimeout ?? core.Config.Timeouts.Connect, core.Time, cancellationToken).ConfigureAwait(false);
        if (socket is null)
        {
            return failure!;
        }

        var name = EndPointText.Format(endpoint);
        if (toward is Toward.Anybody)
        {
            return new DialOutcome.Connected(new UpstreamConnection(new BufferedTransport(socket), loop, name, session: null));
        }

        var isOurs = false;
        try
        {
            var destination = service.Resumption ? $"{name} {string.Join(',', alpn)} {toward.Expectation}" : null;
            var setup = new TlsClientSetup(toward.Credential!, toward.ServerName, alpn, destination, presented => toward.Judge(presented, core.Time.GetUtcNow()));
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

    /// <summary>Asks again, later, about a server that was accepted: would it be in a handshake now?</summary>
    public Judgement Judge(Peer peer, OwnIdentity current)
    {
        var rules = core.Model is { } model ? RulesIn(model) : null;
        if (rules?.Files is not { } files)
        {
            return current.Verdicts.Judge(peer, CertificateUsage.Server, Accepted(rules?.Tls).Holds(current), core.Time.GetUtcNow());
        }

        return core.WebCredentials.Load(files, out var problem) is { } credential
            ? credential.Verdicts.Judge(peer, rules.WebNames, core.Time.GetUtcNow())
            : new(null, RefusalReason.CredentialUnusable, problem);
    }

    /// <summary>The DestinationRule's names count before the configuration's, and both before "any workload of the own trust domain".</summary>
    private AcceptedWorkloads Accepted(ClientTls? tls) => new(tls?.Settings?.SubjectAltNames is { Count: > 0 } names ? names.ToHashSet(StringComparer.Ordinal) : [.. service.ServerIdentities.Select(id => id.Uri)]);

    private RulesOf RulesIn(ProxyModel model)
    {
        if (Volatile.Read(ref _rules) is { } known && ReferenceEquals(known.Model, model))
        {
            return known;
        }

        var rules = new RulesOf(model, TlsFor(service, core.Config.Workload, model), service.Host);
        Upstream.Traffic = model.Set.ClientTraffic(QueryOf(service, core.Config.Workload));
        Volatile.Write(ref _rules, rules);
        return rules;
    }

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

    private sealed record EraOf(OwnIdentity? Identity, ProxyModel? Model, WebCredential? Credential)
    {
        public bool IsSameAs(EraOf other) => ReferenceEquals(Identity, other.Identity) && ReferenceEquals(Model, other.Model) && ReferenceEquals(Credential, other.Credential);
    }

    /// <summary>What the policies of a moment say about the service.</summary>
    private sealed class RulesOf(ProxyModel model, ClientTls tls, string host)
    {
        public ProxyModel Model => model;

        public ClientTls Tls => tls;

        /// <summary>For a server outside the mesh: the files that its rule names.</summary>
        public WebFiles? Files { get; } = tls is { Refusal: null, Mode: ClientTlsMode.Simple or ClientTlsMode.Mutual, Settings: { } settings } ? WebFiles.Of(settings) : null;

        /// <summary>The name that such a server is asked for, and the names of which it must have one.</summary>
        public string WebName => tls.Settings?.Sni ?? host;

        public IReadOnlyList<string> WebNames => tls.Settings is { SubjectAltNames: { Count: > 0 } names } ? names : [WebName];
    }
}
