using System.Net;
using System.Net.Sockets;

namespace Signet.FunctionalTests.Client;

/// <summary>Two ends of a TCP connection on loopback.</summary>
internal static class Pipe
{
    public static async Task<(Stream Client, Stream Server)> OpenAsync(CancellationToken cancellationToken)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var client = new TcpClient();
        var connecting = client.ConnectAsync((IPEndPoint)listener.LocalEndpoint, cancellationToken);
        var server = await listener.AcceptTcpClientAsync(cancellationToken);
        await connecting;
        return (client.GetStream(), server.GetStream());
    }
}
