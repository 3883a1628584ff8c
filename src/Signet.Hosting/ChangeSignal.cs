namespace Signet.Hosting;

/// <summary>
/// Tells any number of waiters that something changed, without a queue: a waiter that was busy sees one change where there were many, and
/// then reads the newest state. Thread-safe.
/// </summary>
public sealed class ChangeSignal
{
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

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
