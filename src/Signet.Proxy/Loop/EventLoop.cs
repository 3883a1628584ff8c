using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Signet.Proxy.Native;

namespace Signet.Proxy.Loop;

/// <summary>Something with a descriptor that a loop watches.</summary>
internal interface IPolled
{
    /// <summary>Called on the loop's thread with epoll's event bits.</summary>
    void OnEvents(uint events);

    /// <summary>The loop ends: let go of the descriptor and fail whoever waits.</summary>
    void OnLoopEnd();
}

/// <summary>
/// One thread that waits for its descriptors with epoll and continues whoever waited, inline. Everything that is registered here is touched
/// by this thread only; others come in through <see cref="Post"/> or by awaiting <see cref="EnterAsync"/>. Nothing that runs here may block.
/// </summary>
internal sealed class EventLoop
{
    private const int EventsPerTurn = 256;
    private const int FirstSlot = 1;

    [ThreadStatic]
    private static EventLoop? t_current;

    private readonly int _epoll;
    private readonly int _wake;
    private readonly Action<Exception> _onFault;
    private readonly ConcurrentQueue<Action> _posted = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<Slot> _slots = [default];
    private readonly Stack<int> _freeSlots = new();
    private List<Waiter> _next = [];
    private List<Waiter> _now = [];
    private int _isWakePending;
    private volatile bool _mustStop;
    private volatile bool _hasStopped;
    private int _load;

    /// <param name="name">Of the thread.</param>
    /// <param name="onFault">Told of an exception that nobody else caught; the loop goes on.</param>
    /// <exception cref="IOException">The process has no descriptors left.</exception>
    public EventLoop(string name, Action<Exception> onFault)
    {
        _onFault = onFault;
        _epoll = Checked(Libc.EpollCreate(Libc.EpollCloseOnExec));
        _wake = Checked(Libc.EventFd(0, Libc.EventFdFlags));
        Checked(EpollEvents.Add(_epoll, _wake, Libc.EpollIn, 0));
        new Thread(Run) { IsBackground = true, Name = name }.Start();
    }

    /// <summary>The loop whose thread this is, or null.</summary>
    public static EventLoop? Current => t_current;

    public bool IsCurrent => ReferenceEquals(t_current, this);

    /// <summary>Counts turns, for fairness.</summary>
    public uint Turn { get; private set; }

    /// <summary>What TLS reads from and writes to during one call; only meaningful within it.</summary>
    public CipherBuffers Cipher { get; } = new();

    /// <summary>The TLS connection whose native call is under way on this thread.</summary>
    public object? ActiveTls { get; set; }

    /// <summary>How many connections were given to this loop and are not over.</summary>
    public int Load => Volatile.Read(ref _load);

    /// <summary>Completes when the loop's thread has ended.</summary>
    public Task Ended => _ended.Task;

    public void AddLoad(int change) => Interlocked.Add(ref _load, change);

    /// <summary>Runs it on this loop's thread, soon and in order; on some other thread once the loop has stopped. Thread-safe.</summary>
    public void Post(Action work)
    {
        if (!_hasStopped)
        {
            _posted.Enqueue(work);
            Wake();
            if (!_hasStopped)
            {
                return;
            }

            if (!_posted.TryDequeue(out var left))
            {
                return;
            }

            work = left;
        }

        ThreadPool.UnsafeQueueUserWorkItem(static work => work(), work, preferLocal: false);
    }

    /// <summary>Await it to go on on this loop's thread; at once when already there.</summary>
    /// <exception cref="IOException">Thrown by the await: the loop has stopped.</exception>
    public Entry EnterAsync() => new(this);

    /// <summary>Ends the thread after this turn; what is still registered is closed. Thread-safe.</summary>
    public void Stop()
    {
        _mustStop = true;
        Wake();
    }

    /// <summary>Watches a descriptor until it is closed or removed. On the loop's thread only.</summary>
    /// <returns>The slot to give back with <see cref="Release"/>.</returns>
    public int Watch(IPolled polled, int fd, uint events)
    {
        if (!_freeSlots.TryPop(out var index))
        {
            index = _slots.Count;
            _slots.Add(default);
        }

        var generation = _slots[index].Generation + 1;
        _slots[index] = new Slot(polled, generation);
        if (EpollEvents.Add(_epoll, fd, events, ((ulong)generation << 32) | (uint)index) != 0)
        {
            var errno = Marshal.GetLastPInvokeError();
            Release(index);
            throw new IOException($"the descriptor cannot be watched: {Libc.Words(errno)}");
        }

        return index;
    }

    /// <summary>Forgets a descriptor that is closed; events for it that were already received go nowhere.</summary>
    public void Release(int slot)
    {
        _slots[slot] = new Slot(null, _slots[slot].Generation);
        _freeSlots.Push(slot);
    }

    /// <summary>Stops watching a descriptor that stays open.</summary>
    public unsafe void Unwatch(int slot, int fd)
    {
        _ = Libc.EpollControl(_epoll, Libc.EpollDelete, fd, null);
        Release(slot);
    }

    /// <summary>Signals it in the next turn, after everybody else had theirs.</summary>
    public void SignalNextTurn(Waiter waiter) => _next.Add(waiter);

    private void Run()
    {
        t_current = this;

        // Nothing on a loop knows async locals; carrying none saves every continuation the change of context.
        ExecutionContext.SuppressFlow();
        using var events = new EpollEvents(EventsPerTurn);
        while (!_mustStop)
        {
            WaitAndDispatch(events);
            RunPosted();
            SignalDeferred();
        }

        End();
    }

    private unsafe void WaitAndDispatch(EpollEvents events)
    {
        var count = Libc.EpollWait(_epoll, events.Pointer, events.Capacity, _next.Count > 0 || !_posted.IsEmpty ? 0 : -1);
        Turn++;
        for (var i = 0; i < count; i++)
        {
            var (bits, data) = events[i];
            var index = (int)(uint)data;
            if (index < FirstSlot)
            {
                ClearWake();
                continue;
            }

            var slot = _slots[index];
            if (slot.Polled is not null && slot.Generation == (uint)(data >> 32))
            {
                Guarded(slot.Polled, bits);
            }
        }
    }

    private void Guarded(IPolled polled, uint bits)
    {
        try
        {
            polled.OnEvents(bits);
        }
        catch (Exception e)
        {
            _onFault(e);
        }
    }

    private void RunPosted()
    {
        for (var left = _posted.Count; left > 0 && _posted.TryDequeue(out var work); left--)
        {
            try
            {
                work();
            }
            catch (Exception e)
            {
                _onFault(e);
            }
        }
    }

    private void SignalDeferred()
    {
        (_now, _next) = (_next, _now);
        foreach (var waiter in _now)
        {
            waiter.Signal();
        }

        _now.Clear();
    }

    private void End()
    {
        foreach (var slot in _slots.ToArray())
        {
            slot.Polled?.OnLoopEnd();
        }

        _hasStopped = true;
        while (!_posted.IsEmpty)
        {
            RunPosted();
        }

        // The descriptor of the wake stays: a thread that is about to write to it must not find someone else's there.
        _ = Libc.Close(_epoll);
        Cipher.Dispose();
        t_current = null;
        _ended.SetResult();
    }

    private unsafe void Wake()
    {
        // This thread looks at what was posted before it waits.
        if (!IsCurrent && Interlocked.Exchange(ref _isWakePending, 1) == 0)
        {
            var one = 1UL;
            _ = Libc.Write(_wake, &one, sizeof(ulong));
        }
    }

    // In this order, and with a full fence before the queue is looked at: whoever finds a wake still pending has posted in time to be seen in
    // this turn, and whoever comes later writes again. The other way round, a wake that was written in between would be swallowed for good.
    private unsafe void ClearWake()
    {
        ulong count;
        _ = Libc.Read(_wake, &count, sizeof(ulong));
        Interlocked.Exchange(ref _isWakePending, 0);
    }

    private static int Checked(int result) => result >= 0 ? result : throw new IOException($"the event loop cannot start: {Libc.Words(Marshal.GetLastPInvokeError())}");

    private readonly record struct Slot(IPolled? Polled, uint Generation);

    /// <summary>The way onto a loop's thread, for <see langword="await"/>.</summary>
    public readonly struct Entry(EventLoop loop) : System.Runtime.CompilerServices.ICriticalNotifyCompletion
    {
        public Entry GetAwaiter() => this;

        public bool IsCompleted => loop.IsCurrent;

        public void OnCompleted(Action continuation) => loop.Post(continuation);

        public void UnsafeOnCompleted(Action continuation) => loop.Post(continuation);

        public void GetResult()
        {
            if (loop._hasStopped)
            {
                throw new IOException("the proxy has stopped");
            }
        }
    }
}
