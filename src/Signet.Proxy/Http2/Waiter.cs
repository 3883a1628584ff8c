using System.Threading.Tasks.Sources;

namespace Signet.Proxy.Http2;

/// <summary>Somebody who waits for one thing at a time, again and again, without an allocation each time. What it waits for is decided under the connection's gate; it is woken outside of it.</summary>
internal abstract class Waiter
{
    /// <summary>The next in the queue of those to be woken.</summary>
    public Waiter? Next { get; set; }

    /// <summary>Somebody waits and nothing was decided yet. Under the gate.</summary>
    public bool IsArmed { get; protected set; }

    /// <summary>Continues whoever waited, on this thread.</summary>
    public abstract void Wake();
}

/// <summary>News for somebody who does not wait for it.</summary>
internal sealed class Notice(Action<Http2StreamException> onBroken, Http2StreamException failure) : Waiter
{
    public override void Wake() => onBroken(failure);
}

/// <inheritdoc/>
internal sealed class Waiter<T>(Http2Connection connection) : Waiter, IValueTaskSource<T>, IValueTaskSource
{
    private ManualResetValueTaskSourceCore<T> _core;
    private CancellationTokenRegistration _cancellation;
    private CancellationToken _token;
    private Exception? _problem;
    private T _result = default!;

    /// <summary>Begins to wait.</summary>
    /// <exception cref="InvalidOperationException">Somebody waits already.</exception>
    public void Arm_NeedsLock(CancellationToken cancellationToken)
    {
        if (IsArmed)
        {
            throw new InvalidOperationException("one at a time may wait here");
        }

        _core.Reset();
        (IsArmed, _token) = (true, cancellationToken);
        if (cancellationToken.CanBeCanceled)
        {
            _cancellation = cancellationToken.UnsafeRegister(static (waiter, token) => ((Waiter<T>)waiter!).Cancel(token), this);
        }
    }

    public ValueTask<T> Task => new(this, _core.Version);

    public ValueTask PlainTask => new(this, _core.Version);

    public void Complete_NeedsLock(T result)
    {
        if (IsArmed)
        {
            (IsArmed, _result, _problem) = (false, result, null);
            connection.Wake_NeedsLock(this);
        }
    }

    public void Fail_NeedsLock(Exception problem)
    {
        if (IsArmed)
        {
            (IsArmed, _problem) = (false, problem);
            connection.Wake_NeedsLock(this);
        }
    }

    public override void Wake()
    {
        _cancellation.Unregister();
        _cancellation = default;
        if (_problem is { } problem)
        {
            _problem = null;
            _core.SetException(problem);
        }
        else
        {
            _core.SetResult(_result);
        }
    }

    private void Cancel(CancellationToken token)
    {
        lock (connection.Gate)
        {
            // A callback that comes late finds the next wait, and leaves it alone unless it was to be cancelled too.
            if (token == _token)
            {
                Fail_NeedsLock(new OperationCanceledException(token));
            }
        }

        connection.Settle();
    }

    T IValueTaskSource<T>.GetResult(short token) => _core.GetResult(token);

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
