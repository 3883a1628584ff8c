using System.Runtime.CompilerServices;
using Signet.Proxy.Connections;
using Signet.Proxy.Http2;
using Signet.Proxy.L4;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Upstreams;
using Signet.Proxy.Upstreams.Limits;

namespace Signet.Proxy.L7;

/// <summary>How an attempt to exchange a request for a response ended.</summary>
internal enum ExchangeEnd
{
    /// <summary>Both messages ended in certainty.</summary>
    Reusable,

    /// <summary>The client's connection must end.</summary>
    Final,

    /// <summary>The request is sent once more: nothing was answered, and nothing can have been done twice.</summary>
    Retry,
}

/// <summary>
/// One permitted request and its response, from whatever version of HTTP to whatever other. The request's body and the response flow at the
/// same time; the answer is whether both ended so that the client's connection can carry another request. The upstream connection goes back
/// to its pool only under the same condition.
/// </summary>
internal sealed class HttpExchange(
    ProxyCore core, LiveConnection live, IClientMessages client, IHttpRole role, RequestHead head, Forwarding forwarding, AccessRecord record) : IDisposable
{
    private readonly RequestTries _tries = role.Pool.Begin();
    private bool _isAnswered;

    private bool HasBody => head.Body.Kind != BodyKind.None;

    /// <summary>Sends the request to a server and the response to the client, once.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<ExchangeEnd> TryAsync()
    {
        forwarding.Clearance.Demand();
        var (server, failure) = await OpenAsync().ConfigureAwait(false);
        await live.Loop.EnterAsync();
        if (server is null)
        {
            record.Upstream = failure!.Endpoint;
            return await FailAsync(failure.Reason, failure.Detail).ConfigureAwait(false);
        }

        Note(server);
        var (isComplete, sent) = (false, default(PumpResult));
        Task<PumpResult>? body = null;
        Task<Received>? response = null;
        using var patience = _tries.IsLimited ? new Patience(core.Time, live.Token) : null;
        using var stopBody = HasBody ? CancellationTokenSource.CreateLinkedTokenSource(live.Token) : null;
        try
        {
            // 1. A body that cannot be read to its end, or a client that left, ends everything; a server that stopped reading may still answer.
            var sending = SendRequestAsync(server, stopBody?.Token ?? live.Token);
            if (sending.IsCompleted)
            {
                sent = await sending.ConfigureAwait(false);
            }
            else
            {
                body = sending.AsTask();
            }

            var receiving = ReceiveHeadAsync(server, patience?.Token ?? live.Token);
            if (body is not null)
            {
                response = receiving.AsTask();
                await Task.WhenAny(body, response).ConfigureAwait(false);
                if (!response.IsCompleted)
                {
                    sent = await body.ConfigureAwait(false);
                }
            }

            if (response is not { IsCompleted: true } && sent.End is PumpEnd.SourceMalformed or PumpEnd.SourceBroken)
            {
                await server.DisposeAsync().ConfigureAwait(false);
                response ??= receiving.AsTask();
                await ((Task)response).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                return await RefuseBodyAsync(sent).ConfigureAwait(false);
            }

            // 2. The final head, or the reason why there is none; from here on it must come in time.
            patience?.Arm(_tries.LeftOfTry);
            var received = response is null ? await receiving.ConfigureAwait(false) : await response.ConfigureAwait(false);
            if (received.Head is not { } answer)
            {
                if (server.Home is { } silent && received.Fate is RequestFate.Unknown or RequestFate.Unanswered)
                {
                    silent.Owner.ReportFailure(silent, $"{server.Endpoint}: {received.Detail}");
                }

                if (await MayRetryAsync(server, received, body, stopBody).ConfigureAwait(false))
                {
                    return ExchangeEnd.Retry;
                }

                if (received.Fate == RequestFate.Unprocessed && client.TryRefuse())
                {
                    record.Refuse(received.Reason, $"{server.Endpoint}: {received.Detail}");
                    return ExchangeEnd.Final;
                }

                return await FailAsync(received.Reason, $"{server.Endpoint}: {received.Detail}").ConfigureAwait(false);
            }

            if (server.Home is { } home)
            {
                home.Owner.Report(home, answer.Status);
            }

            if (answer.Status == 101)
            {
                await TunnelAsync(server, answer).ConfigureAwait(false);
                return ExchangeEnd.Final;
            }

            // 3. The response, framed for the client.
            var clientGoesOn = client.MayGoOn;
            var pumped = await SendResponseAsync(server, answer, clientGoesOn).ConfigureAwait(false);
            if (pumped.End != PumpEnd.Complete)
            {
                return CutShort(server, pumped);
            }

            // 4. The upstream connection is only reused when both messages have ended in certainty.
            if (body is not null)
            {
                stopBody!.Cancel();
                await ((Task)body).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                sent = body.IsCompletedSuccessfully ? await body.ConfigureAwait(false) : new(PumpEnd.SourceBroken);
            }

            if (sent.End == PumpEnd.Complete)
            {
                isComplete = true;
                await server.CompleteAsync(answer).ConfigureAwait(false);
            }

            return clientGoesOn ? ExchangeEnd.Reusable : ExchangeEnd.Final;
        }
        finally
        {
            stopBody?.Cancel();
            if (!isComplete)
            {
                await server.DisposeAsync().ConfigureAwait(false);
            }

            await ((Task?)body ?? Task.CompletedTask).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await ((Task?)response ?? Task.CompletedTask).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void Dispose() => _tries.Dispose();

    /// <summary>A way to a server, as far as there is time for one.</summary>
    private ValueTask<(IServerMessages? Server, DialOutcome.Failed? Failure)> OpenAsync() =>
        _tries.Left is { } left ? OpenAsync(left) : role.Pool.OpenAsync(live.Loop, head, _tries, live.Token);

    private async ValueTask<(IServerMessages? Server, DialOutcome.Failed? Failure)> OpenAsync(TimeSpan left)
    {
        using var patience = new Patience(core.Time, live.Token);
        patience.Arm(left);
        try
        {
            return await role.Pool.OpenAsync(live.Loop, head, _tries, patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (patience.IsOver && !live.Token.IsCancellationRequested)
        {
            return (null, new(RefusalReason.UpstreamTimeout, "no connection in time (timeouts.request)", null));
        }
    }

    /// <summary>Whether a request that got no answer is sent again; what is left of its body must not be read meanwhile.</summary>
    private async ValueTask<bool> MayRetryAsync(IServerMessages server, Received received, Task<PumpResult>? body, CancellationTokenSource? stopBody)
    {
        switch (received.Fate)
        {
            case RequestFate.Unknown:
                return false;

            case RequestFate.Unprocessed:
                stopBody?.Cancel();
                await ((Task?)body ?? Task.CompletedTask).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                return _tries.TryAgain(server.Home, AttemptEnd.Unprocessed, head.Method, isReplayable: !HasBody || client.Body.IsUntouched, wasKept: false);

            default:
                var end = received.Reason == RefusalReason.UpstreamTimeout ? AttemptEnd.TimedOut : AttemptEnd.Broken;
                return _tries.TryAgain(server.Home, end, head.Method, isReplayable: !HasBody, wasKept: received.Fate == RequestFate.ProbablyUnread);
        }
    }

    /// <summary>Half a response must not look like a whole one.</summary>
    private ExchangeEnd CutShort(IServerMessages server, PumpResult pumped)
    {
        switch (pumped.End)
        {
            case PumpEnd.SourceMalformed:
                client.Abort(Http2Error.InternalError);
                record.Refuse(RefusalReason.UpstreamMalformed, $"{server.Endpoint}: {pumped.Problem}");
                break;
            case PumpEnd.SourceBroken:
                client.Abort(pumped.Code is Http2Error.Cancel or Http2Error.EnhanceYourCalm ? pumped.Code : Http2Error.InternalError);
                record.Refuse(RefusalReason.UpstreamClosed, $"{server.Endpoint}: {pumped.Detail}");
                break;
            default:
                live.Token.ThrowIfCancellationRequested();
                client.Abort(Http2Error.Cancel);
                record.Refuse(ReasonOf(pumped), pumped.Detail);
                break;
        }

        return ExchangeEnd.Final;
    }

    private async ValueTask<PumpResult> SendRequestAsync(IServerMessages server, CancellationToken cancellationToken)
    {
        try
        {
            await server.WriteHeadAsync(head, forwarding, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            return PumpResult.Broken(PumpEnd.SinkBroken, e);
        }

        if (!HasBody)
        {
            return PumpResult.Complete;
        }

        var end = await BodyPump.RunAsync(client.Body, server, withTrailers: false, new(record, live, isRequest: true), cancellationToken).ConfigureAwait(false);
        if (end.End == PumpEnd.SourceMalformed && _isAnswered)
        {
            // The server waits for the rest of a request that has none.
            live.Close(RefusalReason.MalformedRequest, end.Problem.ToString());
        }

        return end;
    }

    /// <summary>Reads heads up to the final one; interim ones are passed on.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Received> ReceiveHeadAsync(IServerMessages server, CancellationToken patience)
    {
        for (var interim = 0; ; interim++)
        {
            Received received;
            while (!server.TryTakeHead(head, out received))
            {
                try
                {
                    if (!await server.ReadMoreAsync(patience).ConfigureAwait(false))
                    {
                        return server.NoHead(broken: null);
                    }
                }
                catch (IOException e)
                {
                    return server.NoHead(e);
                }
                catch (OperationCanceledException) when (patience.IsCancellationRequested && !live.Token.IsCancellationRequested)
                {
                    await live.Loop.EnterAsync();
                    return new(null, RefusalReason.UpstreamTimeout, "no answer in time (timeouts.perTry, timeouts.request)", interim == 0 ? RequestFate.Unanswered : RequestFate.Unknown);
                }
            }

            if (received.Head is not { IsInterim: true } announced)
            {
                return received;
            }

            if (interim == HttpLimits.MaxInterimResponses)
            {
                return new(null, RefusalReason.UpstreamMalformed, $"more than {HttpLimits.MaxInterimResponses} interim responses");
            }

            await client.WriteInterimAsync(announced, ForwardedHeaders.EndToEnd(announced.Headers), live.Token).ConfigureAwait(false);
        }
    }

    private async ValueTask<PumpResult> SendResponseAsync(IServerMessages server, ResponseHead answer, bool clientGoesOn)
    {
        (record.Code, _isAnswered) = (answer.Status, true);
        try
        {
            await client.WriteHeadAsync(answer.Status, answer.Phrase, FieldsOf(answer), answer.Body, clientGoesOn, live.Token).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            return PumpResult.Broken(PumpEnd.SinkBroken, e);
        }

        var end = await BodyPump.RunAsync(server.Body, client, withTrailers: true, new(record, live, isRequest: false), live.Token).ConfigureAwait(false);
        if (head.Version == ProtocolVersion.Http2 && end.End == PumpEnd.Complete)
        {
            record.GrpcStatus = GrpcStatus.Read(answer.Headers) ?? GrpcStatus.Read(server.Body.Trailers);
        }

        return end;
    }

    /// <summary>The final response's fields, as they go on.</summary>
    private List<KeyValuePair<string, string>> FieldsOf(ResponseHead answer)
    {
        var fields = ForwardedHeaders.EndToEnd(answer.Headers);
        FieldChange.Apply(forwarding.ToDownstream, fields);
        record.ResponseFields = core.Config.AccessLog.WantsResponseFields ? fields : null;
        return fields;
    }

    /// <summary>After 101 the connection is a tunnel; the decision that let it begin is asked again whenever policies change.</summary>
    private async Task TunnelAsync(IServerMessages server, ResponseHead answer)
    {
        record.Code = 101;
        List<KeyValuePair<string, string>> fields = [.. FieldsOf(answer), new("connection", "upgrade"), new("upgrade", "websocket")];
        await client.WriteHeadAsync(101, answer.Phrase, fields, BodyFraming.None, goesOn: true, live.Token).ConfigureAwait(false);
        await client.FlushAsync(live.Token).ConfigureAwait(false);
        live.CloseWhenIdleFor(core.Config.Timeouts.TcpIdle);
        role.KeepAsking(server.Session, isTunnel: true);
        var (receivedBefore, sentBefore) = (live.Received, live.Sent);
        try
        {
            if (await Relay.RunAsync(forwarding.Clearance, client.Upgraded, server.Upgraded, live, live.Token).ConfigureAwait(false) is { } broken)
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
            await OwnResponse.WriteAsync(client, record, body.Problem.Status(), close: true, live.Token).ConfigureAwait(false);
        }
        else
        {
            live.Token.ThrowIfCancellationRequested();
            record.Refuse(ReasonOf(body), body.Detail);
        }

        return ExchangeEnd.Final;
    }

    /// <summary>Why the client's side broke.</summary>
    private static RefusalReason ReasonOf(PumpResult client) => client.IsBreach ? RefusalReason.MalformedRequest : RefusalReason.ClientLeft;

    /// <summary>No response came from upstream, so the proxy makes one.</summary>
    private async Task<ExchangeEnd> FailAsync(RefusalReason reason, string detail)
    {
        record.Refuse(reason, detail);
        var close = HasBody || !client.MayGoOn;
        await OwnResponse.WriteAsync(client, record, Refusals.Status(reason), close, live.Token).ConfigureAwait(false);
        return close ? ExchangeEnd.Final : ExchangeEnd.Reusable;
    }

    private void Note(IServerMessages server)
    {
        record.Upstream = server.Endpoint;
        if (server.Session is { } session)
        {
            record.Note(session);
        }

        if (head.Version == ProtocolVersion.Http2)
        {
            role.Reached(server.Session);
        }
    }
}
