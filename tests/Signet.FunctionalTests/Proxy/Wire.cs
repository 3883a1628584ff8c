using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using Signet.Client.Tls;
using Signet.Identity.X509;

namespace Signet.FunctionalTests.Proxy;

/// <summary>A client's end of a connection, in plaintext or TLS, that reads and writes text. Everything it awaits has a deadline.</summary>
internal sealed class Wire : IAsyncDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private readonly Socket _socket;
    private byte[] _unread = [];

    private Wire(Socket socket, Stream stream) => (_socket, Stream) = (socket, stream);

    public Stream Stream { get; }

    public SslStream Tls => (SslStream)Stream;

    public static async Task<Wire> PlainAsync(IPEndPoint to)
    {
        var socket = new Socket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(to);
        return new Wire(socket, new NetworkStream(socket, ownsSocket: true));
    }

    /// <summary>Mutual TLS as a peer of the mesh does it; null presents no certificate. The server is not checked here.</summary>
    public static async Task<Wire> TlsAsync(IPEndPoint to, X509Svid? svid, string[]? alpn = null, SslProtocols versions = SslProtocols.None, string sni = "orders", byte[]? preface = null)
    {
        // Made before connecting: a port that takes plaintext waits only so long for the first byte of TLS.
        var credential = svid is null ? null : new TlsCredential(svid).Context;
        var plain = await PlainAsync(to);
        await plain.Stream.WriteAsync(preface ?? []);
        var stream = new SslStream(plain.Stream);
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = sni,
            ClientCertificateContext = credential,
            EnabledSslProtocols = versions,
            ApplicationProtocols = alpn?.Select(name => new SslApplicationProtocol(name)).ToList(),
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
        }).WaitAsync(Deadline);
        return new Wire(plain._socket, stream);
    }

    public async Task SendAsync(string text) => await Stream.WriteAsync(Encoding.Latin1.GetBytes(text)).AsTask().WaitAsync(Deadline);

    /// <summary>Reads until the text ends with the marker.</summary>
    public async Task<string> ReadUntilAsync(string marker)
    {
        var text = new StringBuilder(Encoding.Latin1.GetString(_unread));
        _unread = [];
        var buffer = new byte[64 * 1024];
        while (true)
        {
            var all = text.ToString();
            var at = all.IndexOf(marker, StringComparison.Ordinal);
            if (at >= 0)
            {
                _unread = Encoding.Latin1.GetBytes(all[(at + marker.Length)..]);
                return all[..(at + marker.Length)];
            }

            var read = await Stream.ReadAsync(buffer).AsTask().WaitAsync(Deadline);
            if (read == 0)
            {
                throw new EndOfStreamException($"the connection ended before \"{marker}\", after: {text}");
            }

            text.Append(Encoding.Latin1.GetString(buffer, 0, read));
        }
    }

    /// <summary>Everything until the peer ends; a reset counts as an end.</summary>
    public async Task<string> ReadToEndAsync()
    {
        var text = new StringBuilder(Encoding.Latin1.GetString(_unread));
        var buffer = new byte[64 * 1024];
        try
        {
            while (await Stream.ReadAsync(buffer).AsTask().WaitAsync(Deadline) is > 0 and var read)
            {
                text.Append(Encoding.Latin1.GetString(buffer, 0, read));
            }
        }
        catch (IOException)
        {
            // What was read before counts.
        }

        return text.ToString();
    }

    /// <summary>Copies so many bytes, or as many as come.</summary>
    public async Task<long> ReadExactlyAsync(Stream to, long length)
    {
        await to.WriteAsync(_unread);
        long copied = _unread.Length;
        _unread = [];
        var buffer = new byte[64 * 1024];
        while (copied < length && await Stream.ReadAsync(buffer).AsTask().WaitAsync(Deadline) is > 0 and var read)
        {
            await to.WriteAsync(buffer.AsMemory(0, read));
            copied += read;
        }

        return copied;
    }

    /// <summary>A response with its body, by Content-Length.</summary>
    public async Task<(int Status, string Head, string Body)> ReadResponseAsync()
    {
        var head = await ReadUntilAsync("\r\n\r\n");
        var length = head.Split("\r\n").FirstOrDefault(line => line.StartsWith("content-length:", StringComparison.OrdinalIgnoreCase)) is { } field ? int.Parse(field[15..]) : 0;
        var body = Encoding.Latin1.GetString(_unread);
        var buffer = new byte[64 * 1024];
        while (body.Length < length)
        {
            var read = await Stream.ReadAsync(buffer).AsTask().WaitAsync(Deadline);
            Assert.NotEqual(0, read);
            body += Encoding.Latin1.GetString(buffer, 0, read);
        }

        _unread = Encoding.Latin1.GetBytes(body[length..]);
        return (int.Parse(head.Split(' ')[1]), head, body[..length]);
    }

    /// <summary>Sends a request and reads its response.</summary>
    public async Task<(int Status, string Head, string Body)> AskAsync(string request)
    {
        await SendAsync(request);
        return await ReadResponseAsync();
    }

    /// <summary>Ends this side's direction: close_notify and FIN.</summary>
    public async Task EndAsync()
    {
        if (Stream is SslStream tls)
        {
            await tls.ShutdownAsync();
        }

        _socket.Shutdown(SocketShutdown.Send);
    }

    public void Reset()
    {
        _socket.LingerState = new LingerOption(true, 0);
        _socket.Dispose();
    }

    public ValueTask DisposeAsync() => Stream.DisposeAsync();
}
