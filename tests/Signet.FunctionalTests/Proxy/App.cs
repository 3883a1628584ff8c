using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Signet.FunctionalTests.Proxy;

/// <summary>An application behind a proxy: every connection is handed to the test's code, and every byte that arrives is kept.</summary>
internal sealed class App : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentBag<Task> _connections = [];
    private readonly Task _accepting;
    private int _count;

    private App(Func<NetworkStream, App, Task> serve)
    {
        _listener.Start();
        _accepting = Task.Run(async () =>
        {
            try
            {
                while (true)
                {
                    var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                    Interlocked.Increment(ref _count);
                    _connections.Add(Task.Run(async () =>
                    {
                        using (client)
                        {
                            using var registration = _stop.Token.Register(client.Close);
                            try
                            {
                                await serve(client.GetStream(), this);
                            }
                            catch (Exception e) when (e is IOException or ObjectDisposedException or SocketException or EndOfStreamException)
                            {
                                Broken.Add(e.Message);
                            }
                        }
                    }));
                }
            }
            catch (Exception e) when (_stop.IsCancellationRequested && e is OperationCanceledException or InvalidOperationException or SocketException)
            {
                // The test is over.
            }
        });
    }

    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndpoint;

    /// <summary>Connections that arrived.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Heads of requests that arrived, in order.</summary>
    public ConcurrentQueue<string> Heads { get; } = new();

    /// <summary>Connections that broke instead of ending.</summary>
    public ConcurrentBag<string> Broken { get; } = [];

    /// <summary>Sends back what it gets and ends when the client has ended.</summary>
    public static App Echo() => new(async (stream, _) => await stream.CopyToAsync(stream));

    public static App Serving(Func<NetworkStream, App, Task> serve) => new(serve);

    /// <summary>Answers each request by its head and body; keeps connections. The answer is the whole response as text.</summary>
    public static App Http(Func<string, byte[], string>? answer = null) => new(async (stream, app) =>
    {
        var reader = new ByteReader(stream);
        while (await reader.HeadAsync() is { } head)
        {
            app.Heads.Enqueue(head);
            var body = await reader.BodyAsync(head);
            var response = answer is null ? Ok("hello") : answer(head, body);
            await stream.WriteAsync(Encoding.Latin1.GetBytes(response));
        }
    });

    public static string Ok(string body) => $"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\n\r\n{body}";

    public static string Field(string head, string name) =>
        head.Split("\r\n").Where(line => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase)).Select(line => line[(name.Length + 1)..].Trim()).DefaultIfEmpty("").Single();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        await Task.WhenAll(_connections).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    /// <summary>Reads heads and bodies, as leniently as an application that trusts its proxy may.</summary>
    internal sealed class ByteReader(Stream stream)
    {
        private readonly byte[] _buffer = new byte[64 * 1024];
        private int _start;
        private int _end;

        public async Task<string?> HeadAsync()
        {
            var head = await ThroughAsync("\r\n\r\n"u8.ToArray());
            return head.Length == 0 ? null : head;
        }

        public async Task<byte[]> BodyAsync(string head)
        {
            var body = new MemoryStream();
            if (Field(head, "transfer-encoding") == "chunked")
            {
                while (true)
                {
                    var size = int.Parse(await LineAsync(), System.Globalization.NumberStyles.HexNumber);
                    if (size == 0)
                    {
                        for (var line = await LineAsync(); line.Length > 0; line = await LineAsync())
                        {
                            body.Write(Encoding.Latin1.GetBytes($"[{line}]"));
                        }

                        return body.ToArray();
                    }

                    await CopyAsync(body, size);
                    await LineAsync();
                }
            }

            await CopyAsync(body, long.TryParse(Field(head, "content-length"), out var length) ? length : 0);
            return body.ToArray();
        }

        public async Task CopyAsync(Stream to, long length)
        {
            var buffer = new byte[64 * 1024];
            while (length > 0)
            {
                var read = await ReadAsync(buffer.AsMemory(0, (int)Math.Min(length, buffer.Length)));
                if (read == 0)
                {
                    throw new EndOfStreamException();
                }

                await to.WriteAsync(buffer.AsMemory(0, read));
                length -= read;
            }
        }

        private async Task<string> LineAsync() => await ThroughAsync("\r\n"u8.ToArray()) is { Length: > 0 } line ? line[..^2] : throw new EndOfStreamException();

        /// <summary>Reads through a mark; nothing when the stream ends before the first octet.</summary>
        private async Task<string> ThroughAsync(byte[] mark)
        {
            var read = new List<byte>();
            while (!CollectionsMarshal.AsSpan(read).EndsWith(mark))
            {
                if (!await HasMoreAsync())
                {
                    return read.Count == 0 ? "" : throw new EndOfStreamException(Encoding.Latin1.GetString(CollectionsMarshal.AsSpan(read)));
                }

                read.Add(_buffer[_start++]);
            }

            return Encoding.Latin1.GetString(CollectionsMarshal.AsSpan(read));
        }

        private async Task<int> ReadAsync(Memory<byte> into)
        {
            var count = await HasMoreAsync() ? Math.Min(into.Length, _end - _start) : 0;
            _buffer.AsMemory(_start, count).CopyTo(into);
            _start += count;
            return count;
        }

        private async Task<bool> HasMoreAsync()
        {
            if (_start == _end)
            {
                (_start, _end) = (0, await stream.ReadAsync(_buffer));
            }

            return _start < _end;
        }
    }
}
