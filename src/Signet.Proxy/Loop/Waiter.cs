using System.Threading.Tasks.Sources;

namespace Signet.Proxy.Loop;

/// <summary>
/// Lets one waiter at a time wait for its turn on a loop, without allocating: the continuation runs inline on the loop's thread. On the
/// loop's thread only; a cancellation may come from anywhere.
/// </summary>
internal sealed class Waiter : IValueTaskSource, IValueTaskSource<int>
{
    private readonly EventLoop _loop;
    private readonly Action _cancel;
    private ManualResetValueTaskSourceCore<int> _core;
    private CancellationToken _token;
    private CancellationTokenRegistration _registration;
    private bool _isWaiting;

    public Waiter(EventLoop loop)
    {
        _loop = loop;
        _cancel = CancelIfAsked;
    }

    /// <exception cref="InvalidOperationException">Someone waits already.</exception>
    public ValueTask WaitAsync(CancellationToken cancellationToken) =>
        cancellationToken.IsCancellationRequested ? ValueTask.FromCanceled(cancellationToken) : new(this, Begin(cancellationToken));

    /// <summary>The same, in the shape of a read of no bytes.</summary>
    public ValueTask<int> WaitForZeroAsync(CancellationToken cancellationToken) =>
        cancellationToken.IsCancellationRequested ? ValueTask.FromCanceled<int>(cancellationToken) : new(this, Begin(cancellationToken));

    /// <summary>Continues the waiter, if there is one.</summary>
    public void Signal()
    {
        if (_isWaiting)
        {
            End();
            _core.SetResult(0);
        }
    }

    /// <summary>Continues the waiter, if there is one, with an exception.</summary>
    public void Fail(Exception exception)
    {
        if (_isWaiting)
        {
            End();
            _core.SetException(exception);
        }
    }

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    int IValueTaskSource<int>.GetResult(short token) => _core.GetResult(token);

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    private short Begin(CancellationToken cancellationToken)
    {
        if (_isWaiting)
        {
            throw new InvalidOperationException("a transport has one reader and one writer at a time");
        }

        _core.Reset();
        _isWaiting = true;
        _token = cancellationToken;
        if (cancellationToken.CanBeCanceled)
        {
            _registration = cancellationToken.UnsafeRegister(static waiter => ((Waiter)waiter!).CancelSoon(), this);
        }

        return _core.Version;
    }

    private void End()
    {
        _isWaiting = false;
        _registration.Unregister();
        (_registration, _token) = (default, default);
    }

    private void CancelSoon() => _loop.Post(_cancel);

    /// <summary>The wait that was cancelled may be over by now, and this one not be cancelled at all.</summary>
    private void CancelIfAsked()
    {
        if (_isWaiting && _token.IsCancellationRequested)
        {
            var token = _token;
            End();
            _core.SetException(new OperationCanceledException(token));
        }
    }
}
