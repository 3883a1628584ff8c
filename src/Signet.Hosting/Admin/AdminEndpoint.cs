using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Signet.Hosting.Daemons;

namespace Signet.Hosting.Admin;

/// <summary>
/// A small HTTP/1.1 endpoint for operators and probes: exact paths, bounded in every way, refusing requests that a web page could have forged.
/// It has no authentication, so it belongs on loopback unless all its routes are harmless.
/// </summary>
public sealed class AdminEndpoint : IDaemonPart, IAsyncDisposable, IHttpApplication<HttpContext>
{
    /// <summary>The largest body that may be posted, in bytes.</summary>
    public const int MaxBodyBytes = 1024 * 1024;

    private const int MaxConnections = 64;

    /// <summary>Short, so that idle connections do not keep probes out.</summary>
    private static readonly TimeSpan KeepAliveTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan HeadersTimeout = TimeSpan.FromSeconds(10);

    private readonly string _option;
    private readonly IReadOnlyList<AdminRoute> _routes;
    private readonly HostRule _hosts;
    private readonly ILogger _log;
    private readonly AdminTransport _transport;
    private readonly KestrelServer _server;
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="listen">Where to listen; port 0 takes a free one.</param>
    /// <param name="option">The configuration key that says so, for the error when it can't listen.</param>
    /// <param name="routes">What it answers.</param>
    /// <param name="logs">Where it logs.</param>
    /// <param name="bind">Gives the bound socket to listen on, and may keep it; null makes one.</param>
    public AdminEndpoint(IPEndPoint listen, string option, IReadOnlyList<AdminRoute> routes, ILoggerFactory logs, Func<EndPoint, Socket>? bind = null)
    {
        (LocalEndPoint, _option, _routes) = (listen, option, routes);
        _hosts = new HostRule(loopbackOnly: IPAddress.IsLoopback(listen.Address));
        _log = logs.CreateLogger("Signet.Hosting.Admin");
        var options = new KestrelServerOptions { AddServerHeader = false };
        options.Limits.MaxConcurrentConnections = MaxConnections;
        options.Limits.MaxRequestBodySize = MaxBodyBytes;
        options.Limits.KeepAliveTimeout = KeepAliveTimeout;
        options.Limits.RequestHeadersTimeout = HeadersTimeout;
        options.Listen(listen, http => http.Protocols = HttpProtocols.Http1);
        _transport = new AdminTransport(bind ?? SocketTransportOptions.CreateDefaultBoundListenSocket, logs);
        _server = new KestrelServer(Options.Create(options), _transport, logs);
    }

    /// <inheritdoc/>
    public string Name => $"admin endpoint {LocalEndPoint}";

    /// <summary>Where it listens; the real port once it started.</summary>
    public IPEndPoint LocalEndPoint { get; private set; }

    /// <inheritdoc/>
    public Task Completion => _completion.Task;

    /// <inheritdoc/>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _server.StartAsync(this, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw new CannotListenException(LocalEndPoint, _option, e);
        }

        LocalEndPoint = new IPEndPoint(LocalEndPoint.Address, new Uri(_server.Features.Get<IServerAddressesFeature>()!.Addresses.First()).Port);
    }

    /// <summary>Takes no new connection, and answers what comes on those that there are.</summary>
    public Task StopAcceptingAsync() => _transport.StopAcceptingAsync();

    /// <inheritdoc/>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        // Answers that go on would keep the server waiting.
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _server.StopAsync(cancellationToken).ConfigureAwait(false);
        _completion.TrySetResult();
    }

    /// <summary>Stops it without draining, if it still runs.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        _server.Dispose();
        await _transport.DisposeAsync().ConfigureAwait(false);
    }

    HttpContext IHttpApplication<HttpContext>.CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

    void IHttpApplication<HttpContext>.DisposeContext(HttpContext context, Exception? exception)
    {
    }

    async Task IHttpApplication<HttpContext>.ProcessRequestAsync(HttpContext context)
    {
        var answer = await AnswerAsync(context).ConfigureAwait(false);
        var response = context.Response;
        response.StatusCode = answer.Status;
        response.ContentType = answer.ContentType;
        response.ContentLength = answer.Stream is null ? answer.Body.Length : null;
        response.Headers.CacheControl = "no-store";
        response.Headers.XContentTypeOptions = "nosniff";
        if (answer.Stream is { } write)
        {
            await StreamAsync(context, write).ConfigureAwait(false);
        }
        else if (!HttpMethods.IsHead(context.Request.Method))
        {
            await response.Body.WriteAsync(answer.Body, context.RequestAborted).ConfigureAwait(false);
        }
    }

    /// <summary>The head goes out at once; a reader that leaves, or that takes next to nothing for a while, ends it. To HEAD it has ended before it begins.</summary>
    private async Task StreamAsync(HttpContext context, Func<Stream, CancellationToken, Task> write)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _stopping.Token);
        if (HttpMethods.IsHead(context.Request.Method))
        {
            await either.CancelAsync().ConfigureAwait(false);
        }

        try
        {
            await context.Response.Body.FlushAsync(context.RequestAborted).ConfigureAwait(false);
            await write(context.Response.Body, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            // That is how such an answer ends.
        }
    }

    private async ValueTask<AdminAnswer> AnswerAsync(HttpContext context)
    {
        var request = context.Request;
        if (!_hosts.Allows(request.Host))
        {
            return AdminAnswer.Problem(403, "this name is not answered to", "ask by address, or as localhost");
        }

        var atPath = _routes.Where(route => route.Path == request.Path.Value).ToList();
        if (atPath.Count == 0)
        {
            return AdminAnswer.Problem(404, "there is nothing at this path", $"what there is: {string.Join(", ", _routes.Select(route => $"{route.Method} {route.Path}"))}");
        }

        var method = HttpMethods.IsHead(request.Method) ? HttpMethods.Get : request.Method;
        if (atPath.Find(route => route.Method == method) is not { } route)
        {
            context.Response.Headers.Allow = string.Join(", ", atPath.Select(route => route.Method));
            return AdminAnswer.Problem(405, "this path does not take that method", $"what it takes: {context.Response.Headers.Allow}");
        }

        if (method != HttpMethods.Get && HostRule.ComesFromElsewhere(request.Headers, request.Host))
        {
            return AdminAnswer.Problem(403, "a web page of another origin sent this", "send it from a program");
        }

        try
        {
            var query = request.Query.ToDictionary(pair => pair.Key, pair => pair.Value.LastOrDefault() ?? "", StringComparer.Ordinal);
            var body = method == HttpMethods.Get ? null : await BodyAsync(request, context.RequestAborted).ConfigureAwait(false);
            return await route.Answer(new AdminRequest(query, body) { Accept = request.Headers.Accept.ToString() }, context.RequestAborted).ConfigureAwait(false);
        }
        catch (JsonException)
        {
            return AdminAnswer.Problem(400, "the body is not JSON", "send JSON or nothing");
        }
        catch (Microsoft.AspNetCore.Http.BadHttpRequestException e)
        {
            return AdminAnswer.Problem(e.StatusCode, "the body can't be read", $"send at most {MaxBodyBytes} bytes");
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested)
        {
            _log.AdminRequestFailed(route.Method, route.Path, e);
            return AdminAnswer.Problem(500, "the answer could not be made", "the log says why");
        }
    }

    private static async ValueTask<JsonNode?> BodyAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body, cancellationToken).ConfigureAwait(false);
        return body.Length == 0 ? null : JsonNode.Parse(body.GetBuffer().AsSpan(0, (int)body.Length));
    }
}
