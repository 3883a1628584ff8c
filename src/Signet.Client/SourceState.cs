using System.Collections.Immutable;

namespace Signet.Client;

/// <summary>The one snapshot that a source publishes, and those who wait for it.</summary>
internal sealed class SourceState : IX509Source
{
    private readonly Lock _gate = new();
    private ImmutableArray<Action> _callbacks = [];
    private TaskCompletionSource<X509Context> _first = NewWait();
    private X509Context? _current;
    private string? _problem = "no identity has been received yet";

    public X509Context? Current => Volatile.Read(ref _current);

    public string? Problem => Volatile.Read(ref _problem);

    public void Publish(X509Context context)
    {
        lock (_gate)
        {
            Volatile.Write(ref _current, context);
            Volatile.Write(ref _problem, null);
            _first.TrySetResult(context);
        }

        Announce();
    }

    /// <summary>Something went wrong; what was received before still holds.</summary>
    public void Fail(string problem) => Volatile.Write(ref _problem, problem);

    /// <summary>What went wrong is right again, and what was received before still holds.</summary>
    public void Recover() => Volatile.Write(ref _problem, null);

    /// <summary>The identity was taken away; it must not be used any more (Workload API §5.2.1).</summary>
    public void Withdraw(string problem)
    {
        bool had;
        lock (_gate)
        {
            had = _current is not null;
            Volatile.Write(ref _current, null);
            Volatile.Write(ref _problem, problem);
            if (_first.Task.IsCompleted)
            {
                _first = NewWait();
            }
        }

        if (had)
        {
            Announce();
        }
    }

    public Task<X509Context> WaitAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            return _first.Task.WaitAsync(cancellationToken);
        }
    }

    public IDisposable OnChange(Action changed)
    {
        lock (_gate)
        {
            _callbacks = _callbacks.Add(changed);
        }

        return new Registration(this, changed);
    }

    private void Announce()
    {
        ImmutableArray<Action> callbacks;
        lock (_gate)
        {
            callbacks = _callbacks;
        }

        foreach (var callback in callbacks)
        {
            callback();
        }
    }

    private static TaskCompletionSource<X509Context> NewWait() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private sealed class Registration(SourceState owner, Action callback) : IDisposable
    {
        public void Dispose()
        {
            lock (owner._gate)
            {
                owner._callbacks = owner._callbacks.Remove(callback);
            }
        }
    }
}
