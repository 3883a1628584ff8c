using Signet.Proxy.Connections;
using Signet.Proxy.L4;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Transport;
using Signet.Proxy.Upstreams;
using Signet.Proxy.Upstreams.Limits;

namespace Signet.Proxy.L7;

/// <summary>
/// One permitted request and its response. The request's body and the response flow at the same time; the answer is whether both ended so
/// that the client's connection can carry another request. The upstream connection goes back to its pool only under the same condition.
/// </summary>
internal sealed class HttpExchange(
    ProxyCore core, LiveConnection live, BufferedTransport client, OutputBuffer toClient, IHttpRole role, RequestHead head, Forwarding forwarding, AccessRecord record)
{
    private readonly BodyDecoder _requestBody = new(head.Body);

    private bool HasBody => head.Body.Kind != BodyKind.None;

    /// <returns>Whether another request may follow.</returns>
    public async Task<bool> RunAsync()
    {
        forwarding.Clearance.Demand();
        using var tries = role.Pool.Begin();
        while (true)
        {
            var (outcome, era) = await TakeAsync(tries).ConfigureAwait(false);
            if (outcome is DialOutcome.Failed failed)
            {
                record.Upstream = failed.Endpoint;
                return await FailAsync(failed.Reason, failed.Detail).ConfigureAwait(false);
            }

            var upstream = ((DialOutcome.Connected)outcome).Connection;
            Note(upstream);
            var end = await RunAsync(upstream, era, tries).ConfigureAwait(false);
            if (end != ExchangeEnd.Retry)
            {
                return end == ExchangeEnd.Reusable;
            }
        }
    }

    private enum ExchangeEnd
    {
        /// <summary>Both messages ended in certainty.</summary>
        Reusable,

        /// <summary>The client's connection must end.</summary>
        Final,

        /// <summary>The request is sent once more: nothing was answered, and nothing can have been done twice.</summary>
        Retry,
    }

    /// <summary>A connection, as far as there is time for one.</summary>
    private async Task<(DialOutcome Outcome, object Era)> TakeAsync(RequestTries tries)
    {
        using var patience = new Patience(tries.IsLimited, core.Time, live.Token);
        patience.Arm(tries.Left);
        try
        {
            return await role.Pool.TakeAsync(live.Loop, tries, patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (patience.IsOver && !live.Token.IsCancellationRequested)
        {
            await live.Loop.EnterAsync();
            return (new DialOutcome.Failed(RefusalReason.UpstreamTimeout, "no connection in time (timeouts.request)", null), this);
        }
    }

    private async Task<ExchangeEnd> RunAsync(UpstreamConnection upstream, object era, RequestTries tries)
    {
        var givenBack = false;
        using var patience = new Patience(tries.IsLimited, core.Time, live.Token);
        using var stopBody = HasBody ? CancellationTokenSource.CreateLinkedTokenSource(live.Token) : null;
        var body = SendRequestAsync(upstream, stopBody?.Token ?? live.Token);
        var response = ReceiveHeadAsync(upstream, patience.Token);
        try
        {
            if (!HasBody)
            {
                patience.Arm(tries.LeftOfTry);
            }

            // 1. A body that cannot be read to its end, or a client that left, ends everything; a server that stopped reading may still answer.
            if (!body.IsCompleted)
            {
                await Task.WhenAny(body, response).ConfigureAwait(false);
            }

            if (!response.IsCompleted && HasBody && await body.ConfigureAwait(false) is { End: PumpEnd.SourceMalformed or PumpEnd.SourceBroken } broken)
            {
                await upstream.DisposeAsync().ConfigureAwait(false);
                await ((Task)response).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                return await RefuseBodyAsync(broken).ConfigureAwait(false);
            }

            // 2. The final head, or the reason why there is none; from here on it must come in time.
            if (HasBody)
            {
                patience.Arm(tries.LeftOfTry);
            }

            var received = await response.ConfigureAwait(false);
            if (received.Head is not { } answer)
            {
                upstream.ReportFailure(received.Detail);
                var end = received.Reason == RefusalReason.UpstreamTimeout ? AttemptEnd.TimedOut : AttemptEnd.Broken;
                if (received.NothingCame && tries.TryAgain(upstream.Home, end, head.Method, isReplayable: !HasBody, wasKept: upstream.IsReused))
                {
                    return ExchangeEnd.Retry;
                }

                return await FailAsync(received.Reason, $"{upstream.Endpoint}: {received.Detail}").ConfigureAwait(false) ? ExchangeEnd.Reusable : ExchangeEnd.Final;
            }

            upstream.Report(answer.Status);
            if (answer.Status == 101)
            {
                await TunnelAsync(upstream, answer).ConfigureAwait(false);
                return ExchangeEnd.Final;
            }

            // 3. The response, framed for the client. It can only send another request once all of this one's body was taken from it.
            var clientGoesOn = head.KeepAlive && !core.IsDraining && _requestBody.IsComplete;
            var pumped = await SendResponseAsync(upstream, answer, clientGoesOn).ConfigureAwait(false);
            if (pumped.End != PumpEnd.Complete)
            {
                return CutShort(upstream, pumped);
            }

            // 4. The upstream connection is only reused when both messages have ended in certainty.
            stopBody?.Cancel();
            await ((Task)body).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (answer.KeepAlive && body.IsCompletedSuccessfully && (await body.ConfigureAwait(false)).End == PumpEnd.Complete)
            {
                givenBack = true;
                await role.Pool.GiveBackAsync(upstream, era).ConfigureAwait(false);
            }

            return clientGoesOn ? ExchangeEnd.Reusable : ExchangeEnd.Final;
        }
        finally
        {
            stopBody?.Cancel();
            if (!givenBack)
            {
                await upstream.DisposeAsync().ConfigureAwait(false);
            }

            await ((Task)body).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await ((Task)response).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Half a response must not look like a whole one.</summary>
    private ExchangeEnd CutShort(UpstreamConnection upstream, PumpResult pumped)
    {
        client.Abort();
        switch (pumped.End)
        {
            case PumpEnd.SourceMalformed:
                record.Refuse(RefusalReason.UpstreamMalformed, $"{upstream.Endpoint}: {pumped.Problem}");
                break;
            case PumpEnd.SourceBroken:
                record.Refuse(RefusalReason.UpstreamClosed, $"{upstream.Endpoint}: {pumped.Detail}");
                break;
            default:
                record.Detail = $"the client left: {pumped.Detail}";
                break;
        }

        return ExchangeEnd.Final;
    }

    private async Task<PumpResult> SendRequestAsync(UpstreamConnection upstream, CancellationToken cancellationToken)
    {
        using var toUpstream = new OutputBuffer(upstream.Transport);
        var fields = forwarding.Fields;
        if (head.Body.Kind == BodyKind.Chunked)
        {
            fields = [.. fields, new("transfer-encoding", "chunked")];
        }

        if (head.IsWebSocketUpgrade)
        {
            fields = [.. fields, new("connection", "upgrade"), new("upgrade", "websocket")];
        }

        try
        {
            await toUpstream.WriteRequestHeadAsync(head.Method, forwarding.Path, fields, cancellationToken).ConfigureAwait(false);
            if (!HasBody || head.ExpectsContinue)
            {
                await toUpstream.FlushAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        catch (IOException e)
        {
            return new(PumpEnd.SinkBroken, default, e.Message);
        }

        return HasBody
            ? await BodyPump.RunAsync(client, _requestBody, toUpstream, head.Body.Kind == BodyKind.Chunked, withTrailers: false, CountReceived, cancellationToken).ConfigureAwait(false)
            : PumpResult.Complete;
    }

    private readonly record struct Received(ResponseHead? Head, bool NothingCame, RefusalReason Reason, string Detail);

    /// <summary>Reads heads up to the final one; interim ones are passed on.</summary>
    private async Task<Received> ReceiveHeadAsync(UpstreamConnection upstream, CancellationToken patience)
    {
        for (var interim = 0; ; interim++)
        {
            var scanner = default(HeadScanner);
            var length = 0;
            HttpProblem? problem = null;

            // A pooled connection is empty, and the read that watched over its rest still owns the buffer: nobody looks before it ended.
            while (upstream.IsResting || !scanner.TryFindEnd(upstream.Transport.Available.Span, out length, out problem))
            {
                var nothingCame = interim == 0 && (upstream.IsResting || upstream.Transport.Available.IsEmpty);
                if (upstream.IsResting)
                {
                    problem = null;
                }
                else if (problem is not null || upstream.Transport.Available.Length >= HttpLimits.MaxHead)
                {
                    return new(null, false, RefusalReason.UpstreamMalformed, (problem ?? HttpProblem.HeadTooLarge).ToString());
                }

                try
                {
                    if (!await upstream.ReadMoreAsync(HttpLimits.MaxHead, patience).ConfigureAwait(false))
                    {
                        return new(null, nothingCame, RefusalReason.UpstreamClosed, "ended the connection before a response; its own log may say why");
                    }
                }
                catch (IOException e)
                {
                    return new(null, nothingCame, RefusalReason.UpstreamClosed, e.Message);
                }
                catch (OperationCanceledException) when (patience.IsCancellationRequested && !live.Token.IsCancellationRequested)
                {
                    await live.Loop.EnterAsync();
                    return new(null, nothingCame, RefusalReason.UpstreamTimeout, "no answer in time (timeouts.perTry, timeouts.request)");
                }
            }

            if (!ResponseHead.TryParse(upstream.Transport.Available.Span[..length], head.Method, out var response, out var malformed))
            {
                return new(null, false, RefusalReason.UpstreamMalformed, malformed.ToString());
            }

            upstream.Transport.Consume(length);
            if (response.Status == 101 && !head.IsWebSocketUpgrade)
            {
                return new(null, false, RefusalReason.UpstreamMalformed, nameof(HttpProblem.UpgradeUnasked));
            }

            if (!response.IsInterim)
            {
                return new(response, false, default, "");
            }

            if (interim == HttpLimits.MaxInterimResponses)
            {
                return new(null, false, RefusalReason.UpstreamMalformed, $"more than {HttpLimits.MaxInterimResponses} interim responses");
            }

            if (head.MinorVersion == 1)
            {
                await toClient.WriteResponseHeadAsync(response.Status, response.Phrase, ForwardedHeaders.EndToEnd(response.Headers), live.Token).ConfigureAwait(false);
                await toClient.FlushAsync(live.Token).ConfigureAwait(false);
            }
        }
    }

    private async Task<PumpResult> SendResponseAsync(UpstreamConnection upstream, ResponseHead answer, bool clientGoesOn)
    {
        var fields = FieldsOf(answer);
        var isOpenEnded = answer.Body.Kind is BodyKind.Chunked or BodyKind.UntilClose;
        var asChunks = isOpenEnded && head.MinorVersion == 1;
        if (asChunks)
        {
            fields.Add(new("transfer-encoding", "chunked"));
        }

        if (!clientGoesOn)
        {
            fields.Add(new("connection", "close"));
        }

        record.Code = answer.Status;
        try
        {
            await toClient.WriteResponseHeadAsync(answer.Status, answer.Phrase, fields, live.Token).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            return new(PumpEnd.SinkBroken, default, e.Message);
        }

        return await BodyPump.RunAsync(upstream.Transport, new BodyDecoder(answer.Body), toClient, asChunks, withTrailers: true, CountSent, live.Token).ConfigureAwait(false);
    }

    /// <summary>The final response's fields, as they go on.</summary>
    private List<KeyValuePair<string, string>> FieldsOf(ResponseHead answer)
    {
        var fields = ForwardedHeaders.EndToEnd(answer.Headers);
        FieldChange.Apply(forwarding.ToDownstream, fields);
        return fields;
    }

    /// <summary>After 101 the connection is a tunnel; the decision that let it begin is asked again whenever policies change.</summary>
    private async Task TunnelAsync(UpstreamConnection upstream, ResponseHead answer)
    {
        record.Code = 101;
        List<KeyValuePair<string, string>> fields = [.. FieldsOf(answer), new("connection", "upgrade"), new("upgrade", "websocket")];
        await toClient.WriteResponseHeadAsync(101, answer.Phrase, fields, live.Token).ConfigureAwait(false);
        await toClient.FlushAsync(live.Token).ConfigureAwait(false);
        live.CloseWhenIdleFor(core.Config.Timeouts.TcpIdle);
        role.KeepAsking(upstream.Session?.Peer, isTunnel: true);
        var (receivedBefore, sentBefore) = (live.Received, live.Sent);
        try
        {
            if (await Relay.RunAsync(forwarding.Clearance, client, upstream.Transport, live, live.Token).ConfigureAwait(false) is { } broken)
            {
                record.Detail = broken;
            }
        }
        finally
        {
            role.KeepAsking(upstream: null, isTunnel: false);
            record.BytesReceived += live.Received - receivedBefore;
            record.BytesSent += live.Sent - sentBefore;
        }
    }

    /// <summary>The request's own body is at fault: the server never sees its end, the client gets a 400.</summary>
    private async Task<ExchangeEnd> RefuseBodyAsync(PumpResult body)
    {
        if (body.End == PumpEnd.SourceMalformed)
        {
            record.Refuse(RefusalReason.MalformedRequest, body.Problem.ToString());
            await OwnResponse.WriteAsync(toClient, record, body.Problem.Status(), head.Method == "HEAD", close: true, live.Token).ConfigureAwait(false);
        }
        else
        {
            record.Detail = $"the client left: {body.Detail}";
        }

        return ExchangeEnd.Final;
    }

    /// <summary>No response came from upstream, so the proxy makes one. True when another request may follow.</summary>
    private async Task<bool> FailAsync(RefusalReason reason, string detail)
    {
        record.Refuse(reason, detail);
        var close = HasBody || !head.KeepAlive || core.IsDraining;
        await OwnResponse.WriteAsync(toClient, record, Refusals.Status(reason), head.Method == "HEAD", close, live.Token).ConfigureAwait(false);
        return !close;
    }

    private void Note(UpstreamConnection upstream)
    {
        record.Upstream = upstream.Endpoint;
        if (upstream.Session is { } session)
        {
            record.Note(session);
        }
    }

    private void CountReceived(int bytes)
    {
        record.BytesReceived += bytes;
        live.CountReceived(bytes);
    }

    private void CountSent(int bytes)
    {
        record.BytesSent += bytes;
        live.CountSent(bytes);
    }
}
