using Signet.Proxy.L7;
using Signet.Proxy.Loop;

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

    private UpstreamSessions Sessions => Volatile.Read(ref _sessions) ?? Interlocked.CompareExchange(ref _sessions, new(dialer, GiveBackAsync, core), null) ?? _sessions!;

    /// <summary>A way for one request, on the loop that wants it.</summary>
    /// <param name="loop">The loop.</param>
    /// <param name="head">The request.</param>
    /// <param name="fresh">Whether a kept connection of HTTP/1 will not do.</param>
    /// <param name="cancellationToken">The caller no longer wants it.</param>
    public ValueTask<(IServerMessages? Server, DialOutcome.Failed? Failure)> OpenAsync(EventLoop loop, RequestHead head, bool fresh, CancellationToken cancellationToken) =>
        !head.IsWebSocketUpgrade && dialer.PrefersHttp2(head.Version) && Sessions.MayTry
            ? OpenStreamAsync(loop, fresh, cancellationToken)
            : OpenConnectionAsync(loop, fresh, cancellationToken);

    /// <summary>A connection for one request, on the loop that wants it: the one that was used last, or a new one.</summary>
    /// <returns>What came of it, and the era to give the connection back with.</returns>
    public async Task<(DialOutcome Outcome, object Era)> TakeAsync(EventLoop loop, bool fresh, CancellationToken cancellationToken)
    {
        var era = dialer.Era;
        while (!fresh && TakeUnused(loop) is { } unused)
        {
            if (IsFit(unused, era))
            {
                return (new DialOutcome.Connected(unused.Connection), era);
            }

            await unused.Connection.DisposeAsync().ConfigureAwait(false);
        }

        return (await dialer.DialAsync(loop, UpstreamUse.Http1, cancellationToken).ConfigureAwait(false), era);
    }

    /// <summary>Gives a connection back after a message whose end was certain on both sides.</summary>
    public async ValueTask GiveBackAsync(UpstreamConnection connection, object era)
    {
        if (connection.Transport.Available.IsEmpty)
        {
            connection.Rest(core.Time.GetTimestamp());
            lock (_gate)
            {
                if (!_isClosed && !core.IsDraining && _unused.Count < core.Config.Limits.IdleUpstreams)
                {
                    _unused.Add((connection, era));
                    return;
                }
            }
        }

        await connection.DisposeAsync().ConfigureAwait(false);
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

    private async ValueTask<(IServerMessages?, DialOutcome.Failed?)> OpenStreamAsync(EventLoop loop, bool fresh, CancellationToken cancellationToken)
    {
        var (session, failure) = await Sessions.TakeAsync(loop, cancellationToken).ConfigureAwait(false);
        return session is not null ? (new Http2Server(session), null)
            : Sessions.MayTry ? (null, new(failure!.Reason, failure.Detail, failure.Endpoint))
            : await OpenConnectionAsync(loop, fresh, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<(IServerMessages?, DialOutcome.Failed?)> OpenConnectionAsync(EventLoop loop, bool fresh, CancellationToken cancellationToken)
    {
        var (outcome, era) = await TakeAsync(loop, fresh, cancellationToken).ConfigureAwait(false);
        if (outcome is not DialOutcome.Connected { Connection: var connection })
        {
            return (null, (DialOutcome.Failed)outcome);
        }

        var messages = connection.Messages ??= new Http1Server(connection, this);
        messages.Begin(era);
        return (messages, null);
    }

    private bool IsFit((UpstreamConnection Connection, object Era) unused, object era) =>
        ReferenceEquals(unused.Era, era)
        && unused.Connection.IsSound(core.Time.GetUtcNow())
        && core.Time.GetElapsedTime(unused.Connection.IdleSince) <= core.Config.Timeouts.UpstreamIdle;

    private (UpstreamConnection Connection, object Era)? TakeUnused(EventLoop loop)
    {
        lock (_gate)
        {
            var last = _unused.FindLastIndex(unused => unused.Connection.Loop == loop);
            if (last < 0)
            {
                return null;
            }

            var taken = _unused[last];
            _unused.RemoveAt(last);
            return taken;
        }
    }
}
