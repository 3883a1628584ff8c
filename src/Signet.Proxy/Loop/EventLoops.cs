namespace Signet.Proxy.Loop;

/// <summary>A proxy's loops, one per core. Thread-safe; dispose after everything that uses them has ended.</summary>
internal sealed class EventLoops : IAsyncDisposable
{
    private readonly EventLoop[] _loops;
    private int _turn = -1;

    /// <exception cref="IOException">The process has no descriptors left.</exception>
    public EventLoops(int count, Action<Exception> onFault) => _loops = [.. Enumerable.Range(0, count).Select(i => new EventLoop($"loop {i}", onFault))];

    public IReadOnlyList<EventLoop> All => _loops;

    /// <summary>The loop of this thread, or any: where new work begins.</summary>
    public EventLoop Any() => EventLoop.Current is { } current && _loops.Contains(current) ? current : _loops[(uint)Interlocked.Increment(ref _turn) % (uint)_loops.Length];

    /// <summary>Where a connection that <paramref name="here"/> accepted should live: there, unless another has clearly less to do.</summary>
    public EventLoop Place(EventLoop here)
    {
        var best = here;
        foreach (var loop in _loops)
        {
            if (loop.Load + 2 + (best.Load / 8) < best.Load)
            {
                best = loop;
            }
        }

        return best;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var loop in _loops)
        {
            loop.Stop();
        }

        await Task.WhenAll(_loops.Select(loop => loop.Ended)).ConfigureAwait(false);
    }
}
