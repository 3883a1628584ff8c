using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Signet.Client.Tls;

namespace Signet.Client.Http;

/// <summary>
/// The handler of an <see cref="HttpClient"/> that speaks mutual TLS and may live as long as the process. A request after a rotation goes over a connection that
/// shows the new SVID and was judged by the new bundles; requests under way end on theirs. A connection closes when one of its certificates expires. Only
/// <c>https</c> is spoken; redirects, proxies and cookies are off. Thread-safe.
/// </summary>
/// <remarks>Without an identity, or when the server is refused, requests fail with an <see cref="HttpRequestException"/> around a <see cref="MutualTlsException"/>.</remarks>
public sealed class MutualTlsHandler : HttpMessageHandler
{
    private readonly MutualTls _tls;
    private readonly IDisposable _changes;
    private readonly Lock _gate = new();
    private Generation? _current;
    private bool _isDisposed;

    /// <param name="tls">Who this side is, and whom it may call.</param>
    public MutualTlsHandler(MutualTls tls)
    {
        _tls = tls;
        _changes = tls.Source.OnChange(() => Retire(unless: tls.Source.Current));
    }

    /// <summary>How long connecting and shaking hands may take together; 10 s by default.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>After how long a connection takes no more requests, so that a server's rotations count too; 5 minutes by default.</summary>
    public TimeSpan ConnectionLifetime { get; init; } = TimeSpan.FromMinutes(5);

    /// <inheritdoc/>
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.RequestUri?.Scheme != Uri.UriSchemeHttps)
        {
            throw new HttpRequestException($"only https is spoken here, not {request.RequestUri?.Scheme ?? "a request without an address"}");
        }

        var generation = Enter();
        try
        {
            return await generation.Connections.SendAsync(request, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Leave(generation);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _changes.Dispose();
            lock (_gate)
            {
                _isDisposed = true;
            }

            Retire(unless: null);
        }

        base.Dispose(disposing);
    }

    private Generation Enter()
    {
        var context = _tls.Source.Current;
        Retire(unless: context);
        if (context is null)
        {
            var problem = new MutualTlsException(MutualTlsProblem.NoIdentity, $"there is no identity to present: {_tls.Source.Problem ?? "none has been received"}");
            throw new HttpRequestException(HttpRequestError.SecureConnectionError, problem.Message, problem);
        }

        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            _current ??= new Generation(context, Connections());
            _current.Sending++;
            return _current;
        }
    }

    private void Leave(Generation generation)
    {
        lock (_gate)
        {
            generation.Sending--;
        }

        CloseIfDone(generation);
    }

    /// <summary>No new request goes over connections of another identity.</summary>
    private void Retire(X509Context? unless)
    {
        Generation? last;
        lock (_gate)
        {
            last = _current;
            if (last is null || ReferenceEquals(last.Context, unless))
            {
                return;
            }

            _current = null;
            last.IsRetired = true;
        }

        CloseIfDone(last);
    }

    /// <summary>Closing lets answers whose head has come be read to their end; what still waits for a connection or a head would be lost.</summary>
    private void CloseIfDone(Generation generation)
    {
        lock (_gate)
        {
            if (!generation.IsRetired || generation.Sending > 0)
            {
                return;
            }
        }

        generation.Connections.Dispose();
    }

    private HttpMessageInvoker Connections() => new(new SocketsHttpHandler
    {
        ConnectCallback = ConnectAsync,
        ConnectTimeout = ConnectTimeout,
        PooledConnectionLifetime = ConnectionLifetime,
        EnableMultipleHttp2Connections = true,
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
    });

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        return await _tls.ConnectAsync(new NetworkStream(socket, ownsSocket: true), NameOf(context.DnsEndPoint.Host), ProtocolsFor(context.InitialRequestMessage), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>An address is no SNI name (RFC 6066 §3).</summary>
    private static string NameOf(string host) => IPAddress.TryParse(host, out _) ? "" : host;

    /// <summary>The pool asks for HTTP/2 by the same rule.</summary>
    private static SslApplicationProtocol[] ProtocolsFor(HttpRequestMessage request) =>
        request.Version.Major < 2 && request.VersionPolicy != HttpVersionPolicy.RequestVersionOrHigher ? [SslApplicationProtocol.Http11]
        : request.Version.Major >= 2 && request.VersionPolicy != HttpVersionPolicy.RequestVersionOrLower ? [SslApplicationProtocol.Http2]
        : [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11];

    /// <summary>The connections of one identity. Its two counts change under the handler's lock.</summary>
    private sealed class Generation(X509Context context, HttpMessageInvoker connections)
    {
        public X509Context Context => context;

        public HttpMessageInvoker Connections => connections;

        public int Sending { get; set; }

        public bool IsRetired { get; set; }
    }
}
