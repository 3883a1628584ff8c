using System.Net;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Proxy.Config;
using Signet.Proxy.Connections;
using Signet.Proxy.Tls;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// Connects to the proxies of a service by mutual TLS: round robin over its endpoints, the next one when one cannot be reached or is not
/// who it should be. Without an identity it connects to nobody.
/// </summary>
internal sealed class MeshDialer(OutboundConfig service, ProxyCore core) : IUpstreamDialer
{
    private readonly string _serverName = $"outbound_.{service.Port}_._.{service.Host}";
    private int _turn = -1;

    public async Task<DialOutcome> DialAsync(bool forHttp, CancellationToken cancellationToken)
    {
        var first = (uint)Interlocked.Increment(ref _turn);
        DialOutcome.Failed? failure = null;
        for (var i = 0u; i < service.Endpoints.Count; i++)
        {
            var endpoint = service.Endpoints[(int)((first + i) % (uint)service.Endpoints.Count)];
            if (!core.Identity.TryUse(out var identity, out var reason, out var detail))
            {
                return new DialOutcome.Failed(reason, detail, null);
            }

            var outcome = await DialAsync(endpoint, identity!, forHttp, cancellationToken).ConfigureAwait(false);
            if (outcome is DialOutcome.Connected)
            {
                return outcome;
            }

            failure = (DialOutcome.Failed)outcome;
        }

        return failure!;
    }

    private async Task<DialOutcome> DialAsync(EndPoint endpoint, OwnIdentity identity, bool forHttp, CancellationToken cancellationToken)
    {
        var (transport, failure) = await Connector.ConnectAsync(endpoint, core.Config.Timeouts.Connect, core.Time, cancellationToken).ConfigureAwait(false);
        if (transport is null)
        {
            return failure!;
        }

        var name = EndPointText.Format(endpoint);
        var established = false;
        try
        {
            var setup = new TlsClientSetup(identity.Credential, _serverName, forHttp ? MeshAlpn.OfferHttp : MeshAlpn.OfferTcp, presented => Judge(presented, identity));
            var outcome = await Handshake.RunAsync(core, Direction.Outbound, token => core.Tls.ConnectAsync(transport, setup, token), cancellationToken).ConfigureAwait(false);
            if (outcome is TlsOutcome.Established { Session: var session })
            {
                established = true;
                return new DialOutcome.Connected(new UpstreamConnection(new BufferedTransport(session.Transport), name, session, identity));
            }

            var refused = (TlsOutcome.Refused)outcome;
            return new DialOutcome.Failed(refused.Reason, $"{name}: {refused.Detail}", name);
        }
        finally
        {
            if (!established)
            {
                await transport.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    private Judgement Judge(IReadOnlyList<Certificate> presented, OwnIdentity identity) =>
        PeerJudge.Judge(presented, identity.Context.Bundles, CertificateUsage.Server, id => Accepts(id, identity.Id.TrustDomain), core.Time.GetUtcNow());

    /// <summary>Asks again, later, about a server that was accepted.</summary>
    public Judgement Judge(Peer peer, OwnIdentity current) => Judge(peer.Presented, current);

    private bool Accepts(SpiffeId id, TrustDomain own) => service.ServerIdentities.Count > 0 ? service.ServerIdentities.Contains(id) : id.IsMemberOf(own);
}
