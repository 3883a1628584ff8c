using Signet.Proxy.Connections;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Transport;

namespace Signet.Proxy.L7;

/// <summary>
/// Serves the requests of one connection, one after the other: read a head within its deadline, decide, exchange, log. Whatever leaves the
/// place where the next request begins in doubt ends the connection.
/// </summary>
internal sealed class HttpServer(ProxyCore core, LiveConnection live, BufferedTransport client, IHttpRole role)
{
    /// <summary>Returns when the connection is over; disposing the transport is the caller's.</summary>
    public async Task RunAsync()
    {
        using var output = new OutputBuffer(client);
        var goesOn = true;
        while (goesOn)
        {
            var (head, problem) = await ReadHeadAsync().ConfigureAwait(false);
            if (head is null)
            {
                if (problem is { } malformed)
                {
                    await RefuseHeadAsync(output, malformed).ConfigureAwait(false);
                }

                break;
            }

            goesOn = await ServeAsync(head, output).ConfigureAwait(false);
            client.ReleaseIfEmpty();
        }

        await Parting.LingerAsync(client, core.Time).ConfigureAwait(false);
    }

    /// <summary>Waits for a request and reads its head. Neither a head nor a problem: there is nothing more to say on the connection.</summary>
    private async Task<(RequestHead? Head, HttpProblem? Problem)> ReadHeadAsync()
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

                var isGood = RequestHead.TryParse(client.Available.Span[..length], out var head, out var malformed);
                client.Consume(length);
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
    private async Task<bool> ReadMoreAsync()
    {
        var isIdle = client.Available.IsEmpty;
        live.IsIdle = isIdle;
        if (isIdle)
        {
            live.CloseAfter(core.Config.Timeouts.KeepAlive, RefusalReason.IdleTimeout);
        }

        try
        {
            if ((isIdle && core.IsDraining) || !await client.ReadMoreAsync(HttpLimits.MaxHead, live.Token).ConfigureAwait(false))
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

    /// <summary>One request from decision to log line. True when another may follow on the connection.</summary>
    private async Task<bool> ServeAsync(RequestHead head, OutputBuffer output)
    {
        live.CloseWhenIdleFor(core.Config.Timeouts.StreamIdle);
        var started = core.Time.GetTimestamp();
        var record = role.NewRecord();
        var fields = ForwardedHeaders.EndToEnd(head.Headers);
        (record.Method, record.Host, record.Path) = (head.Method, head.Host, head.Path);
        record.RequestId = RequestId.Take(fields);
        record.RequestFields = core.Config.AccessLog.WantsFields ? head.Headers : null;
        try
        {
            var ruling = await role.JudgeAsync(head, fields, record).ConfigureAwait(false);
            await live.Loop.EnterAsync();
            if (ruling.Forwarding is { } forwarding)
            {
                return await new HttpExchange(core, live, client, output, role, head, forwarding, record).RunAsync().ConfigureAwait(false);
            }

            // The body of a refused request is not read: the connection ends instead.
            var close = !head.KeepAlive || head.Body.Kind != BodyKind.None || core.IsDraining;
            await OwnResponse.WriteAsync(output, record, ruling.Reply ?? OwnResponse.Plain(record.Refusal!.Value), head.Method == "HEAD", close, live.Token).ConfigureAwait(false);
            return !close;
        }
        catch (IOException)
        {
            return false;
        }
        catch (OperationCanceledException) when (live.Closed is { } closed)
        {
            record.Refuse(closed.Reason, closed.Detail);
            return false;
        }
        finally
        {
            record.Duration = core.Time.GetElapsedTime(started);
            core.AccessLog.Write(record);
        }
    }

    private async Task RefuseHeadAsync(OutputBuffer output, HttpProblem problem)
    {
        var record = role.NewRecord();
        record.Refuse(RefusalReason.MalformedRequest, problem.ToString());
        await LastWordsAsync(output, record, problem.Status()).ConfigureAwait(false);
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
            using var output = new OutputBuffer(client);
            await LastWordsAsync(output, record, Refusals.Status(closed.Reason)).ConfigureAwait(false);
        }
        else
        {
            core.AccessLog.Write(record);
        }
    }

    /// <summary>A response after which the connection ends; the client gets a moment to take it.</summary>
    private async Task LastWordsAsync(OutputBuffer output, AccessRecord record, int status)
    {
        using var moment = new CancellationTokenSource(Parting.Moment, core.Time);
        try
        {
            await OwnResponse.WriteAsync(output, record, status, isHead: false, close: true, moment.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The client does not listen.
        }

        core.AccessLog.Write(record);
    }
}
