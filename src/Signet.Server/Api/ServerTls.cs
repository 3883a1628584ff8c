using System.Net.Security;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Client.Tls;
using Signet.Identity.X509;
using Signet.Server.Upkeep;

namespace Signet.Server.Api;

/// <summary>
/// TLS toward agents: each handshake gets the newest server SVID; a client may come without a certificate (to join) but not with one that
/// does not hold.
/// </summary>
internal sealed class ServerTls(ServerIdentity identity, AuthorityRotation authorities, TimeProvider time, ILogger<ServerTls> log)
{
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Where a connection keeps the verdict on its peer.</summary>
    public static readonly object PeerKey = new();

    public TlsHandshakeCallbackOptions Options() => new()
    {
        HandshakeTimeout = HandshakeTimeout,
        OnConnection = context =>
        {
            var options = SvidTls.Server(identity.Current, clientCertificate: true, (presented, problem) => Judge(context.Connection, presented, problem));
            options.ApplicationProtocols = [SslApplicationProtocol.Http2];
            return ValueTask.FromResult(options);
        },
    };

    private bool Judge(BaseConnectionContext connection, IReadOnlyList<Certificate> presented, string problem)
    {
        if (presented.Count == 0 && problem.Length == 0)
        {
            return true;
        }

        var verdict = SvidVerifier.Verify(presented, authorities.Current.Trust, CertificateUsage.Client, time.GetUtcNow());
        if (problem.Length > 0 || !verdict.IsTrusted)
        {
            log.HandshakeRefused(connection.RemoteEndPoint?.ToString() ?? "unknown", problem.Length > 0 ? problem : verdict.Reason);
            return false;
        }

        connection.Items[PeerKey] = verdict;
        return true;
    }
}
