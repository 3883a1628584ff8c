using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;
using Signet.Rpc.Protocol;

namespace Signet.Hosting.Grpc.Calls;

/// <summary>Runs calls: from an HTTP request to a status.</summary>
internal sealed class CallServer(TimeProvider time, ILogger logger, CancellationToken stopping)
{
    private static readonly Status OutOfTime = new(StatusCode.DeadlineExceeded, "the deadline passed before the call ended");

    private const string ContentType = "application/grpc";

    /// <summary>Timers reach no further; a longer deadline is left to the caller.</summary>
    private static readonly TimeSpan MaxTimer = TimeSpan.FromDays(49);

    public async Task RunAsync(HttpContext http, MethodHandler method)
    {
        // 1. Is it gRPC, in a form that we speak?
        if (!CheckIsGrpc(http) || !await CheckEncodingAsync(http))
        {
            return;
        }

        if (!TryReadHeaders(http.Request.Headers, out var metadata, out var timeout, out var problem))
        {
            await RefuseAsync(http, new Status(StatusCode.Internal, problem));
            return;
        }

        // 2. HTTP's own limits do not fit streams: each message has its limit, and silence is no attack on a stream of requests.
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = null;
        }

        if (method.Method.Type is MethodType.ClientStreaming or MethodType.DuplexStreaming
            && http.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
        {
            rate.MinDataRate = null;
        }

        // 3. The call is over when the caller leaves, when its deadline passes, and, if it streams in either direction, when the server stops: a stream may last for ever.
        var now = time.GetUtcNow().UtcDateTime;
        using var deadline = timeout is { } left && left < MaxTimer ? new CancellationTokenSource(left, time) : new CancellationTokenSource();
        var stop = method.Method.Type != MethodType.Unary ? stopping : CancellationToken.None;
        using var over = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, deadline.Token, stop);
        using var context = new HttpServerCallContext(http, method.Method.FullName, metadata, Deadline(now, timeout), over.Token);
        http.Response.ContentType = ContentType;

        // 4. The deadline does not wait for the handler: the status leaves on time. The handler is awaited all the same, because
        //    what it holds of this request lives only until we return.
        var handling = HandleAsync(context, method);
        await handling.WaitAsync(deadline.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!handling.IsCompleted)
        {
            await FinishAsync(context, OutOfTime, []);
            await EndingAsync(handling, context, deadline.Token);
            await TellAsync(context, OutOfTime);
            return;
        }

        // 5. Tell how it ended: the filter that asked to know, then the caller.
        var (status, trailers) = await EndingAsync(handling, context, deadline.Token);
        await TellAsync(context, status);
        await FinishAsync(context, status, trailers);
    }

    /// <summary>Answers a call that has no handler.</summary>
    public async Task RefuseAsync(HttpContext http, Status status)
    {
        if (CheckIsGrpc(http))
        {
            logger.RequestRefused(HttpServerCallContext.PeerOf(http.Connection), status.Detail);
            http.Response.ContentType = ContentType;
            HttpServerCallContext.WriteStatus(http, status, []);
            await http.Response.CompleteAsync();
        }
    }

    private static async Task HandleAsync(HttpServerCallContext context, MethodHandler method)
    {
        if (method.Filter is { } filter)
        {
            await filter(context);
        }

        await method.Run(context);
    }

    private async Task TellAsync(HttpServerCallContext context, Status status)
    {
        try
        {
            await (context.Ended?.Invoke(status) ?? ValueTask.CompletedTask);
        }
        catch (Exception e)
        {
            // The call has ended as it has; who only listens can't change that.
            logger.HandlerFailed(e, context.Method, context.Peer, context.Http.TraceIdentifier);
        }
    }

    private async Task<(Status Status, Metadata Trailers)> EndingAsync(
        Task handling, HttpServerCallContext context, CancellationToken deadline)
    {
        try
        {
            await handling;
            return (context.Status, context.ResponseTrailers);
        }
        catch (RpcException e) when (e.StatusCode != StatusCode.OK)
        {
            return (e.Status, Joined(context.ResponseTrailers, e.Trailers));
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return (OutOfTime, []);
        }
        catch (OperationCanceledException)
        {
            // The server stops, or the caller is gone and hears nothing anyway. Not CANCELLED, which would be the caller's own wish
            // and which clients do not retry.
            return (new Status(StatusCode.Unavailable, "the server is stopping; try another or try again"), []);
        }
        catch (Exception e)
        {
            var reference = context.Http.TraceIdentifier;
            logger.HandlerFailed(e, context.Method, context.Peer, reference);
            return (new Status(StatusCode.Unknown, $"the server failed; its log has the reason under {reference}"), []);
        }
    }

    private async Task FinishAsync(HttpServerCallContext context, Status status, Metadata trailers)
    {
        if (context.Http.RequestAborted.IsCancellationRequested)
        {
            logger.CallAbandoned(context.Method, context.Peer);
            return;
        }

        await context.CloseAsync(status, trailers);
        logger.CallEnded(context.Method, context.Peer, status.StatusCode);
    }

    /// <summary>gRPC over HTTP/2, "Requests": what is not gRPC is answered in plain HTTP.</summary>
    private bool CheckIsGrpc(HttpContext http)
    {
        if (!HttpProtocol.IsHttp2(http.Request.Protocol))
        {
            return Refuse(StatusCodes.Status426UpgradeRequired, "it is not HTTP/2");
        }

        var type = http.Request.ContentType ?? "";
        var isGrpc = type.StartsWith(ContentType, StringComparison.OrdinalIgnoreCase)
            && (type.Length == ContentType.Length || type[ContentType.Length] is '+' or ';');
        return isGrpc || Refuse(StatusCodes.Status415UnsupportedMediaType, "its content type is not application/grpc");

        bool Refuse(int code, string reason)
        {
            logger.RequestRefused(HttpServerCallContext.PeerOf(http.Connection), reason);
            http.Response.StatusCode = code;
            return false;
        }
    }

    private async Task<bool> CheckEncodingAsync(HttpContext http)
    {
        var encoding = http.Request.Headers["grpc-encoding"];
        if (encoding.Count == 0 || encoding == "identity")
        {
            return true;
        }

        http.Response.Headers["grpc-accept-encoding"] = "identity";
        await RefuseAsync(http, new Status(StatusCode.Unimplemented, "the messages are compressed; this server takes \"identity\" only"));
        return false;
    }

    private static bool TryReadHeaders(IHeaderDictionary headers, out Metadata metadata, out TimeSpan? timeout, out string problem)
    {
        metadata = [];
        timeout = null;
        problem = "";
        if (headers.TryGetValue("grpc-timeout", out var text))
        {
            if (!GrpcTimeout.TryParse(text.ToString(), out var given))
            {
                problem = "the header grpc-timeout is malformed; it has at most 8 digits and one of H M S m u n";
                return false;
            }

            timeout = given;
        }

        foreach (var (name, values) in headers)
        {
            foreach (var value in values)
            {
                if (!MetadataHeaders.TryAdd(metadata, name, value ?? ""))
                {
                    problem = $"the header {Identity.Spiffe.Printable.Of(name)} is malformed; "
                        + "text is printable ASCII and the value of a name that ends in -bin is base64";
                    return false;
                }
            }
        }

        return true;
    }

    private static DateTime Deadline(DateTime now, TimeSpan? timeout) =>
        timeout is { } left && left < DateTime.MaxValue - now ? now + left : DateTime.SpecifyKind(DateTime.MaxValue, DateTimeKind.Utc);

    private static Metadata Joined(Metadata first, Metadata second)
    {
        var joined = new Metadata();
        foreach (var entry in first.Concat(second))
        {
            joined.Add(entry);
        }

        return joined;
    }
}
