using Signet.Proxy.Tls;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// Keeps unused connections to one destination for the next request. One is only ever given to requests of the identity that opened it,
/// and only comes back after a message whose end was certain. Thread-safe; dispose to close what is kept.
/// </summary>
internal sealed class UpstreamPool(IUpstreamDialer dialer, ProxyCore core, bool usesIdentity) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly List<UpstreamConnection> _unused = [];
    private bool _isClosed;

    private OwnIdentity? Identity => usesIdentity ? core.Identity.Current : null;

    /// <summary>A connection for one request: the one that was used last, or a new one.</summary>
    public async Task<DialOutcome> TakeAsync(bool fresh, CancellationToken cancellationToken)
    {
        while (!fresh && TakeUnused() is { } connection)
        {
            if (connection.IsFit(Identity, core.Time.GetUtcNow()))
            {
                return new DialOutcome.Connected(connection);
            }

            await connection.DisposeAsync().ConfigureAwait(false);
        }

        return await dialer.DialAsync(forHttp: true, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Gives a connection back after a message whose end was certain on both sides.</summary>
    public async ValueTask GiveBackAsync(UpstreamConnection connection)
    {
        if (connection.Transport.Available.IsEmpty)
        {
            connection.Rest(core.Time.GetTimestamp());
            lock (_gate)
            {
                if (!_isClosed && !core.IsDraining && _unused.Count < core.Config.Limits.IdleUpstreams)
                {
                    _unused.Add(connection);
                    return;
                }
            }
        }

        await connection.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Closes what has ended, is too old, or belongs to an identity of the past.</summary>
    public async ValueTask SweepAsync()
    {
        var now = core.Time.GetUtcNow();
        List<UpstreamConnection> unfit;
        lock (_gate)
        {
            unfit = _unused.FindAll(connection =>
                !connection.IsFit(Identity, now) || core.Time.GetElapsedTime(connection.IdleSince) > core.Config.Timeouts.UpstreamIdle);
            _unused.RemoveAll(unfit.Contains);
        }

        foreach (var connection in unfit)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        List<UpstreamConnection> all;
        lock (_gate)
        {
            _isClosed = true;
            all = [.. _unused];
            _unused.Clear();
        }

        foreach (var connection in all)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    private UpstreamConnection? TakeUnused()
    {
        lock (_gate)
        {
            if (_unused.Count == 0)
            {
                return null;
            }

            var last = _unused[^1];
            _unused.RemoveAt(_unused.Count - 1);
            return last;
        }
    }
}
