using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Signet.Proxy.Http2;

namespace Signet.InteropTests.Http2;

/// <summary>The server's role over TCP sockets on loopback: hands out octets, hashes and echoes what it gets.</summary>
internal sealed class OwnServer : IAsyncDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentBag<Task<Http2End>> _connections = [];
    private readonly Http2Options _options;
    private readonly Task _accepting;

    public OwnServer(Func<Http2Options, Http2Options>? options = null)
    {
        _options = new Http2Options { Time = TimeProvider.System };
        _options = options?.Invoke(_options) ?? _options;
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _socket.Listen(512);
        _accepting = AcceptAsync();
    }

    public string Address => $"127.0.0.1:{((IPEndPoint)_socket.LocalEndPoint!).Port}";

    public string Url(string path) => $"http://{Address}{path}";

    public ConcurrentQueue<Http2Connection> Connections { get; } = [];

    /// <summary>How the connections ended that did.</summary>
    public IEnumerable<Http2End> Ends => _connections.Where(connection => connection.IsCompletedSuccessfully).Select(connection => connection.Result);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _socket.Dispose();
        await _accepting;
        await Task.WhenAll(_connections);
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var socket = await _socket.AcceptAsync(_stop.Token);
                var connection = Http2Connection.AsServer(new TcpTransport(socket), _options, ServeAsync);
                Connections.Enqueue(connection);
                _connections.Add(connection.RunAsync(_stop.Token));
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private static Task ServeAsync(Http2Stream stream)
    {
        var path = stream.Request.Path ?? "/echo";
        return path.StartsWith("/bytes/") ? SendAsync(stream, long.Parse(path[7..]))
            : path == "/hash" ? HashAsync(stream)
            : path == "/reset" ? ResetAsync(stream)
            : path == "/trailers" ? TrailersAsync(stream)
            : EchoAsync(stream);
    }

    private static async Task SendAsync(Http2Stream stream, long length)
    {
        stream.WriteHead(new Http2ResponseHead(200, [new("content-length", length.ToString())]), endStream: length == 0);
        var buffer = new byte[64 * 1024];
        for (long sent = 0; sent < length;)
        {
            var count = (int)Math.Min(buffer.Length, length - sent);
            Content.Fill(buffer.AsSpan(0, count), sent);
            await stream.WriteAsync(buffer.AsMemory(0, count), default);
            sent += count;
        }

        if (length > 0)
        {
            await stream.EndWritesAsync(default);
        }
    }

    private static async Task HashAsync(Http2Stream stream)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[64 * 1024];
        while (await stream.ReadAsync(buffer, default) is > 0 and var read)
        {
            hash.AppendData(buffer, 0, read);
        }

        stream.WriteHead(new Http2ResponseHead(200, [new("content-type", "text/plain")]), endStream: false);
        await stream.WriteAsync(System.Text.Encoding.ASCII.GetBytes(Convert.ToHexStringLower(hash.GetHashAndReset())), default);
        await stream.EndWritesAsync(default);
    }

    private static async Task EchoAsync(Http2Stream stream)
    {
        stream.WriteHead(new Http2ResponseHead(200, []), endStream: false);
        var buffer = new byte[64 * 1024];
        while (await stream.ReadAsync(buffer, default) is > 0 and var read)
        {
            await stream.WriteAsync(buffer.AsMemory(0, read), default);
        }

        await stream.EndWritesAsync(default);
    }

    private static async Task TrailersAsync(Http2Stream stream)
    {
        stream.WriteHead(new Http2ResponseHead(103, [new("link", "</a>; rel=preload")]), endStream: false);
        stream.WriteHead(new Http2ResponseHead(200, [new("trailer", "x-sum")]), endStream: false);
        await stream.WriteAsync("body"u8.ToArray(), default);
        stream.WriteTrailers([new("x-sum", "4")]);
    }

    private static async Task ResetAsync(Http2Stream stream)
    {
        stream.WriteHead(new Http2ResponseHead(200, []), endStream: false);
        await stream.WriteAsync(new byte[10], default);
        stream.Abort();
    }
}
