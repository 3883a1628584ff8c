using Signet.Proxy.Connections;
using Signet.Proxy.Http2;
using Signet.Proxy.Transport;

namespace Signet.Proxy.L7;

/// <summary>
/// Serves the requests of one HTTP/2 connection. Each stream has a life of its own, with its own deadlines, decision and log line, as if it
/// had come alone; what all of them share is who the client is.
/// </summary>
internal sealed class HttpStreams(ProxyCore core, LiveConnection live, ITransport client, IHttpRole role)
{
    /// <summary>Method, scheme, authority and path.</summary>
    private const int PseudoFields = 4;

    /// <summary>Returns when the connection is over. The transport becomes the connection's.</summary>
    public async Task RunAsync()
    {
        (live.Protocol, live.IsIdle) = ("http2", false);
        live.StayOpen();
        var options = new Http2Options
        {
            Time = core.Time,
            AtTurnEnd = live.Loop.Post,
            MaxIdle = core.Config.Timeouts.KeepAlive,
            MaxConcurrentStreams = core.Config.Limits.Streams,
            MaxHeaderList = HttpLimits.MaxHead,
            MaxFields = HttpLimits.MaxHeaders + PseudoFields,
        };
        var connection = Http2Connection.AsServer(client, options, ServeAsync, problem => Refuse(RefusalReason.MalformedRequest, problem.ToString()));
        var running = connection.RunAsync(live.Token);
        using var drain = core.Draining.UnsafeRegister(static connection => ((Http2Connection)connection!).Drain(), connection);
        live.WhenEnding(connection.Drain);
        var end = await running.ConfigureAwait(false);
        if (end.IsBreach)
        {
            Refuse(RefusalReason.MalformedRequest, end.Reason);
        }
        else if (live.Closed is { Reason: not (RefusalReason.IdleTimeout or RefusalReason.Draining) } closed)
        {
            Refuse(closed.Reason, closed.Detail);
        }
    }

    private async Task ServeAsync(Http2Stream stream)
    {
        var one = core.Connections.Open(live.Direction, live.Listener, live.Source, live.Loop);
        (one.Protocol, one.Peer) = ("http", live.Peer);
        stream.WhenBroken(e => End(one, e));
        var isGood = RequestHead.TryRead(stream.Request, stream.IsRead && stream.Trailers.Count == 0, out var head, out var problem);
        var messages = new Http2Client(stream, head, core.Time);
        try
        {
            if (isGood)
            {
                using var requests = role.ForStream(one);
                if (head!.IsGrpc && GrpcStatus.TimeoutOf(head.Headers) is { } timeout)
                {
                    one.EndAfter(timeout, RefusalReason.DeadlineExceeded);
                }

                await HttpRequests.ServeAsync(core, one, messages, requests, head).ConfigureAwait(false);
            }
            else
            {
                await RefuseAsync(messages, problem).ConfigureAwait(false);
            }
        }
        finally
        {
            messages.Leave();
            core.Connections.Forget(one);
        }
    }

    /// <summary>The client ended the stream, or its connection ended: so does what is done for it.</summary>
    private void End(LiveConnection one, Http2StreamException e)
    {
        if (live.Closed is { } closed)
        {
            one.Close(closed.Reason, closed.Detail);
        }
        else
        {
            one.Close(e.IsBreach ? RefusalReason.MalformedRequest : RefusalReason.ClientLeft, e.Message);
        }
    }

    private async Task RefuseAsync(Http2Client messages, HttpProblem problem)
    {
        var record = role.NewRecord();
        record.Refuse(RefusalReason.MalformedRequest, problem.ToString());
        try
        {
            await OwnResponse.WriteAsync(messages, record, problem.Status(), close: true, live.Token).ConfigureAwait(false);
        }
        finally
        {
            core.AccessLog.Write(record);
        }
    }

    private void Refuse(RefusalReason reason, string detail)
    {
        var record = role.NewRecord();
        record.Refuse(reason, detail);
        core.AccessLog.Write(record);
    }
}
