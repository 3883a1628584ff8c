using Signet.Policy;
using Signet.Proxy.Authorization;
using Signet.Proxy.Connections;
using Signet.Proxy.Http2;
using Signet.Proxy.L7;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Transport;
using Signet.Proxy.Tunnel;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Listeners;

/// <summary>
/// Many connections of one peer in one session. Each is counted, decided, logged, asked about again and closed like a connection that came
/// alone; what all of them share is who the peer is and which port they came to.
/// </summary>
/// <param name="app">The way to the application.</param>
/// <param name="authorisers">The external ones.</param>
/// <param name="core">The proxy.</param>
/// <param name="live">The session's life.</param>
/// <param name="newRecord">A record that says what is known of the session.</param>
/// <param name="newFacts">Facts that say what is known of the session.</param>
/// <param name="subject">What an external authoriser is told.</param>
/// <param name="recheck">Whether the peer is still believed, and then whether policy still lets these facts pass.</param>
/// <param name="requestsOf">Who decides about the requests of a connection that carries HTTP; null when it does not, and is decided about as a whole.</param>
internal sealed class InboundTunnel(
    IUpstreamDialer app, Authorisers authorisers, ProxyCore core, LiveConnection live,
    Func<AccessRecord> newRecord, Func<RequestFacts> newFacts, Func<AccessRecord, CheckSubject> subject, Func<RequestFacts, LiveConnection.Closure?> recheck,
    Func<TunnelRequest, LiveConnection, IHttpRole?> requestsOf)
{
    /// <summary>Serves the session until it is over.</summary>
    /// <returns>How it ended, when not in order.</returns>
    public async Task<string?> RunAsync(ITransport session)
    {
        var server = new TunnelServer(session, new Http2Options { Time = core.Time, AtTurnEnd = live.Loop.Post }, OpenAsync);
        var running = server.Connection.RunAsync(live.Token);
        using var drain = core.Draining.UnsafeRegister(static connection => ((Http2Connection)connection!).Drain(), server.Connection);
        live.WhenEnding(server.Connection.Drain);
        var end = await running.ConfigureAwait(false);
        live.Token.ThrowIfCancellationRequested();
        return end.IsOrderly ? null : end.Reason;
    }

    private ValueTask<TunnelAnswer> OpenAsync(TunnelRequest request)
    {
        var one = core.Connections.Open(live.Direction, live.Listener, live.Source, live.Loop);
        one.LieIn(live);
        return requestsOf(request, one) is { } requests ? new(new TunnelAnswer.Permitted(transport => ServeHttpAsync(new Stream(core, one, requests.NewRecord(), isHttp: true), transport, requests))) : OpenTcpAsync(one);
    }

    private async ValueTask<TunnelAnswer> OpenTcpAsync(LiveConnection one)
    {
        var stream = new Stream(core, one, newRecord(), isHttp: false);
        var facts = newFacts();
        var relay = new InboundRelay(app, authorisers, core, stream.Live, facts, stream.Record);
        core.Metrics.Opened(stream.Live);
        var isOpen = false;
        try
        {
            isOpen = await relay.OpenAsync(() => subject(stream.Record)).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stream.Live.Closed is { } closed)
        {
            stream.Record.Refuse(closed.Reason, closed.Detail);
        }
        finally
        {
            if (!isOpen)
            {
                stream.End();
            }
        }

        return isOpen ? new TunnelAnswer.Permitted(transport => stream.EndWithAsync(() => relay.RunAsync(transport, () => recheck(facts))))
            : new TunnelAnswer.Refused(stream.Record.Refusal == RefusalReason.PolicyDenied ? 403 : 503);
    }

    /// <summary>Its requests have their own decisions and lines.</summary>
    private async Task ServeHttpAsync(Stream stream, ITransport transport, IHttpRole requests)
    {
        stream.Live.Protocol = "http";
        core.Metrics.Opened(stream.Live);
        using (requests)
        {
            await stream.EndWithAsync(() => new HttpServer(core, stream.Live, new BufferedTransport(transport), requests).RunAsync()).ConfigureAwait(false);
        }
    }

    /// <summary>One connection in the tunnel; the requests of HTTP have lines of their own.</summary>
    private sealed class Stream(ProxyCore core, LiveConnection live, AccessRecord record, bool isHttp)
    {
        private readonly long _started = core.Time.GetTimestamp();

        public LiveConnection Live => live;

        public AccessRecord Record => record;

        public async Task EndWithAsync(Func<Task> serve)
        {
            try
            {
                await ConnectionEnd.OfAsync(record, live, serve).ConfigureAwait(false);
            }
            finally
            {
                End();
            }
        }

        public void End()
        {
            core.Note(record, live, _started);
            if (!isHttp)
            {
                core.AccessLog.Write(record);
            }

            core.Connections.Forget(live);
        }
    }
}
