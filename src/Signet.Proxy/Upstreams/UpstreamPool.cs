using Signet.Proxy.L7;
using Signet.Proxy.Loop;
using Signet.Proxy.Upstreams.Limits;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// The way of requests to one destination: by HTTP/2 many share a session, by HTTP/1 unused connections are kept for the next request. One is
/// only ever given to requests of the identity that opened it, and only comes back after a message whose end was certain. Thread-safe; dispose to close what is kept.
/// </summary>
internal sealed class UpstreamPool(IUpstreamDialer dialer, ProxyCore core) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly List<(UpstreamConnection Connection, object Era)> _unused = [];
    private UpstreamSessions? _sessions;
    private bool _isClosed;

    /// <summary>How many connections are kept.</summary>
    public int Unused
    {
        get
        {
            lock (_gate)
            {
                return _unused.Count;
            }
        }
    }

    private UpstreamSessions Sessions => Volatile.Read(ref _sessions) ?? Interlocked.CompareExchange(ref _sessions, new(dialer, this, core), null) ?? _sessions!;

    /// <summary>The way of a request that begins now.</summary>
    public RequestTries Begin() => new(dialer.Upstream, core);

    /// <summary>
    /// A way for one request, on the loop that wants it: to the endpoint that is chosen, in a session or by the connection that was used last, or by a
    /// new one. Where none comes about others are asked, as far as the request's tries go.
    /// </summary>
    public ValueTask<(IServerMessages? Server, DialOutcome.Failed? Failure)> OpenAsync(EventLoop loop, RequestHead head, RequestTries tries, CancellationToken cancellationToken)
    {
        var era = dialer.Era;
        var byHttp2 = !head.IsWebSocketUpgrade && dialer.PrefersHttp2(head.Version);
        return dialer.Upstream is { } upstream
            ? ChooseAsync(upstream, loop, byHttp2, tries, era, cancellationToken)
            : OpenAsync(loop, null, byHttp2, tries, era, cancellationToken);
    }

    private async ValueTask<(IServerMessages? Server, DialOutcome.Failed? Failure)> ChooseAsync(
        Upstream upstream, EventLoop loop, bool byHttp2, RequestTries tries, object era, CancellationToken cancellationToken)
    {
        DialOutcome.Failed? last = null;
        while (true)
        {
            if (!upstream.TryChoose(isRequest: true, tries.Tried, out var use, out var nobody) && !(nobody is null && last is null && upstream.TryChoose(isRequest: true, tried: null, out use, out nobody)))
            {
                return (null, nobody ?? last!);
            }

            var (server, failure) = await OpenAsync(loop, use, byHttp2, tries, era, cancellationToken).ConfigureAwait(false);
            if (server is not null)
            {
                return (server, null);
            }

            if (failure is not null)
            {
                if (!failure.BlamesEndpoint || !tries.TryAgain(use!.Endpoint, AttemptEnd.NotConnected, method: null, isReplayable: true, wasKept: false))
                {
                    return (null, failure);
                }

                last = failure;
            }

            await loop.EnterAsync();
        }
    }

    /// <summary>Gives a connection back after a message whose end was certain on both sides.</summary>
    public async ValueTask GiveBackAsync(UpstreamConnection connection, object era)
    {
        connection.EndUse();
        if (connection.Transport.Available.IsEmpty && !(dialer.Upstream?.Traffic.Pool.MaxRequestsPerConnection is { } most && connection.Requests >= most))
        {
            await connection.ForgetAskerAsync().ConfigureAwait(false);
            connection.Rest(core.Time.GetTimestamp());
            var isKept = false;
            lock (_gate)
            {
                if (!_isClosed && !core.IsDraining && _unused.Count < core.Config.Limits.IdleUpstreams)
                {
                    _unused.Add((connection, era));
                    isKept = true;
                }
            }

            if (isKept)
            {
                dialer.Upstream?.Wake();
                return;
            }
        }

        await connection.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Closes an unused connection, wherever it leads to, so that another one may be opened. False when there is none.</summary>
    public async ValueTask<bool> MakeRoomAsync()
    {
        UpstreamConnection? unused;
        lock (_gate)
        {
            unused = Remove_NeedsLock(_unused.Count - 1)?.Connection;
        }

        if (unused is null)
        {
            return false;
        }

        await unused.DisposeAsync().ConfigureAwait(false);
        return true;
    }

    /// <summary>Closes what has ended, is too old, or belongs to an identity of the past.</summary>
    public async ValueTask SweepAsync()
    {
        _sessions?.Sweep();
        var era = dialer.Era;
        List<(UpstreamConnection Connection, object Era)> unfit;
        lock (_gate)
        {
            unfit = _unused.FindAll(unused => !IsFit(unused, era));
            _unused.RemoveAll(unfit.Contains);
        }

        foreach (var (connection, _) in unfit)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        List<(UpstreamConnection Connection, object Era)> all;
        lock (_gate)
        {
            _isClosed = true;
            all = [.. _unused];
            _unused.Clear();
        }

        foreach (var (connection, _) in all)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }

        await Sessions.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>A way to the endpoint that was chosen. The use is the way's when there is one, and over otherwise. Neither a way nor a failure: something has changed meanwhile, choose again.</summary>
    private ValueTask<(IServerMessages? Server, DialOutcome.Failed? Failure)> OpenAsync(EventLoop loop, EndpointUse? use, bool byHttp2, RequestTries tries, object era, CancellationToken cancellationToken)
    {
        var unused = byHttp2 || tries.WantsNew ? null : TakeUnused(loop, use?.Endpoint);
        return unused is { } kept && IsFit(kept, era)
            ? new((Lend(kept.Connection, use, era), null))
            : OpenAsync(unused?.Connection, loop, use, byHttp2, tries, era, cancellationToken);
    }

    /// <inheritdoc cref="OpenAsync(EventLoop, EndpointUse?, bool, RequestTries, object, CancellationToken)"/>
    /// <param name="unfit">A kept connection that would not do.</param>
    private async ValueTask<(IServerMessages?, DialOutcome.Failed?)> OpenAsync(
        UpstreamConnection? unfit, EventLoop loop, EndpointUse? use, bool byHttp2, RequestTries tries, object era, CancellationToken cancellationToken)
    {
        var isTaken = false;
        try
        {
            if (unfit is not null)
            {
                await unfit.DisposeAsync().ConfigureAwait(false);
            }

            if (byHttp2 && Sessions.MayTry)
            {
                var (session, failure) = await Sessions.TakeAsync(loop, new(era, use?.Endpoint), cancellationToken).ConfigureAwait(false);
                if (session is not null)
                {
                    isTaken = true;
                    return (new Http2Server(session, use), null);
                }

                if (Sessions.MayTry)
                {
                    return (null, new(failure!.Reason, failure.Detail, failure.Endpoint));
                }
            }

            var connection = await TakeUnusedAsync(loop, use?.Endpoint, tries, era).ConfigureAwait(false);
            if (connection is null)
            {
                var outcome = use is null
                    ? await dialer.DialAsync(loop, UpstreamUse.Http1, cancellationToken).ConfigureAwait(false)
                    : await DialInTurnAsync(loop, use.Endpoint, cancellationToken).ConfigureAwait(false);
                if (outcome is not DialOutcome.Connected connected)
                {
                    return (null, (DialOutcome.Failed?)outcome);
                }

                connection = connected.Connection;
            }

            isTaken = true;
            return (Lend(connection, use, era), null);
        }
        finally
        {
            if (!isTaken)
            {
                use?.Dispose();
            }
        }
    }

    private Http1Server Lend(UpstreamConnection connection, EndpointUse? use, object era)
    {
        connection.BeginUse(use);
        var messages = connection.Messages ??= new Http1Server(connection, this);
        messages.Begin(era);
        return messages;
    }

    /// <summary>A new connection, as soon as there is a place for one. Null: something has changed meanwhile, choose again.</summary>
    private async Task<DialOutcome?> DialInTurnAsync(EventLoop loop, UpstreamEndpoint endpoint, CancellationToken cancellationToken)
    {
        var upstream = endpoint.Owner;
        if (upstream.BeginWaiting() is { } tooMany)
        {
            return tooMany;
        }

        try
        {
            if (upstream.TryOpenConnection())
            {
                return await dialer.DialAsync(loop, endpoint, UpstreamUse.Http1, cancellationToken).ConfigureAwait(false);
            }

            // An unused one elsewhere makes room; without any, somebody has to finish first.
            if (!await MakeRoomAsync().ConfigureAwait(false))
            {
                Sessions.RetireIdle();
                await upstream.WaitForConnectionAsync(cancellationToken).ConfigureAwait(false);
            }

            return null;
        }
        finally
        {
            upstream.EndWaiting();
        }
    }

    private bool IsFit((UpstreamConnection Connection, object Era) unused, object era) =>
        ReferenceEquals(unused.Era, era)
        && unused.Connection.IsSound(core.Time)
        && core.Time.GetElapsedTime(unused.Connection.IdleSince) <= core.Config.Timeouts.UpstreamIdle;

    /// <summary>A fit connection to the endpoint, unless only a new one will do.</summary>
    private async ValueTask<UpstreamConnection?> TakeUnusedAsync(EventLoop loop, UpstreamEndpoint? endpoint, RequestTries tries, object era)
    {
        while (!tries.WantsNew && TakeUnused(loop, endpoint) is { } unused)
        {
            if (IsFit(unused, era))
            {
                return unused.Connection;
            }

            await unused.Connection.DisposeAsync().ConfigureAwait(false);
        }

        return null;
    }

    private (UpstreamConnection Connection, object Era)? TakeUnused(EventLoop loop, UpstreamEndpoint? endpoint)
    {
        lock (_gate)
        {
            var index = _unused.Count - 1;
            while (index >= 0 && !(_unused[index].Connection.Loop == loop && _unused[index].Connection.Home == endpoint))
            {
                index--;
            }

            return Remove_NeedsLock(index);
        }
    }

    private (UpstreamConnection Connection, object Era)? Remove_NeedsLock(int index)
    {
        if (index < 0)
        {
            return null;
        }

        var taken = _unused[index];
        _unused.RemoveAt(index);
        return taken;
    }
}
