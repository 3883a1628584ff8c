namespace Signet.Proxy.Upstreams;

/// <summary>A token that is cancelled with another one, or when a time is up that is set later; the other itself where there is no limit.</summary>
/// <param name="isLimited">Whether a time will be set.</param>
/// <param name="time">The clock.</param>
/// <param name="other">The other.</param>
internal sealed class Patience(bool isLimited, TimeProvider time, CancellationToken other) : IDisposable
{
    private readonly CancellationTokenSource? _late = isLimited ? new(Timeout.InfiniteTimeSpan, time) : null;
    private CancellationTokenSource? _either;

    public CancellationToken Token => _late is null ? other : (_either ??= CancellationTokenSource.CreateLinkedTokenSource(_late.Token, other)).Token;

    /// <summary>Whether the time is up.</summary>
    public bool IsOver => _late is { IsCancellationRequested: true };

    /// <summary>The time begins to run; null sets none.</summary>
    public void Arm(TimeSpan? limit)
    {
        if (limit is { } span)
        {
            _late?.CancelAfter(span);
        }
    }

    public void Dispose()
    {
        _either?.Dispose();
        _late?.Dispose();
    }
}
