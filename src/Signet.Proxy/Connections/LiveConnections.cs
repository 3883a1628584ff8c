using System.Collections.Concurrent;
using System.Net;
using Signet.Proxy.Loop;

namespace Signet.Proxy.Connections;

/// <summary>
/// The connections that live now. When time passes, those whose time is over are closed; when a policy or a bundle changes, every one is
/// asked again whether it may go on. Thread-safe.
/// </summary>
public sealed class LiveConnections(TimeProvider time)
{
    private readonly ConcurrentDictionary<long, LiveConnection> _all = new();
    private readonly Lock _recheckGate = new();
    private long _lastId;

    /// <summary>A snapshot, oldest first.</summary>
    public IReadOnlyList<LiveConnection> All => [.. _all.Values.OrderBy(live => live.Id)];

    public int Count => _all.Count;

    internal LiveConnection Open(Direction direction, string listener, IPEndPoint source, EventLoop loop)
    {
        var live = new LiveConnection(Interlocked.Increment(ref _lastId), direction, listener, source, loop, time);
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
                live.Ask();
            }
        }
    }

    /// <summary>Closes those whose deadline or peer's certificate has passed.</summary>
    internal void Sweep()
    {
        var now = time.GetUtcNow();
        foreach (var live in _all.Values)
        {
            live.Sweep(now);
        }
    }

    /// <summary>Closes those that wait for a request that has not begun.</summary>
    internal void CloseIdle(RefusalReason reason, string detail)
    {
        foreach (var live in _all.Values.Where(live => live.IsIdle))
        {
            live.Close(reason, detail);
        }
    }

    internal void CloseAll(RefusalReason reason, string detail)
    {
        foreach (var live in _all.Values)
        {
            live.Close(reason, detail);
        }
    }
}
