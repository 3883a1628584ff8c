using System.Net.Security;
using Grpc.Core;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;
using Signet.Agent.Identities;
using Signet.Client.Tls;
using Signet.Hosting.Grpc;
using Signet.Hosting.PeerCredentials;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Agent.Broker;

/// <summary>
/// Who comes through to the broker API: over TLS, both sides by X509-SVID, the agent's own being its server's; with the header; and with one of the IDs that
/// agent.yaml names (Broker Endpoint §3, §5). An authority or a certificate that is revoked or has expired since ends what goes on.
/// </summary>
internal sealed class BrokerGate(BrokerConfig config, AgentIdentity identity, TimeProvider time, ILogger log)
{
    /// <summary>Metadata without which every request is refused.</summary>
    public const string Header = "broker.spiffe.io";

    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(10);
    private static readonly object ChainKey = new();

    /// <summary>Puts TLS on the socket. A client without a certificate that holds is not let in.</summary>
    public void Secure(ListenOptions listen) => listen.UseHttps(new TlsHandshakeCallbackOptions
    {
        HandshakeTimeout = HandshakeTimeout,
        OnConnection = context =>
        {
            if (identity.Credential is not { } own)
            {
                throw new System.Security.Authentication.AuthenticationException("this agent has not joined yet");
            }

            var options = SvidTls.Server(own, clientCertificate: true, (presented, problem) =>
            {
                context.Connection.Items[ChainKey] = presented;
                return problem.Length == 0 && Judge(presented).IsTrusted;
            });
            options.ApplicationProtocols = [SslApplicationProtocol.Http2];
            return ValueTask.FromResult(options);
        },
    });

    /// <summary>Before each call: the header, then the caller.</summary>
    /// <exception cref="RpcException">INVALID_ARGUMENT, UNAUTHENTICATED or PERMISSION_DENIED (Broker Endpoint §6).</exception>
    public ValueTask CheckAsync(ServerCallContext context)
    {
        if (context.RequestHeaders.Where(entry => entry.Key == Header).Select(entry => entry.Value).ToList() is not ["true"])
        {
            throw Refused(StatusCode.InvalidArgument, $"metadata \"{Header}: true\" is missing");
        }

        try
        {
            Admit(context);
        }
        catch (RpcException e)
        {
            var peer = context.PeerCredential();
            log.DelegateRefused(peer.Pid, peer.Uid, $"the broker API ({context.Method})", e.Status.Detail);
            throw;
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>The broker that calls, judged anew.</summary>
    /// <exception cref="RpcException">UNAUTHENTICATED: its certificate does not hold any more. PERMISSION_DENIED: it is no broker.</exception>
    public SpiffeId Admit(ServerCallContext context)
    {
        var chain = context.GetHttpContext().Features.Get<IConnectionItemsFeature>()?.Items.TryGetValue(ChainKey, out var presented) is true
            ? (IReadOnlyList<Certificate>)presented!
            : [];
        var verdict = Judge(chain);
        return !verdict.IsTrusted ? throw Refused(StatusCode.Unauthenticated, verdict.Reason)
            : config.Authorized.Contains(verdict.Id!) ? verdict.Id!
            : throw Refused(StatusCode.PermissionDenied, "the caller is not an authorized broker");
    }

    private PeerVerdict Judge(IReadOnlyList<Certificate> chain) => SvidVerifier.Verify(chain, identity.Bundles, CertificateUsage.Client, time.GetUtcNow());

    private static RpcException Refused(StatusCode code, string reason) => new(new Status(code, reason));
}
