using Signet.Proxy.Loop;
using Signet.Proxy.Upstreams.Limits;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// Keeps unused connections to one destination for the next request. One is only ever given to requests of the identity that opened it,
/// and only comes back after a message whose end was certain. Thread-safe; dispose to close what is kept.
/// </summary>
internal sealed class UpstreamPool(IUpstreamDialer dialer, ProxyCore core) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly List<(UpstreamConnection Connection, object Era)> _unused = [];
    private bool _isClosed;

    /// <summary>The way of a request that begins now.</summary>
    public RequestTries Begin() => new(dialer.Upstream, core);

    /// <summary>
    /// A connection for one request, on the loop that wants it: of those to the endpoint that is chosen the one that was used last, or a new one. Where
    /// none comes about others are asked, as far as the request's tries go.
    /// </summary>
    /// <returns>What came of it, and the era to give the connection back with.</returns>
    public async Task<(DialOutcome Outcome, object Era)> TakeAsync(EventLoop loop, RequestTries tries, CancellationToken cancellationToken)
    {
        var era = dialer.Era;
        if (dialer.Upstream is not { } upstream)
        {
            return (await TakeUnusedAsync(loop, null, tries, era).ConfigureAwait(false) is { } kept
                ? new DialOutcome.Connected(kept)
                : await dialer.DialAsync(loop, forHttp: true, cancellationToken).ConfigureAwait(false), era);
        }

        DialOutcome.Failed? last = null;
        while (true)
        {
            if (!upstream.TryChoose(isRequest: true, tries.Tried, out var use, out var nobody) && !(nobody is null && last is null && upstream.TryChoose(isRequest: true, tried: null, out use, out nobody)))
            {
                return (nobody ?? last!, era);
            }

            if (await TakeUnusedAsync(loop, use, tries, era).ConfigureAwait(false) is { } unused)
            {
                return (new DialOutcome.Connected(unused), era);
            }

            var outcome = await DialInTurnAsync(upstream, loop, use!, cancellationToken).ConfigureAwait(false);
            if (outcome is null)
            {
                continue;
            }

            if (outcome is not DialOutcome.Failed failed || !failed.BlamesEndpoint || !tries.TryAgain(use!.Endpoint, AttemptEnd.NotConnected, method: null, isReplayable: true, wasKept: false))
            {
                return (outcome, era);
            }

            last = failed;
        }
    }

    /// <summary>Gives a connection back after a message whose end was certain on both sides.</summary>
    public async ValueTask GiveBackAsync(UpstreamConnection connection, object era)
    {
        connection.EndUse();
        if (connection.Transport.Available.IsEmpty && !(dialer.Upstream?.Traffic.Pool.MaxRequestsPerConnection is { } most && connection.Requests >= most))
        {
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

    /// <summary>Closes what has ended, is too old, or belongs to an identity of the past.</summary>
    public async ValueTask SweepAsync()
    {
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
    }

    /// <summary>A new connection, as soon as there is a place for one. Null: something has changed meanwhile, choose again.</summary>
    private async Task<DialOutcome?> DialInTurnAsync(Upstream upstream, EventLoop loop, EndpointUse use, CancellationToken cancellationToken)
    {
        if (upstream.BeginWaiting() is { } tooMany)
        {
            use.Dispose();
            return tooMany;
        }

        try
        {
            if (upstream.TryOpenConnection())
            {
                return await dialer.DialAsync(loop, use, forHttp: true, cancellationToken).ConfigureAwait(false);
            }

            // An unused one elsewhere makes room; without any, somebody has to finish first.
            use.Dispose();
            if (TakeAny() is { } elsewhere)
            {
                await elsewhere.DisposeAsync().ConfigureAwait(false);
            }
            else
            {
                await upstream.WaitForConnectionAsync(cancellationToken).ConfigureAwait(false);
                await loop.EnterAsync();
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
        && unused.Connection.IsSound(core.Time.GetUtcNow())
        && core.Time.GetElapsedTime(unused.Connection.IdleSince) <= core.Config.Timeouts.UpstreamIdle;

    /// <summary>A fit connection to the endpoint, unless only a new one will do.</summary>
    private async ValueTask<UpstreamConnection?> TakeUnusedAsync(EventLoop loop, EndpointUse? use, RequestTries tries, object era)
    {
        while (!tries.WantsNew && TakeUnused(loop, use?.Endpoint) is { } unused)
        {
            if (IsFit(unused, era))
            {
                unused.Connection.BeginUse(use);
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
            return Remove_NeedsLock(_unused.FindLastIndex(unused => unused.Connection.Loop == loop && unused.Connection.Home == endpoint));
        }
    }

    private UpstreamConnection? TakeAny()
    {
        lock (_gate)
        {
            return Remove_NeedsLock(_unused.Count - 1)?.Connection;
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
