namespace Signet.Proxy.Upstreams;

/// <summary>A token that is cancelled with another one, or when a time is up that is set later.</summary>
internal sealed class Patience : IDisposable
{
    private readonly CancellationTokenSource _late;
    private readonly CancellationTokenSource _either;

    /// <param name="time">The clock.</param>
    /// <param name="other">The other.</param>
    public Patience(TimeProvider time, CancellationToken other)
    {
        _late = new(Timeout.InfiniteTimeSpan, time);
        _either = CancellationTokenSource.CreateLinkedTokenSource(_late.Token, other);
    }

    public CancellationToken Token => _either.Token;

    /// <summary>Whether the time is up.</summary>
    public bool IsOver => _late.IsCancellationRequested;

    /// <summary>The time begins to run; null sets none.</summary>
    public void Arm(TimeSpan? limit)
    {
        if (limit is { } span)
        {
            _late.CancelAfter(span);
        }
    }

    public void Dispose()
    {
        _either.Dispose();
        _late.Dispose();
    }
}
