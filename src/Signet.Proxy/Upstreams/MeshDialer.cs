using System.Net;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Policy;
using Signet.Proxy.Config;
using Signet.Proxy.Connections;
using Signet.Proxy.Loop;
using Signet.Proxy.Tls;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// Connects to the proxies of a service: round robin over its endpoints, the next one when one cannot be reached or is not who it should
/// be. By mutual TLS, unless a DestinationRule asks for plaintext in so many words; without an identity it connects to nobody.
/// </summary>
internal sealed class MeshDialer(OutboundConfig service, ProxyCore core) : IUpstreamDialer
{
    private readonly string _serverName = $"outbound_.{service.Port}_._.{service.Host}";
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

    public async Task<DialOutcome> DialAsync(EventLoop loop, bool forHttp, CancellationToken cancellationToken)
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
            outcome = await DialAsync(loop, endpoint, tls, identity!, forHttp, cancellationToken).ConfigureAwait(false);
        }

        return outcome!;
    }

    private async Task<DialOutcome> DialAsync(EventLoop loop, EndPoint endpoint, ClientTls tls, OwnIdentity identity, bool forHttp, CancellationToken cancellationToken)
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
            var sni = tls.Settings?.Sni ?? _serverName;
            var setup = new TlsClientSetup(
                identity.Certificate, sni, forHttp ? MeshAlpn.OfferHttp : MeshAlpn.OfferTcp, $"{name} {sni} {(forHttp ? "http" : "tcp")}",
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

    private sealed record EraOf(OwnIdentity? Identity, ProxyModel? Model);
}
