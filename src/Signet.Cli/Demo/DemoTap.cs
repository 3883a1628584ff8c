using System.Net;
using System.Net.Sockets;

namespace Signet.Cli.Demo;

/// <summary>
/// A wire between two proxies that keeps the first bytes of each direction: what an eavesdropper on the network would have.
/// </summary>
internal sealed class DemoTap : IAsyncDisposable
{
    private const int Kept = 64 * 1024;

    private readonly TcpListener _listener;
    private readonly int _target;
    private readonly CancellationTokenSource _stop = new();
    private readonly MemoryStream _seen = new();
    private readonly Task _accepting;

    public DemoTap(int port, int target)
    {
        _target = target;
        _listener = new TcpListener(IPAddress.Loopback, port);
        _listener.Start();
        _accepting = AcceptAsync(_stop.Token);
    }

    /// <summary>The bytes seen so far, both directions, in the order of their arrival.</summary>
    public byte[] Seen()
    {
        lock (_seen)
        {
            return _seen.ToArray();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _listener.Stop();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync(CancellationToken cancellationToken)
    {
        var relays = new List<Task>();
        try
        {
            while (true)
            {
                relays.RemoveAll(relay => relay.IsCompleted);
                relays.Add(RelayAsync(await _listener.AcceptTcpClientAsync(cancellationToken).ConfigureAwait(false), cancellationToken));
            }
        }
        finally
        {
            await Task.WhenAll(relays).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task RelayAsync(TcpClient client, CancellationToken cancellationToken)
    {
        using (client)
        {
            using var server = new TcpClient();
            await server.ConnectAsync(IPAddress.Loopback, _target, cancellationToken).ConfigureAwait(false);
            Task[] directions = [CopyAsync(client, server, cancellationToken), CopyAsync(server, client, cancellationToken)];

            // An end is passed on by itself; a break in one direction breaks the other, by leaving here.
            await await Task.WhenAny(directions).ConfigureAwait(false);
            await Task.WhenAll(directions).ConfigureAwait(false);
        }
    }

    private async Task CopyAsync(TcpClient from, TcpClient to, CancellationToken cancellationToken)
    {
        var buffer = new byte[16 * 1024];
        int read;
        while ((read = await from.GetStream().ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            lock (_seen)
            {
                _seen.Write(buffer, 0, (int)Math.Min(read, Kept - _seen.Length));
            }

            await to.GetStream().WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
        }

        to.Client.Shutdown(SocketShutdown.Send);
    }
}
