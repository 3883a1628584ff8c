using System.Runtime.CompilerServices;
using Signet.Proxy.Connections;
using Signet.Proxy.Http2;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Transport;

namespace Signet.Proxy.L7;

/// <summary>
/// Serves the requests of one connection, one after the other: read a head within its deadline, decide, exchange, log. Whatever leaves the
/// place where the next request begins in doubt ends the connection. A client that begins with HTTP/2's preface is served by that.
/// </summary>
internal sealed class HttpServer(ProxyCore core, LiveConnection live, BufferedTransport client, IHttpRole role)
{
    private bool _isFirst = true;
    private bool _isHttp2;

    /// <summary>Returns when the connection is over; disposing the transport is the caller's.</summary>
    public async Task RunAsync()
    {
        using var messages = new Http1Client(core, live, client);
        var goesOn = true;
        while (goesOn)
        {
            var (head, problem) = await ReadHeadAsync().ConfigureAwait(false);
            if (_isHttp2)
            {
                await new HttpStreams(core, live, client, role).RunAsync().ConfigureAwait(false);
                return;
            }

            messages.Begin(head);
            if (head is null)
            {
                if (problem is { } malformed)
                {
                    await RefuseHeadAsync(messages, malformed).ConfigureAwait(false);
                }

                break;
            }

            _isFirst = false;
            goesOn = await HttpRequests.ServeAsync(core, live, messages, role, head).ConfigureAwait(false);
            client.ReleaseIfEmpty();
            messages.Rest();
        }

        await Parting.LingerAsync(client, core.Time).ConfigureAwait(false);
    }

    /// <summary>How the preface begins, which has the form of a request so that servers of HTTP/1 refuse it (RFC 9113 §3.4).</summary>
    private static ReadOnlySpan<byte> PrefaceHead => FrameHeader.Preface[..18];

    /// <summary>Waits for a request and reads its head. Neither a head nor a problem: there is nothing more to say on the connection.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<(RequestHead? Head, HttpProblem? Problem)> ReadHeadAsync()
    {
        var scanner = default(HeadScanner);
        var skippedEmptyLine = false;
        live.CloseAfter(core.Config.Timeouts.RequestHead, RefusalReason.RequestHeadTimeout);
        while (true)
        {
            if (scanner.TryFindEnd(client.Available.Span, out var length, out var problem))
            {
                if (length == 2 && !skippedEmptyLine)
                {
                    // One empty line before a request is forgiven: old clients end a body with one (RFC 9112 §2.2).
                    (skippedEmptyLine, scanner) = (true, default);
                    client.Consume(length);
                    continue;
                }

                if (_isFirst && client.Available.Span[..length].SequenceEqual(PrefaceHead))
                {
                    _isHttp2 = true;
                    return (null, null);
                }

                var isGood = RequestHead.TryParse(client.Available.Span[..length], out var head, out var malformed);
                client.Consume(length);
                client.ReleaseIfEmpty();
                return isGood ? (head, null) : (null, malformed);
            }

            if (problem is not null || client.Available.Length >= HttpLimits.MaxHead)
            {
                return (null, problem ?? HttpProblem.HeadTooLarge);
            }

            if (!await ReadMoreAsync().ConfigureAwait(false))
            {
                return (null, null);
            }
        }
    }

    /// <summary>Reads on within the deadline for a head, or for the next request when nothing of one is there yet.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> ReadMoreAsync()
    {
        var isIdle = client.Available.IsEmpty;
        live.IsIdle = isIdle;
        if (isIdle)
        {
            live.CloseAfter(core.Config.Timeouts.KeepAlive, RefusalReason.IdleTimeout);
        }

        try
        {
            if ((isIdle && core.EndsIdle) || !await client.ReadMoreAsync(HttpLimits.MaxHead, live.Token).ConfigureAwait(false))
            {
                return false;
            }
        }
        catch (IOException)
        {
            return false;
        }
        catch (OperationCanceledException) when (live.Closed is { } closed)
        {
            await CloseBetweenRequestsAsync(closed).ConfigureAwait(false);
            return false;
        }

        live.IsIdle = false;
        if (isIdle)
        {
            live.CloseAfter(core.Config.Timeouts.RequestHead, RefusalReason.RequestHeadTimeout);
        }

        return true;
    }

    private async Task RefuseHeadAsync(Http1Client messages, HttpProblem problem)
    {
        var record = role.NewRecord();
        record.Refuse(RefusalReason.MalformedRequest, problem.ToString());
        await LastWordsAsync(messages, record, problem.Status()).ConfigureAwait(false);
    }

    /// <summary>A head that is late is answered, an authentication that ended is logged, and the end of idleness is no event.</summary>
    private async Task CloseBetweenRequestsAsync(LiveConnection.Closure closed)
    {
        if (closed.Reason is RefusalReason.IdleTimeout or RefusalReason.Draining)
        {
            return;
        }

        var record = role.NewRecord();
        record.Refuse(closed.Reason, closed.Detail);
        if (closed.Reason == RefusalReason.RequestHeadTimeout)
        {
            using var messages = new Http1Client(core, live, client);
            await LastWordsAsync(messages, record, Refusals.Status(closed.Reason)).ConfigureAwait(false);
        }
        else
        {
            core.AccessLog.Write(record);
        }
    }

    /// <summary>A response after which the connection ends; the client gets a moment to take it.</summary>
    private async Task LastWordsAsync(Http1Client messages, AccessRecord record, int status)
    {
        using var moment = new CancellationTokenSource(Parting.Moment, core.Time);
        try
        {
            await OwnResponse.WriteAsync(messages, record, status, close: true, moment.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The client does not listen.
        }

        core.AccessLog.Write(record);
    }
}
