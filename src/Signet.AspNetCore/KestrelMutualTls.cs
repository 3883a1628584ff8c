using System.Net.Security;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Signet.Client;
using Signet.Client.Tls;

namespace Signet.AspNetCore;

/// <summary>Kestrel endpoints that speak mutual TLS with SVIDs.</summary>
public static class KestrelMutualTls
{
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Takes only connections of peers that prove who they are and that the authorizer allows. Each handshake presents the newest SVID; connections made before a
    /// rotation go on until their peer's certificate expires. Without an identity connections are closed: nothing is ever served in clear. Who the peer is: <see cref="SpiffeAuthentication.AddSpiffe"/>.
    /// </summary>
    /// <param name="listen">The endpoint.</param>
    /// <param name="source">Where the identity comes from. The caller disposes it, after the server has stopped.</param>
    /// <param name="authorizer">Who may connect.</param>
    /// <param name="time">The clock.</param>
    public static ListenOptions UseMutualTls(this ListenOptions listen, IX509Source source, Authorizer authorizer, TimeProvider time) =>
        listen.UseMutualTls(new MutualTls(source, authorizer, time));

    /// <inheritdoc cref="UseMutualTls(ListenOptions, IX509Source, Authorizer, TimeProvider)"/>
    /// <param name="listen">The endpoint.</param>
    /// <param name="tls">Whose identity, and who may connect.</param>
    public static ListenOptions UseMutualTls(this ListenOptions listen, MutualTls tls)
    {
        var log = listen.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger("Signet.AspNetCore");
        return listen.UseHttps(new TlsHandshakeCallbackOptions { HandshakeTimeout = HandshakeTimeout, OnConnection = context => new(Options(listen, tls, context.Connection, log)) });
    }

    private static SslServerAuthenticationOptions Options(ListenOptions listen, MutualTls tls, BaseConnectionContext connection, ILogger log)
    {
        var remote = connection.RemoteEndPoint?.ToString() ?? "unknown";
        try
        {
            var options = tls.ServerOptions(
                peer =>
                {
                    connection.Features.Set<ISpiffePeerFeature>(new SpiffePeerFeature(peer));
                    ExpiringConnection.CloseAt(peer.ExpiresAt, connection, tls.Time);
                },
                refusal => log.HandshakeRefused(remote, refusal.Message));
            options.ApplicationProtocols = ProtocolsOf(listen.Protocols);
            return options;
        }
        catch (MutualTlsException e)
        {
            log.NothingToPresent(remote, e.Message);
            throw;
        }
    }

    private static List<SslApplicationProtocol> ProtocolsOf(HttpProtocols protocols)
    {
        var list = new List<SslApplicationProtocol>();
        if (protocols.HasFlag(HttpProtocols.Http2))
        {
            list.Add(SslApplicationProtocol.Http2);
        }

        if (protocols.HasFlag(HttpProtocols.Http1))
        {
            list.Add(SslApplicationProtocol.Http11);
        }

        return list;
    }
}
