using System.Net;
using System.Net.Sockets;
using Signet.Proxy.Http2;

namespace Signet.InteropTests.Http2;

/// <summary>The client's role over one TCP connection.</summary>
internal sealed class OwnClient : IAsyncDisposable
{
    private readonly string _authority;

    private OwnClient(Http2Connection connection, string authority)
    {
        (Connection, _authority) = (connection, authority);
        End = connection.RunAsync(CancellationToken.None);
    }

    public Http2Connection Connection { get; }

    public Task<Http2End> End { get; }

    public static async Task<OwnClient> ConnectAsync(string address, Func<Http2Options, Http2Options>? options = null)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPEndPoint.Parse(address));
        var defaults = new Http2Options { Time = TimeProvider.System };
        return new OwnClient(Http2Connection.AsClient(new TcpTransport(socket), options?.Invoke(defaults) ?? defaults), address);
    }

    public Http2Stream Open(string method, string path, bool endStream = true)
    {
        var head = method == "CONNECT" ? Http2RequestHead.Connect(path, []) : new Http2RequestHead(method, _authority, "http", path, []);
        Assert.True(Connection.TryOpen(head, endStream, out var stream, out var refusal), refusal.ToString());
        return stream!;
    }

    public static async Task SendAsync(Http2Stream stream, long length)
    {
        var buffer = new byte[64 * 1024];
        for (long sent = 0; sent < length;)
        {
            var count = (int)Math.Min(buffer.Length, length - sent);
            Content.Fill(buffer.AsSpan(0, count), sent);
            await stream.WriteAsync(buffer.AsMemory(0, count), default);
            sent += count;
        }

        await stream.EndWritesAsync(default);
    }

    /// <summary>Reads to the end; the hash of everything.</summary>
    public static async Task<(long Length, string Hash)> ReceiveAsync(Http2Stream stream)
    {
        using var hash = System.Security.Cryptography.IncrementalHash.CreateHash(System.Security.Cryptography.HashAlgorithmName.SHA256);
        var buffer = new byte[64 * 1024];
        var length = 0L;
        while (await stream.ReadAsync(buffer, default) is > 0 and var read)
        {
            hash.AppendData(buffer, 0, read);
            length += read;
        }

        return (length, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    public async ValueTask DisposeAsync()
    {
        await Connection.DisposeAsync();
        await End;
    }
}
