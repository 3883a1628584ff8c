using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Signet.FunctionalTests.Server;

/// <summary>A bundle endpoint that answers each request with what the test says: whole answers, half ones, none.</summary>
internal sealed class TestBundleEndpoint : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentBag<Task> _serving = [];
    private readonly SslServerAuthenticationOptions _tls;
    private readonly Func<string, Stream, Task> _answer;
    private readonly Task _accepting;
    private int _requests;

    /// <param name="tls">How it proves itself.</param>
    /// <param name="answer">Takes the path and writes the answer.</param>
    /// <param name="address">Where it listens; 127.0.0.1 by default.</param>
    public TestBundleEndpoint(SslServerAuthenticationOptions tls, Func<string, Stream, Task> answer, string address = "127.0.0.1")
    {
        (_tls, _answer, _listener) = (tls, answer, new TcpListener(IPAddress.Parse(address), 0));
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>How many requests it has heard.</summary>
    public int Requests => Volatile.Read(ref _requests);

    public static Task WriteAsync(Stream stream, string status, string body, params string[] headers) =>
        stream.WriteAsync(Encoding.UTF8.GetBytes($"HTTP/1.1 {status}\r\ncontent-length: {Encoding.UTF8.GetByteCount(body)}\r\n{string.Concat(headers.Select(header => header + "\r\n"))}\r\n{body}")).AsTask();

    public static Func<string, Stream, Task> Always(string status, string body, params string[] headers) => (_, stream) => WriteAsync(stream, status, body, headers);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var one in _serving)
        {
            await one.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            _serving.Add(ServeAsync(await _listener.AcceptSocketAsync(_stop.Token)));
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using var registration = _stop.Token.Register(socket.Dispose);
        await using var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
        await tls.AuthenticateAsServerAsync(_tls, _stop.Token);
        using var reader = new StreamReader(tls, leaveOpen: true);
        while (await reader.ReadLineAsync(_stop.Token) is { } line)
        {
            var path = line.Split(' ')[1];
            while (await reader.ReadLineAsync(_stop.Token) is { Length: > 0 })
            {
                // Headers say nothing here.
            }

            Interlocked.Increment(ref _requests);
            await _answer(path, tls);
        }
    }
}
