using Grpc.Core;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Grpc;

namespace Signet.Hosting.PeerCredentials;

/// <summary>Puts the peer's credentials on each connection of a Unix socket.</summary>
public static class PeerCredentialConnections
{
    /// <summary>
    /// Learns who connects as soon as it does. A connection whose peer can't be known is closed before a byte of it is read.
    /// </summary>
    public static ListenOptions UsePeerCredentials(this ListenOptions listen)
    {
        var logger = listen.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger("Signet.PeerCredentials");
        listen.Use(next => async connection =>
        {
            if (!TryCapture(connection, out var peer, out var problem))
            {
                logger.PeerRefused(problem);
                connection.Abort(new ConnectionAbortedException(problem));
                return;
            }

            using (peer)
            {
                connection.Features.Set(peer);
                await next(connection);
            }
        });
        return listen;
    }

    /// <summary>The process that opened the call's connection.</summary>
    /// <exception cref="RpcException">PermissionDenied: the endpoint does not learn who connects to it.</exception>
    public static PeerCredential PeerCredential(this ServerCallContext context) => context.GetHttpContext().PeerCredential()
        ?? throw new RpcException(new Status(StatusCode.PermissionDenied, "this call is for local processes only; connect to the Unix socket"));

    /// <summary>The process that opened the request's connection, or null on an endpoint without <see cref="UsePeerCredentials"/>.</summary>
    public static PeerCredential? PeerCredential(this HttpContext http) => http.Features.Get<PeerCredential>();

    private static bool TryCapture(ConnectionContext connection, out PeerCredential? peer, out string problem)
    {
        peer = null;
        problem = "the transport does not show its socket";
        try
        {
            return connection.Features.Get<IConnectionSocketFeature>() is { Socket: var socket }
                && PeerCredentials.PeerCredential.TryCapture(socket, out peer, out problem);
        }
        catch (Exception e) when (e is System.Net.Sockets.SocketException or ObjectDisposedException)
        {
            problem = $"the connection broke while it was accepted: {e.Message}";
            return false;
        }
    }
}
