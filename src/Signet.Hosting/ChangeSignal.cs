namespace Signet.Hosting;

/// <summary>
/// Tells any number of waiters that something changed, without a queue: a waiter that was busy sees one change where there were many, and
/// then reads the newest state. Thread-safe.
/// </summary>
/// <param name="time">The clock by which it remembers when changes were raised; null when nobody asks.</param>
public sealed class ChangeSignal(TimeProvider? time = null)
{
    /// <summary>Of more changes at once than this the first are no longer told apart.</summary>
    private const int Remembered = 16;

    private readonly long[] _raisedAt = time is null ? [] : new long[Remembered];
    private readonly Lock _gate = new();
    private TaskCompletionSource _next = NewSource();
    private long _version;

    /// <summary>Grows by one at each change; read it before the state that it guards.</summary>
    public long Version => Volatile.Read(ref _version);

    public void Raise()
    {
        TaskCompletionSource raised;
        lock (_gate)
        {
            _version++;
            if (time is not null)
            {
                _raisedAt[_version % Remembered] = time.GetTimestamp();
            }

            raised = _next;
            _next = NewSource();
        }

        raised.SetResult();
    }

    /// <summary>Completes once the version is higher than the one seen.</summary>
    public Task WaitAsync(long seen, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            return _version > seen ? Task.CompletedTask : _next.Task.WaitAsync(cancellationToken);
        }
    }

    /// <summary>When the first change after the version seen was raised, as the clock's timestamp; null when there was none, or nothing is remembered.</summary>
    public long? RaisedAfter(long seen)
    {
        lock (_gate)
        {
            return time is null || _version <= seen ? null : _raisedAt[Math.Max(seen + 1, _version - Remembered + 1) % Remembered];
        }
    }

    /// <summary>Completes once the version is higher than the one seen, after a time, or when it is cancelled; which of them, the caller sees for itself.</summary>
    public async Task WaitAsync(long seen, TimeSpan atMost, TimeProvider time, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var delay = Task.Delay(atMost > TimeSpan.Zero ? atMost : TimeSpan.Zero, time, either.Token);
        await Task.WhenAny(delay, WaitAsync(seen, either.Token)).ConfigureAwait(false);
        await either.CancelAsync().ConfigureAwait(false);
    }

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
