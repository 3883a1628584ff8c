using System.Net.Security;
using System.Net.Sockets;
using Grpc.Core;
using Signet.Rpc.Calls;

namespace Signet.Rpc;

/// <summary>
/// A way to one gRPC server: it opens connections when calls need them, shares them among calls and closes them when they
/// have been idle. Thread-safe. Disposing cancels the calls that are under way and closes the connections.
/// </summary>
public sealed class GrpcChannel : ChannelBase, IDisposable
{
    private static readonly TimeSpan TcpKeepAliveInterval = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource _closed = new();
    private readonly HttpMessageInvoker _http;
    private readonly ChannelCallInvoker _calls;

    private GrpcChannel(string target, Uri address, SocketsHttpHandler handler, TimeProvider time, GrpcChannelOptions options)
        : base(target)
    {
        _http = new HttpMessageInvoker(handler);
        _calls = new ChannelCallInvoker(new CallTarget(target, address, _http, time, options, _closed.Token));
    }

    /// <summary>A server on a Unix domain socket, in plaintext: the kernel vouches for both ends.</summary>
    /// <param name="path">Where the socket is, without a scheme.</param>
    /// <param name="time">Judges deadlines.</param>
    /// <param name="options">Limits; the defaults when null.</param>
    /// <exception cref="ArgumentOutOfRangeException">The path is longer than a socket's can be: 107 bytes.</exception>
    public static GrpcChannel ForUnixSocket(string path, TimeProvider time, GrpcChannelOptions? options = null)
    {
        options ??= new GrpcChannelOptions();
        var endPoint = new UnixDomainSocketEndPoint(path);
        var handler = NewHandler(options, options.KeepAliveInterval ?? Timeout.InfiniteTimeSpan, async (_, cancellationToken) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                return await ConnectAsync(socket, endPoint, cancellationToken).ConfigureAwait(false);
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressNotAvailable)
            {
                // What the system says of it speaks of addresses, and nobody would look for a file.
                throw new IOException("there is no such socket");
            }
        });
        return new GrpcChannel($"unix:{path}", new Uri("http://localhost"), handler, time, options);
    }

    /// <summary>A server on TCP, with TLS. There is no such channel without TLS.</summary>
    /// <param name="host">A name or an address.</param>
    /// <param name="port">1 to 65535.</param>
    /// <param name="tls">
    /// Asked for each new connection, so that a renewed certificate or bundle counts from the next connection on. It must
    /// return a new object: the channel sets its application protocol and, when that is empty, its target host.
    /// </param>
    /// <param name="time">Judges deadlines.</param>
    /// <param name="options">Limits; the defaults when null.</param>
    public static GrpcChannel ForTls(
        string host, int port, Func<SslClientAuthenticationOptions> tls, TimeProvider time, GrpcChannelOptions? options = null)
    {
        options ??= new GrpcChannelOptions();
        var address = new UriBuilder(Uri.UriSchemeHttps, host, port).Uri;
        var handler = NewHandler(options, options.KeepAliveInterval ?? TcpKeepAliveInterval, async (context, cancellationToken) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            var stream = await ConnectAsync(socket, context.DnsEndPoint, cancellationToken).ConfigureAwait(false);
            return await SecureAsync(stream, host, tls(), cancellationToken).ConfigureAwait(false);
        });
        return new GrpcChannel(address.Authority, address, handler, time, options);
    }

    /// <summary>A server that is reached by connections that the caller opens and answers for: nothing is added to them, so make them secure or local.</summary>
    /// <param name="target">Where they lead, for a person and as the calls' authority.</param>
    /// <param name="connect">Opens a connection on which HTTP/2 is spoken at once; an <see cref="IOException"/> says why there is none.</param>
    /// <param name="time">Judges deadlines.</param>
    /// <param name="options">Limits; the defaults when null.</param>
    /// <exception cref="UriFormatException">The target is not a host, or a host and port.</exception>
    public static GrpcChannel ForConnections(
        string target, Func<CancellationToken, ValueTask<Stream>> connect, TimeProvider time, GrpcChannelOptions? options = null)
    {
        options ??= new GrpcChannelOptions();
        var handler = NewHandler(options, options.KeepAliveInterval ?? TcpKeepAliveInterval, (_, cancellationToken) => connect(cancellationToken));
        return new GrpcChannel(target, new Uri($"http://{target}"), handler, time, options);
    }

    public override CallInvoker CreateCallInvoker() => _calls;

    public void Dispose()
    {
        _closed.Cancel();
        _http.Dispose();
    }

    private static SocketsHttpHandler NewHandler(
        GrpcChannelOptions options,
        TimeSpan keepAliveInterval,
        Func<SocketsHttpConnectionContext, CancellationToken, ValueTask<Stream>> connect) => new()
        {
            ConnectCallback = connect,
            ConnectTimeout = options.ConnectTimeout,
            EnableMultipleHttp2Connections = true,
            KeepAlivePingDelay = keepAliveInterval,
            KeepAlivePingTimeout = options.KeepAliveTimeout,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = false,
        };

    private static async Task<NetworkStream> ConnectAsync(Socket socket, System.Net.EndPoint endPoint, CancellationToken cancellationToken)
    {
        try
        {
            await socket.ConnectAsync(endPoint, cancellationToken).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task<Stream> SecureAsync(
        NetworkStream stream, string host, SslClientAuthenticationOptions options, CancellationToken cancellationToken)
    {
        options.ApplicationProtocols = [SslApplicationProtocol.Http2];
        if (string.IsNullOrEmpty(options.TargetHost))
        {
            options.TargetHost = host;
        }

        var secured = new SslStream(stream, leaveInnerStreamOpen: false);
        try
        {
            await secured.AuthenticateAsClientAsync(options, cancellationToken).ConfigureAwait(false);
            return secured.NegotiatedApplicationProtocol == SslApplicationProtocol.Http2
                ? secured
                : throw new IOException($"{host} did not agree to speak HTTP/2; gRPC needs it");
        }
        catch
        {
            await secured.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
