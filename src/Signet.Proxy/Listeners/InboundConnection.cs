using System.Net;
using Signet.Identity.X509;
using Signet.Policy;
using Signet.Policy.Jwt;
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
    InboundConfig port, UpstreamPool? shared, Authorisers authorisers, ProxyCore core, LoopSocket socket, LiveConnection live, IPEndPoint? destination = null) : IHttpRole
{
    private static readonly Reply InvalidToken = new(401, [new("www-authenticate", "Bearer error=\"invalid_token\"")]);

    private readonly RequestFacts _facts = new();
    private TlsSession? _session;
    private string? _forwardedPeer;
    private readonly IPEndPoint? _local = destination ?? socket.LocalEndPoint();
    private AppDialer _app = new(port.App, default, core);
    private ProxyHeader? _header;
    private string? _sni;
    private string? _why;
    private bool _isHttp;

    /// <summary>Chosen once it is known who the client is.</summary>
    public UpstreamPool Pool { get; private set; } = null!;

    public async Task RunAsync()
    {
        var started = core.Time.GetTimestamp();
        var record = NewRecord();
        await using var raw = new BufferedTransport(socket);
        try
        {
            await ServeAsync(raw, record).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            record.Detail ??= e.Message;
        }
        catch (OperationCanceledException) when (live.Closed is { } closed)
        {
            record.Refuse(closed.Reason, closed.Detail);
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
        // 1. Without an identity nothing is let in, whatever the port's mode.
        if (!core.Identity.TryUse(out var identity, out var reason, out var detail) || core.Model is not { } model)
        {
            record.Refuse(reason, detail.Length > 0 ? detail : "no policy is in force yet");
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
                _forwardedPeer = ForwardedClientCert.Of(identity!.Id, _session.Peer);
                live.Peer = _session.Peer;
                stream = new BufferedTransport(_session.Transport);
                break;
        }

        SetConnectionFacts(_facts);
        Describe(record);
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
            await new HttpServer(core, live, stream, this).RunAsync().ConfigureAwait(false);
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
            _app = new AppDialer(port.App, ProxyHeaderWriter.Write(header), core);
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
        var mayServerBeFirst = mode != MtlsMode.Strict && port.Protocol != AppProtocol.Http;
        return Detector.DetectTlsAsync(raw, mayServerBeFirst ? timeouts.ServerFirst : timeouts.Detection, timeouts.Detection, core.Time, live.Token);
    }

    private Task<TlsOutcome> HandshakeAsync(BufferedTransport raw, OwnIdentity identity, IReadOnlyList<string> offered)
    {
        var forHttp = port.Protocol == AppProtocol.Http || (port.Protocol == AppProtocol.Auto && MeshAlpn.SaysHttp(offered) != false);
        var setup = new TlsServerSetup(
            port.Resumption ? identity.Certificate.Server : identity.Certificate.ServerWithoutSessions, MeshAlpn.Select(offered, forHttp, core.Config.Tls.Tunnel),
            presented => identity.Verdicts.Judge(presented, CertificateUsage.Client, expected: null, core.Time.GetUtcNow()), core.Time);
        return Handshake.RunAsync(core, Direction.Inbound, token => TlsEngine.AcceptAsync(socket, raw.Available, setup, token), live.Token);
    }

    private async Task<bool> IsHttpAsync(BufferedTransport stream, IReadOnlyList<string>? offered) => port.Protocol switch
    {
        AppProtocol.Http => true,
        AppProtocol.Tcp => false,
        _ => (offered is not null && MeshAlpn.SaysHttp(offered) == true)
            || await Detector.DetectHttpAsync(stream, core.Config.Timeouts.ServerFirst, core.Config.Timeouts.Detection, core.Time, live.Token).ConfigureAwait(false),
    };

    private async Task RelayAsync(BufferedTransport stream, AccessRecord record)
    {
        record.Detail = _why;
        var relay = new InboundRelay(_app, authorisers, core, live, _facts, record);
        if (await relay.OpenAsync(() => Subject(record, http: null)).ConfigureAwait(false))
        {
            await relay.RunAsync(stream, () => CheckTrust() ?? CheckPolicy(_facts)).ConfigureAwait(false);
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
            _app, authorisers, core, live, NewStreamRecord, () => SetConnectionFacts(new RequestFacts()), of => Subject(of, http: null), facts => CheckTrust() ?? CheckPolicy(facts));
        record.Detail = await tunnel.RunAsync(_session!.Transport).ConfigureAwait(false);

        AccessRecord NewStreamRecord()
        {
            var one = NewRecord();
            one.Protocol = "tcp";
            return one;
        }
    }

    /// <summary>
    /// Judges by the fields that would be forwarded. External authorisers come first, as in Istio: what they do to a request may bring the token
    /// that is looked at next. Then every other policy decides.
    /// </summary>
    public async ValueTask<Ruling> JudgeAsync(RequestHead head, List<KeyValuePair<string, string>> fields, AccessRecord record)
    {
        if (core.RateLimits.Judge(port.RateLimit, record) is { } tooMany)
        {
            return tooMany;
        }

        var model = core.Model!;
        var rules = model.Policy.JwtRules;
        _facts.ResetRequest();
        (_facts.Protocol, _facts.Method, _facts.Host, _facts.Path, _facts.Headers) = (Signet.Policy.Protocol.Http, head.Method, head.Host, head.Path, fields);
        record.Path = TokenFields.WithoutSecrets(rules, head.Path);

        // 1. External authorisers.
        TokenFields.RemoveForged(rules, fields);
        Hearing? hearing = null;
        if (model.MayAsk)
        {
            hearing = new Hearing(authorisers, model.Policy, _facts, fields);
            await hearing.DecideAsync(Subject, live.Token).ConfigureAwait(false);
            TokenFields.RemoveForged(rules, fields);
            if (hearing.PassedOver is { } open)
            {
                record.Detail = open;
            }
        }

        // 2. Tokens; one that is not believed ends the request, unless an authoriser has already done so.
        if (rules.Count > 0 && hearing is not { Reply: not null })
        {
            var token = await core.TokenKeys.VerifyAsync(rules, fields, head.Path, live.Token).ConfigureAwait(false);
            switch (token.Outcome)
            {
                case TokenOutcome.Invalid:
                    record.Refuse(RefusalReason.TokenInvalid, token.Reason);
                    return new Ruling(null, InvalidToken);
                case TokenOutcome.Valid:
                    _facts.Jwt = token.Jwt;
                    _facts.Path = TokenFields.Apply(token, fields, head.Path);
                    break;
            }
        }

        // 3. Decide.
        var decision = hearing is null ? model.Policy.Decide(_facts) : await hearing.DecideAsync(Subject, live.Token).ConfigureAwait(false);
        record.Verdict = decision.Verdict;
        if (decision.Permit is not { } permit)
        {
            (record.Refusal, record.Detail) = (RefusalReason.PolicyDenied, null);
            return decision.Verdict.Stage == Stage.Custom ? new Ruling(null, hearing?.Reply) : Ruling.Refused;
        }

        live.Policy = permit.Policy;
        if (_forwardedPeer is not null)
        {
            fields.Add(new(ForwardedHeaders.ClientCertificate, _forwardedPeer));
        }

        return new Ruling(new Forwarding(Clearance.Inbound(permit), JudgedPath(), fields, hearing?.ToDownstream ?? []), null);

        CheckSubject Subject()
        {
            List<KeyValuePair<string, string>> seen = _forwardedPeer is not null ? [.. fields, new(ForwardedHeaders.ClientCertificate, _forwardedPeer)] : [.. fields];
            var size = head.Body.Kind == BodyKind.Chunked ? -1 : head.Body.Length;
            return this.Subject(record, new CheckedRequest(record.RequestId, head.Method, head.Host, JudgedPath(), size, seen));
        }
    }

    /// <summary>The path as policy has just judged it, with its query.</summary>
    private string JudgedPath()
    {
        var query = _facts.Path!.IndexOf('?', StringComparison.Ordinal);
        return query < 0 ? _facts.NormalizedPath.ToString() : string.Concat(_facts.NormalizedPath, _facts.Path.AsSpan(query));
    }

    private CheckSubject Subject(AccessRecord record, CheckedRequest? http) =>
        new(record.Began, live.Source, _local, _session?.Peer.Id, core.Identity.Current?.Id, _sni, http);

    public void KeepAsking(Peer? upstream, bool isTunnel) =>
        live.KeepAsking(isTunnel ? () => CheckTrust() ?? CheckPolicy(_facts) : _session is null ? null : CheckTrust);

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

    private RequestFacts SetConnectionFacts(RequestFacts facts)
    {
        (facts.Peer, facts.MutualTls) = (_session?.Peer.Id, _session is not null);
        facts.SourceIp = Unmapped(live.Source.Address);
        facts.RemoteIp = _header?.Addresses is { Source.Address: var client } ? Unmapped(client) : facts.SourceIp;
        facts.DestinationIp = _local is null ? null : Unmapped(_local.Address);
        (facts.DestinationPort, facts.Sni) = (port.Port, _sni);
        return facts;
    }

    /// <summary>Whether the peer would still be believed in a handshake now.</summary>
    private LiveConnection.Closure? CheckTrust() =>
        _session is { } session && core.Identity.Current is { } identity
        && identity.Verdicts.Judge(session.Peer, CertificateUsage.Client, expected: null, core.Time.GetUtcNow()) is { Peer: null } no
            ? new(no.Reason == RefusalReason.PeerCertificateExpired ? RefusalReason.PeerExpired : RefusalReason.PeerNoLongerTrusted, no.Detail)
            : null;

    private LiveConnection.Closure? CheckPolicy(RequestFacts facts) =>
        core.Model?.Policy.Decide(facts) is { Permit: null } denied ? new(RefusalReason.PolicyChanged, denied.Verdict.Reason) : null;

    private static IPAddress Unmapped(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
}
