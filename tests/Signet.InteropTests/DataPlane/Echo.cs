using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Signet.InteropTests.DataPlane;

/// <summary>An application that handles each connection with the test's code; by default it sends back what it gets.</summary>
internal sealed class Echo : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<Socket, Task> _open = new();
    private readonly Task _accepting;
    private readonly Func<NetworkStream, Task> _serve;

    public Echo(Func<NetworkStream, Task>? serve = null, IPEndPoint? at = null)
    {
        _serve = serve ?? (stream => stream.CopyToAsync(stream, 16 * 1024));
        _listener.Bind(at ?? new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(4096);
        _accepting = AcceptAsync();
    }

    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndPoint!;

    public int Open => _open.Count;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var socket in _open.Keys)
        {
            socket.Dispose();
        }

        await Task.WhenAll(_open.Values).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            var socket = await _listener.AcceptAsync(_stop.Token);
            socket.NoDelay = true;
            _open[socket] = Task.CompletedTask;
            _open[socket] = ServeAsync(socket);
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        await Task.Yield();
        try
        {
            await using var stream = new NetworkStream(socket, ownsSocket: true);
            await _serve(stream);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            // The client left.
        }
        finally
        {
            _open.TryRemove(socket, out _);
        }
    }
}
