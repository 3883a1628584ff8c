using System.Net;
using System.Net.Sockets;
using Signet.Hosting.Configuration;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Upstreams;

/// <summary>Opens a TCP connection within a deadline.</summary>
internal static class Connector
{
    /// <returns>The connection, or why there is none.</returns>
    public static async Task<(SocketTransport? Transport, DialOutcome.Failed? Failure)> ConnectAsync(
        EndPoint endpoint, TimeSpan timeout, TimeProvider time, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var name = EndPointText.Format(endpoint);
        var socket = endpoint is IPEndPoint ip ? new Socket(ip.AddressFamily, SocketType.Stream, ProtocolType.Tcp) : new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(endpoint, both.Token).ConfigureAwait(false);
            return (new SocketTransport(socket), null);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            return (null, new(RefusalReason.UpstreamConnectFailed, $"{name}: {e.Message}", name));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            socket.Dispose();
            return (null, new(RefusalReason.UpstreamConnectTimeout, $"{name}: no connection within {DurationText.Format(timeout)}", name));
        }
        catch (OperationCanceledException)
        {
            socket.Dispose();
            throw;
        }
    }
}
