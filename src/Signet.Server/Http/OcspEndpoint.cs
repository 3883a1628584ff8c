using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Signet.Authority.Revocation;
using Signet.Hosting.Daemons;
using Signet.Hosting.Limits;
using Signet.Identity.X509.Revocation;

namespace Signet.Server.Http;

/// <summary>
/// Answers questions after revocation to anybody over HTTP (RFC 6960 appendix A): POST with the request as body, GET with the request in base64 as the last
/// part of the path. Without TLS, since answers are signed; bounded in every way.
/// </summary>
internal sealed class OcspEndpoint : IDaemonPart, IAsyncDisposable
{
    /// <summary>The path; a GET has the request behind it.</summary>
    public const string Path = "/ocsp";

    private const string Query = "application/ocsp-request";
    private const string Answer = "application/ocsp-response";
    private const int MaxConnections = 1000;

    /// <summary>A GET is for short questions, about one certificate (RFC 5019 §5).</summary>
    private const int MaxEncodedLength = 1024;

    private static readonly TimeSpan HeadersTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan KeepAliveTimeout = TimeSpan.FromSeconds(30);

    /// <summary>Each answer is a signature.</summary>
    private static readonly Rate PerAddress = new(PerSecond: 50, Burst: 200);

    private readonly OcspResponder _responder;
    private readonly TokenBuckets<string> _askers;
    private readonly ILogger _log;
    private readonly WebApplication _app;
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="listen">Where; port 0 takes a free one.</param>
    /// <param name="responder">What answers.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logs">Where it logs.</param>
    public OcspEndpoint(IPEndPoint listen, OcspResponder responder, TimeProvider time, ILoggerFactory logs)
    {
        (LocalEndPoint, _responder, _askers, _log) = (listen, responder, new TokenBuckets<string>(PerAddress, time), logs.CreateLogger<OcspEndpoint>());
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(logs);
        builder.WebHost.UseKestrelCore().UseSockets(sockets => sockets.CreateBoundListenSocket = Bind).ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxConcurrentConnections = MaxConnections;
            kestrel.Limits.MaxRequestBodySize = OcspRequest.MaxLength;
            kestrel.Limits.RequestHeadersTimeout = HeadersTimeout;
            kestrel.Limits.KeepAliveTimeout = KeepAliveTimeout;
            kestrel.Listen(listen, http => http.Protocols = HttpProtocols.Http1);
        });
        _app = builder.Build();
        _app.Run(AnswerAsync);
    }

    public string Name => $"OCSP {LocalEndPoint}";

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
            throw new CannotListenException(LocalEndPoint, "ocsp.listen", e);
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _app.StopAsync(cancellationToken).ConfigureAwait(false);
        _completion.TrySetResult();
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        var (request, response) = (context.Request, context.Response);
        var isPost = HttpMethods.IsPost(request.Method);
        if (!isPost && !HttpMethods.IsGet(request.Method))
        {
            response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            response.Headers.Allow = "GET, POST";
            return;
        }

        // The path as it was sent: base64 has slashes, and what is escaped must be told from what is not.
        var target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        if (isPost ? target != Path : !target.StartsWith(Path + '/', StringComparison.Ordinal))
        {
            response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        if (isPost && request.ContentType != Query)
        {
            response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return;
        }

        byte[] answer;
        try
        {
            answer = !_askers.TryTake($"{context.Connection.RemoteIpAddress}") ? OcspResponse.Refuse(OcspRefusal.TryLater)
                : await _responder.AnswerAsync(isPost ? await ReadBodyAsync(request, context.RequestAborted).ConfigureAwait(false) : Decode(target[(Path.Length + 1)..]), context.RequestAborted).ConfigureAwait(false);
        }
        catch (Microsoft.AspNetCore.Http.BadHttpRequestException e)
        {
            response.StatusCode = e.StatusCode;
            return;
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested)
        {
            _log.PublicAnswerFailed(Path, e.Message);
            answer = OcspResponse.Refuse(OcspRefusal.InternalError);
        }

        response.ContentType = Answer;
        response.ContentLength = answer.Length;
        await response.Body.WriteAsync(answer, context.RequestAborted).ConfigureAwait(false);
    }

    // The body is no longer than the listener allows.
    private static async Task<byte[]> ReadBodyAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body, cancellationToken).ConfigureAwait(false);
        return body.ToArray();
    }

    // What can't be decoded is no request, and is answered so.
    private static byte[] Decode(string encoded)
    {
        var bytes = new byte[MaxEncodedLength];
        return encoded.Length <= MaxEncodedLength && Convert.TryFromBase64String(Uri.UnescapeDataString(encoded), bytes, out var length) ? bytes[..length] : [];
    }

    private Socket Bind(EndPoint endPoint)
    {
        var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endPoint);
        LocalEndPoint = (IPEndPoint)socket.LocalEndPoint!;
        return socket;
    }
}
