using System.Collections.Concurrent;
using System.Net;

namespace Signet.Proxy.Connections;

/// <summary>
/// The connections that live now. Every second those whose time is over are closed; when a policy or a bundle changes, every one is asked
/// again whether it may go on. Thread-safe; dispose to stop the watch.
/// </summary>
public sealed class LiveConnections : IAsyncDisposable
{
    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<long, LiveConnection> _all = new();
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _recheckGate = new();
    private readonly Task _sweep;
    private long _lastId;

    public LiveConnections(TimeProvider time)
    {
        _time = time;
        _sweep = SweepAsync(_stop.Token);
    }

    /// <summary>A snapshot, oldest first.</summary>
    public IReadOnlyList<LiveConnection> All => [.. _all.Values.OrderBy(live => live.Id)];

    public int Count => _all.Count;

    internal LiveConnection Open(Direction direction, string listener, IPEndPoint source)
    {
        var live = new LiveConnection(Interlocked.Increment(ref _lastId), direction, listener, source, _time);
        _all[live.Id] = live;
        return live;
    }

    /// <summary>The connection has ended; its owner calls this last.</summary>
    internal void Forget(LiveConnection live)
    {
        _all.TryRemove(live.Id, out _);
        live.Dispose();
    }

    /// <summary>Asks every connection again, and closes those that may not go on.</summary>
    internal void RecheckAll()
    {
        lock (_recheckGate)
        {
            foreach (var live in _all.Values)
            {
                if (live.Recheck?.Invoke() is { } closure)
                {
                    live.Close(closure.Reason, closure.Detail);
                }
            }
        }
    }

    internal void CloseAll(RefusalReason reason, string detail)
    {
        foreach (var live in _all.Values)
        {
            live.Close(reason, detail);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _sweep.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task SweepAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(SweepInterval, _time);
        while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
        {
            var now = _time.GetUtcNow();
            foreach (var live in _all.Values)
            {
                live.Sweep(now);
            }
        }
    }
}
