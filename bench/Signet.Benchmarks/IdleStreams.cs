using System.Net.Sockets;
using Signet.Benchmarks.Peers;
using Signet.Proxy.Http2;
using Signet.Proxy.Transport;
using static Signet.Benchmarks.Samples;

namespace Signet.Benchmarks;

/// <summary>What proxies hold for connections of HTTP/2 that rest, and for calls on them that have begun and wait: streams as long-lived watches have them.</summary>
internal static class IdleStreams
{
    private const int Connections = 200;
    private const int StreamsEach = 10;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static async Task RunAsync(BenchContext context)
    {
        await using var field = await Field.StartAsync(context, SignetSessions.Shared);
        var rest = context.Span(15);
        var table = new TextTable("KiB of PSS, both proxies", "at rest, MiB", $"each of {Connections} connections", $"each of {Connections * StreamsEach} streams on them");
        foreach (var pair in field.Signets.Concat<ProxyPair>(field.Peers))
        {
            await Task.Delay(rest, context.Cancellation);
            var atRest = Both(pair);
            await using var held = await HeldStreams.OpenAsync(pair.Http2Port, Connections, context);
            await Task.Delay(rest, context.Cancellation);
            var connected = Both(pair);
            await held.BeginAsync(StreamsEach, context);
            await Task.Delay(rest, context.Cancellation);
            var waiting = Both(pair);
            table.Add(pair.Name, Number(atRest, "0.0"), Number((connected - atRest) * 1024 / Connections, "0.0"), Number((waiting - connected) * 1024 / (Connections * StreamsEach), "0.0"));
        }

        table.WriteTo(context.Out);
        context.Out.WriteLine();
        context.Out.WriteLine($"Each taken after {rest.TotalSeconds:0} s of rest. Every connection has carried one request and its answer; every stream is a call whose first message has been sent and whose answer has not begun.");
    }

    private static double Both(ProxyPair pair) => pair.Memory() is var (outbound, inbound) ? outbound + inbound : 0;

    /// <summary>A client's connections, held until disposal.</summary>
    private sealed class HeldStreams : IAsyncDisposable
    {
        private readonly List<(Http2Connection Connection, Task End)> _all = [];

        public static async Task<HeldStreams> OpenAsync(int port, int connections, BenchContext context)
        {
            var held = new HeldStreams();
            try
            {
                for (var i = 0; i < connections; i++)
                {
                    var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                    await socket.ConnectAsync("127.0.0.1", port, context.Cancellation);
                    var connection = Http2Connection.AsClient(new SocketTransport(socket), new Http2Options { Time = context.Time });
                    held._all.Add((connection, connection.RunAsync(CancellationToken.None)));
                    var stream = Open(connection, "GET", LoadTools.RequestPath, []);
                    var head = await stream.ReadHeadAsync(context.Cancellation).AsTask().WaitAsync(Patience, context.Cancellation);
                    if (head.Status != 200)
                    {
                        throw new BenchException($"a connection to be held was answered with {head.Status}");
                    }

                    var buffer = new byte[1024];
                    while (await stream.ReadAsync(buffer, context.Cancellation) > 0)
                    {
                    }

                    await stream.DisposeAsync();
                }

                return held;
            }
            catch
            {
                await held.DisposeAsync();
                throw;
            }
        }

        /// <summary>Calls on every connection that never end.</summary>
        public async Task BeginAsync(int each, BenchContext context)
        {
            foreach (var (connection, _) in _all)
            {
                for (var i = 0; i < each; i++)
                {
                    var stream = Open(connection, "POST", LoadTools.CallPath, [new("content-type", "application/grpc"), new("te", "trailers")]);
                    await stream.WriteAsync(new byte[105], context.Cancellation);
                }
            }
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var (connection, end) in _all)
            {
                await connection.DisposeAsync();
                await end;
            }
        }

        private static Http2Stream Open(Http2Connection connection, string method, string path, IReadOnlyList<KeyValuePair<string, string>> fields) =>
            connection.TryOpen(new Http2RequestHead(method, "orders", "http", path, fields), endStream: method == "GET", out var stream, out var refusal)
                ? stream!
                : throw new BenchException($"no stream can be opened: {refusal}");
    }

    private sealed class SocketTransport(Socket socket) : ITransport
    {
        public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken) => Guard(() => socket.ReceiveAsync(buffer, cancellationToken));

        public async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            while (!bytes.IsEmpty)
            {
                var rest = bytes;
                bytes = bytes[await Guard(() => socket.SendAsync(rest, cancellationToken))..];
            }
        }

        public ValueTask EndWritesAsync(CancellationToken cancellationToken)
        {
            Abort();
            return default;
        }

        public void Abort() => socket.Dispose();

        public ValueTask DisposeAsync()
        {
            socket.Dispose();
            return default;
        }

        private static async ValueTask<int> Guard(Func<ValueTask<int>> once)
        {
            try
            {
                return await once();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                throw new IOException(e.Message, e);
            }
        }
    }
}
