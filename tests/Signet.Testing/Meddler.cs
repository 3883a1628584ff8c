using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Signet.Testing;

/// <summary>
/// Stands on the path between a client and a server and does to their bytes what the test wants: cuts them into single bytes, or changes
/// TLS records. Ends, resets and all; dispose to break what is left.
/// </summary>
public sealed class Meddler : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentBag<Task> _all = [];
    private readonly IPEndPoint _server;
    private readonly Func<bool, NetworkStream, Socket, Task> _carry;

    private Meddler(IPEndPoint server, Func<bool, NetworkStream, Socket, Task> carry)
    {
        (_server, _carry) = (server, carry);
        _listener.Start(128);
        _all.Add(AcceptAsync());
    }

    /// <summary>Where clients connect.</summary>
    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndpoint;

    /// <summary>Sends every byte by itself.</summary>
    public static Meddler ByteByByte(IPEndPoint server) => new(server, async (_, from, to) =>
    {
        var buffer = new byte[4096];
        while (await from.ReadAsync(buffer) is > 0 and var read)
        {
            for (var i = 0; i < read; i++)
            {
                await to.SendAsync(buffer.AsMemory(i, 1));
            }
        }
    });

    /// <summary>Passes TLS records one by one through the test's hands: whether it goes to the server, its number in that direction, and the record with its header. Null ends the direction in order.</summary>
    public static Meddler Records(IPEndPoint server, Func<bool, int, byte[], Task<byte[]?>> change) => new(server, async (toServer, from, to) =>
    {
        var header = new byte[5];
        for (var number = 0; await from.ReadAtLeastAsync(header, 5, throwOnEndOfStream: false) == 5; number++)
        {
            var record = new byte[5 + BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(3))];
            header.CopyTo(record, 0);
            await from.ReadExactlyAsync(record.AsMemory(5));
            if (await change(toServer, number, record) is not { } changed)
            {
                return;
            }

            await to.SendAsync(changed);
        }
    });

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        while (_all.TryTake(out var one))
        {
            await one.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            var client = await _listener.AcceptSocketAsync(_stop.Token);
            _all.Add(ServeAsync(client));
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using var server = new Socket(_server.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var near = client;
        near.NoDelay = true;
        using var registration = _stop.Token.Register(() =>
        {
            client.Dispose();
            server.Dispose();
        });
        await server.ConnectAsync(_server);
        await using var fromClient = new NetworkStream(client);
        await using var fromServer = new NetworkStream(server);
        await Task.WhenAll(OneWayAsync(toServer: true, fromClient, server), OneWayAsync(toServer: false, fromServer, client));
    }

    private async Task OneWayAsync(bool toServer, NetworkStream from, Socket to)
    {
        try
        {
            await _carry(toServer, from, to);
            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            Reset(to);
            Reset(from.Socket);
        }
    }

    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is closed already.
        }

        socket.Dispose();
    }
}
