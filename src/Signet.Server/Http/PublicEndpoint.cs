using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Acme;
using Signet.Hosting.Daemons;

namespace Signet.Server.Http;

/// <summary>
/// What the server publishes to anybody over HTTPS: exact paths, GET and HEAD, no authentication of the reader (Federation §5.2.1.3), TLS as Mozilla's
/// "intermediate" recommendation has it (§5), bounded in every way.
/// </summary>
internal sealed class PublicEndpoint : IDaemonPart, IAsyncDisposable
{
    private const int MaxConnections = 1000;
    private const int MaxBodyBytes = 1024;
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan HeadersTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan KeepAliveTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Forward secrecy and authenticated encryption only.</summary>
    private static readonly CipherSuitesPolicy? Suites = OperatingSystem.IsWindows() || OperatingSystem.IsAndroid() ? null : new CipherSuitesPolicy(
    [
        TlsCipherSuite.TLS_AES_128_GCM_SHA256,
        TlsCipherSuite.TLS_AES_256_GCM_SHA384,
        TlsCipherSuite.TLS_CHACHA20_POLY1305_SHA256,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        TlsCipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ]);

    private readonly IReadOnlyDictionary<string, PublicRoute> _routes;
    private readonly ILogger _log;
    private readonly WebApplication _app;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="listen">Where; port 0 takes a free one.</param>
    /// <param name="certificate">What to present, asked at each handshake; null when there is nothing yet.</param>
    /// <param name="challenges">What an authority of the web asks to see; null when none does.</param>
    /// <param name="routes">What there is.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logs">Where it logs.</param>
    public PublicEndpoint(
        IPEndPoint listen, Func<SslStreamCertificateContext?> certificate, TlsAlpnChallenges? challenges, IEnumerable<PublicRoute> routes, TimeProvider time, ILoggerFactory logs)
    {
        LocalEndPoint = listen;
        _routes = routes.ToDictionary(route => route.Path, StringComparer.Ordinal);
        _log = logs.CreateLogger<PublicEndpoint>();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(logs);
        builder.WebHost.UseKestrelCore().UseSockets(sockets => sockets.CreateBoundListenSocket = Bind).ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxConcurrentConnections = MaxConnections;
            kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
            kestrel.Limits.RequestHeadersTimeout = HeadersTimeout;
            kestrel.Limits.KeepAliveTimeout = KeepAliveTimeout;
            kestrel.Listen(listen, http =>
            {
                http.Protocols = HttpProtocols.Http1AndHttp2;
                if (challenges is not null)
                {
                    http.UseAcmeChallenges(challenges, time);
                }

                http.UseHttps(new TlsHandshakeCallbackOptions { HandshakeTimeout = HandshakeTimeout, OnConnection = hello => ValueTask.FromResult(TlsFor(hello, certificate, challenges)) });
            });
        });
        _app = builder.Build();
        _app.Run(AnswerAsync);
    }

    public string Name => $"HTTP {LocalEndPoint}";

    /// <summary>Where it listens; the real port once it started.</summary>
    public IPEndPoint LocalEndPoint { get; private set; }

    public Task Completion => _completion.Task;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _app.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            throw new CannotListenException(LocalEndPoint, "http.listen", e);
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _app.StopAsync(cancellationToken).ConfigureAwait(false);
        _completion.TrySetResult();
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static SslServerAuthenticationOptions TlsFor(TlsHandshakeCallbackContext hello, Func<SslStreamCertificateContext?> certificate, TlsAlpnChallenges? challenges) =>
        challenges is null || !AcmeConnections.IsForChallenge(hello.Connection)
            ? TlsFor(certificate() ?? throw new AuthenticationException("there is no certificate to present yet"), [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11])
            : TlsFor(challenges.Find(hello.ClientHelloInfo.ServerName) ?? throw new AuthenticationException("no challenge is open for that name"), [TlsAlpnChallenges.Protocol]);

    private static SslServerAuthenticationOptions TlsFor(SslStreamCertificateContext certificate, List<SslApplicationProtocol> protocols) => new()
    {
        ServerCertificateContext = certificate,
        ClientCertificateRequired = false,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        CipherSuitesPolicy = Suites,
        AllowRenegotiation = false,
        ApplicationProtocols = protocols,
    };

    private async Task AnswerAsync(HttpContext context)
    {
        var (request, response) = (context.Request, context.Response);
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers.CacheControl = "no-cache";
        if (!_routes.TryGetValue(request.Path.Value ?? "", out var route))
        {
            response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method))
        {
            response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            response.Headers.Allow = "GET, HEAD";
            return;
        }

        PublicAnswer answer;
        try
        {
            answer = await route.Answer(context.RequestAborted).ConfigureAwait(false);
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested)
        {
            _log.PublicAnswerFailed(route.Path, e.Message);
            response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return;
        }

        response.ContentType = answer.ContentType;
        response.ContentLength = answer.Body.Length;
        if (HttpMethods.IsGet(request.Method))
        {
            await response.Body.WriteAsync(answer.Body, context.RequestAborted).ConfigureAwait(false);
        }
    }

    private Socket Bind(EndPoint endPoint)
    {
        var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endPoint);
        LocalEndPoint = (IPEndPoint)socket.LocalEndPoint!;
        return socket;
    }
}
