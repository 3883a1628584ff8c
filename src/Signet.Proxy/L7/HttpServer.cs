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
    private HeadScanner _scanner;
    private bool _skippedEmptyLine;
    private bool _isFirst = true;
    private bool _hasHeadDeadline;
    private bool _isHttp2;

    /// <summary>Returns when the connection is over; disposing the transport is the caller's.</summary>
    public async Task RunAsync()
    {
        using var messages = new Http1Client(core, live, client);
        var goesOn = true;
        while (goesOn)
        {
            BeginHead();
            RequestHead? head;
            HttpProblem? problem;
            while (!TryTakeHead(out head, out problem))
            {
                // Awaited here and not further down: a connection at rest is as dear as what is suspended with it.
                var isIdle = BeginWait();
                var isOver = isIdle && core.EndsIdle;
                try
                {
                    if (isIdle && !isOver)
                    {
                        await client.WaitAsync(live.Token).ConfigureAwait(false);
                    }

                    isOver = isOver || !await client.ReadMoreAsync(HttpLimits.MaxHead, live.Token).ConfigureAwait(false);
                }
                catch (IOException)
                {
                    isOver = true;
                }
                catch (OperationCanceledException) when (live.Closed is { } closed)
                {
                    await CloseBetweenRequestsAsync(closed).ConfigureAwait(false);
                    isOver = true;
                }

                if (isOver)
                {
                    break;
                }

                live.IsIdle = false;
            }

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

    private void BeginHead() => (_scanner, _skippedEmptyLine, _hasHeadDeadline) = (default, false, false);

    /// <summary>
    /// Takes the next head, once it has come whole: false when more is needed. Neither a head nor a problem, and not HTTP/2 either, is what a
    /// caller is left with that stops asking: there is nothing more to say on the connection.
    /// </summary>
    private bool TryTakeHead(out RequestHead? head, out HttpProblem? problem)
    {
        head = null;
        int length;
        while (_scanner.TryFindEnd(client.Available.Span, out length, out problem) && length == 2 && !_skippedEmptyLine)
        {
            // One empty line before a request is forgiven: old clients end a body with one (RFC 9112 §2.2).
            (_skippedEmptyLine, _scanner) = (true, default);
            client.Consume(length);
        }

        if (length == 0)
        {
            problem ??= client.Available.Length >= HttpLimits.MaxHead ? HttpProblem.HeadTooLarge : null;
            return problem is not null;
        }

        if (_isFirst && client.Available.Span[..length].SequenceEqual(PrefaceHead))
        {
            _isHttp2 = true;
            return true;
        }

        problem = RequestHead.TryParse(client.Available.Span[..length], out head, out var malformed) ? null : malformed;
        client.Consume(length);
        client.ReleaseIfEmpty();
        return true;
    }

    /// <summary>Reading goes on within the deadline for the head that has begun, or for the next request when nothing of one is there yet. True for the latter.</summary>
    private bool BeginWait()
    {
        var isIdle = client.Available.IsEmpty;
        live.IsIdle = isIdle;
        if (isIdle)
        {
            _hasHeadDeadline = false;
            live.CloseAfter(core.Config.Timeouts.KeepAlive, RefusalReason.IdleTimeout);
        }
        else if (!_hasHeadDeadline)
        {
            _hasHeadDeadline = true;
            live.CloseAfter(core.Config.Timeouts.RequestHead, RefusalReason.RequestHeadTimeout);
        }

        return isIdle;
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
