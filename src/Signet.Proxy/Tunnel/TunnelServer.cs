using Signet.Proxy.Http2;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Tunnel;

/// <summary>
/// The server's side of a tunnel: asks about each CONNECT stream by itself, as about a connection of its own, and hands its octets to
/// whatever the answer names. Who the peer is was proven by the session below; what policy says is asked again for every stream.
/// </summary>
public sealed class TunnelServer
{
    private readonly Func<TunnelRequest, ValueTask<TunnelAnswer>> _authorise;

    /// <param name="transport">An established session; becomes the tunnel's.</param>
    /// <param name="options">Bounds and clock.</param>
    /// <param name="authorise">Decides about one stream, and connects to the application before it says yes.</param>
    public TunnelServer(ITransport transport, Http2Options options, Func<TunnelRequest, ValueTask<TunnelAnswer>> authorise)
    {
        _authorise = authorise;
        Connection = Http2Connection.AsServer(transport, options, ServeAsync);
    }

    /// <summary>To be run, drained or aborted by the owner.</summary>
    public Http2Connection Connection { get; }

    private async Task ServeAsync(Http2Stream stream)
    {
        if (!TunnelRequest.TryParse(stream.Request, out var request, out _))
        {
            stream.WriteHead(new Http2ResponseHead(stream.Request.IsConnect ? 400 : 405, []), endStream: true);
            return;
        }

        switch (await _authorise(request).ConfigureAwait(false))
        {
            case TunnelAnswer.Refused refused:
                stream.WriteHead(new Http2ResponseHead(refused.Status, []), endStream: true);
                break;
            case TunnelAnswer.Permitted permitted:
                try
                {
                    stream.WriteHead(new Http2ResponseHead(200, []), endStream: false);
                }
                catch (Http2StreamException)
                {
                    // The peer has given up meanwhile. The relay finds that out, and lets go of what was opened for it.
                }

                await permitted.Relay(stream).ConfigureAwait(false);
                break;
        }
    }
}
