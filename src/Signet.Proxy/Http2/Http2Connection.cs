using Signet.Proxy.Transport;

namespace Signet.Proxy.Http2;

/// <summary>
/// One HTTP/2 connection (RFC 9113) in either role, over any transport. <see cref="RunAsync"/> is its owner's: it reads, writes, keeps the
/// time and disposes of the transport. All other members may be called from any thread.
/// <para>
/// One gate guards the state; nothing waits, writes to the transport or runs foreign code while it is held. Whoever waits on a stream is
/// woken on the thread that brought the news: the transport's, for all that the peer sends. Frames that streams write while the connection
/// handles what it has read leave together in one write.
/// </para>
/// </summary>
public sealed partial class Http2Connection : IAsyncDisposable
{
    private readonly ITransport _transport;
    private readonly Http2Options _options;
    private readonly Func<Http2Stream, Task>? _serve;
    private readonly Action<HeadProblem>? _onMalformed;
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<int, Http2Stream> _streams = [];
    private readonly Queue<Arrival> _accepted = [];
    private readonly FloodGuard _floods;
    private readonly Waiter<bool> _writer;
    private readonly Waiter<bool> _reader;
    private readonly Waiter<bool> _greeting;
    private Waiter? _firstToWake;
    private Waiter? _lastToWake;
    private TaskCompletionSource? _handlersEnded;
    private Http2End? _end;
    private Exception? _defect;
    private int _handlers;
    private int _nextStreamId = 1;
    private int _peerMaxStreams = AssumedMaxStreams;
    private int _peerLastStream = int.MaxValue;
    private bool _isDraining;
    private bool _awaitsPeer;
    private bool _isClosing;
    private bool _isBroken;

    /// <summary>What a client assumes until the server says how many streams it may open (RFC 9113 §6.5.2 asks servers for no less).</summary>
    private const int AssumedMaxStreams = 100;

    private Http2Connection(ITransport transport, Http2Options options, Func<Http2Stream, Task>? serve, Action<HeadProblem>? onMalformed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.StreamWindow, Http2Options.DefaultWindow);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.ConnectionWindow, Http2Options.DefaultWindow);
        (_transport, _options, _serve, _onMalformed) = (transport, options, serve, onMalformed);
        (_writer, _reader, _greeting) = (new(this), new(this), new(this));
        _receiveWindow = options.ConnectionWindow;
        _floods = new FloodGuard(options);
        _flush = Flush;
        _tick = Tick;
        _timer = options.Time.CreateTimer(static state => ((Http2Connection)state!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        IdleSince = options.Time.GetTimestamp();
    }

    /// <summary>The side that was connected to.</summary>
    /// <param name="transport">Becomes the connection's.</param>
    /// <param name="options">Bounds and clock.</param>
    /// <param name="serve">Handles one stream; when it returns, the stream is disposed of, and reset if its messages had not both ended.</param>
    /// <param name="onMalformed">Told of a request that was reset because it breaks the rules for messages.</param>
    public static Http2Connection AsServer(ITransport transport, Http2Options options, Func<Http2Stream, Task> serve, Action<HeadProblem>? onMalformed = null) =>
        new(transport, options, serve, onMalformed);

    /// <summary>The side that connected.</summary>
    public static Http2Connection AsClient(ITransport transport, Http2Options options) => new(transport, options, serve: null, onMalformed: null);

    /// <summary>Guards everything that changes.</summary>
    internal Lock Gate { get; } = new();

    internal bool IsServer => _serve is not null;

    /// <summary>Streams whose messages have not both ended.</summary>
    public int OpenStreams => _streams.Count;

    /// <summary>Since when no stream is open, as a timestamp of the options' clock; null while one is.</summary>
    public long? IdleSince { get; private set; }

    /// <summary>Runs the connection until it is over, and every handler with it.</summary>
    /// <param name="cancellationToken">Breaks the connection at once.</param>
    /// <exception cref="InvalidOperationException">A handler threw what is neither <see cref="IOException"/> nor <see cref="OperationCanceledException"/>: a defect, which ends the connection.</exception>
    public async Task<Http2End> RunAsync(CancellationToken cancellationToken)
    {
        lock (Gate)
        {
            Greet_NeedsLock();
        }

        using var registration = cancellationToken.UnsafeRegister(static state => ((Http2Connection)state!).Abort("closed by the proxy"), this);
        var writing = WriteLoopAsync();
        await ReadLoopAsync().ConfigureAwait(false);
        await writing.ConfigureAwait(false);
        await HandlersEndAsync().ConfigureAwait(false);
        if (!_end!.IsOrderly && _isBroken)
        {
            _transport.Abort();
        }

        await DisposeAsync().ConfigureAwait(false);
        return _defect is null ? _end : throw new InvalidOperationException("a handler of a stream failed", _defect);
    }

    /// <summary>Breaks the connection, if it is not over, and closes the transport.</summary>
    public async ValueTask DisposeAsync()
    {
        Abort("closed by this side");
        await _timer.DisposeAsync().ConfigureAwait(false);
        await _transport.DisposeAsync().ConfigureAwait(false);

        // _stop stays: somebody may still want to fire it, and it holds nothing that needs releasing.
    }

    /// <summary>Waits until the peer has said that it speaks HTTP/2, and within which limits. One at a time may wait.</summary>
    /// <returns>False when the connection ended before.</returns>
    public ValueTask<bool> GreetedAsync(CancellationToken cancellationToken)
    {
        lock (Gate)
        {
            if (_hasPeerSettings || _isClosing)
            {
                return new(_hasPeerSettings && !_isClosing);
            }

            _greeting.Arm_NeedsLock(cancellationToken);
            return _greeting.Task;
        }
    }

    /// <summary>Opens a stream with a request.</summary>
    /// <param name="head">The request; its fields must be valid.</param>
    /// <param name="endStream">Nothing follows the head.</param>
    /// <param name="stream">The stream, which is the caller's to dispose of.</param>
    /// <param name="refusal">Why there is none.</param>
    public bool TryOpen(Http2RequestHead head, bool endStream, out Http2Stream? stream, out OpenRefusal refusal)
    {
        lock (Gate)
        {
            stream = null;
            refusal = IsServer ? throw new InvalidOperationException("only a client opens streams") : Refusal_NeedsLock();
            if (refusal == OpenRefusal.None)
            {
                stream = new Http2Stream(this, _nextStreamId, head, _peerInitialWindow, _options.StreamWindow);
                _nextStreamId += 2;
                Add_NeedsLock(stream);
                stream.WriteRequest_NeedsLock(endStream);
                WantFlush_NeedsLock();
            }
        }

        Settle();
        return stream is not null;
    }

    /// <summary>Why a stream could not be opened now.</summary>
    public OpenRefusal Refusal
    {
        get
        {
            lock (Gate)
            {
                return Refusal_NeedsLock();
            }
        }
    }

    /// <summary>
    /// Lets open streams end and takes no new ones, then closes the connection. A server first says that it will go, and only after its peer
    /// had the time to hear it which stream was the last (RFC 9113 §6.8), so that no request is lost on the way.
    /// </summary>
    public void Drain()
    {
        lock (Gate)
        {
            if (_isDraining || _isClosing)
            {
                return;
            }

            Drain_NeedsLock();
        }

        Settle();
    }

    /// <summary>Breaks the connection at once, without last words.</summary>
    public void Abort(string reason)
    {
        Break(Http2Error.Cancel, reason);
        Stop();
    }

    /// <summary>Remembers somebody to be woken once the gate is free.</summary>
    internal void Wake_NeedsLock(Waiter waiter)
    {
        if (_lastToWake is null)
        {
            _firstToWake = waiter;
        }
        else
        {
            _lastToWake.Next = waiter;
        }

        _lastToWake = waiter;
    }

    /// <summary>Wakes those who are to be woken and starts the handlers of new streams. Called after every change, outside the gate.</summary>
    internal void Settle()
    {
        if (Gate.IsHeldByCurrentThread)
        {
            return;
        }

        while (true)
        {
            Waiter? waiter;
            Arrival arrival;
            bool hasArrival;
            lock (Gate)
            {
                (waiter, _firstToWake, _lastToWake) = (_firstToWake, null, null);
                hasArrival = _accepted.TryDequeue(out arrival);
            }

            if (waiter is null && !hasArrival)
            {
                return;
            }

            while (waiter is not null)
            {
                var next = waiter.Next;
                waiter.Next = null;
                waiter.Wake();
                waiter = next;
            }

            if (arrival.Stream is { } accepted)
            {
                // Its owner is HandlersEndAsync: RunAsync does not return before it has.
                _ = ServeAsync(accepted);
            }
            else if (hasArrival)
            {
                _onMalformed?.Invoke(arrival.Problem);
            }
        }
    }

    internal void Add_NeedsLock(Http2Stream stream)
    {
        _streams.Add(stream.Id, stream);
        IdleSince = null;
    }

    /// <summary>A stream is over for the protocol; its reader may still take what has arrived.</summary>
    internal void Remove_NeedsLock(Http2Stream stream)
    {
        if (_streams.Remove(stream.Id) && _streams.Count == 0)
        {
            IdleSince = _options.Time.GetTimestamp();
            CloseWhenDrained_NeedsLock();
        }
    }

    /// <summary>A client that has reset too many streams goes on elsewhere, before its peer has had enough of all that share the connection.</summary>
    internal void CountOwnReset_NeedsLock()
    {
        if (!IsServer && !_floods.Allows(FloodKind.OwnReset, _options.Time.GetTimestamp()) && !_isDraining && !_isClosing)
        {
            Drain_NeedsLock();
        }
    }

    private void Drain_NeedsLock()
    {
        _isDraining = true;
        if (IsServer)
        {
            _out.GoAway(int.MaxValue, Http2Error.NoError);
            _out.Ping(DrainPing, isAck: false);
            _goAwayDue = After(_options.GoAwayGrace);
            Rearm_NeedsLock();
        }
        else
        {
            _out.GoAway(0, Http2Error.NoError);
        }

        CloseWhenDrained_NeedsLock();
        WantFlush_NeedsLock();
    }

    private OpenRefusal Refusal_NeedsLock() =>
        _isClosing ? OpenRefusal.Ended
        : _isDraining || _peerLastStream != int.MaxValue || _nextStreamId > int.MaxValue - 2 ? OpenRefusal.Draining
        : _streams.Count >= Math.Min(_peerMaxStreams, _options.MaxConcurrentStreams) ? OpenRefusal.AtLimit
        : OpenRefusal.None;

    private async Task ServeAsync(Http2Stream stream)
    {
        try
        {
            await _serve!(stream).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The stream or what it was connected to broke: disposing of it says so.
        }
        catch (Exception e)
        {
            _defect ??= e;
            Abort("a handler failed");
        }
        finally
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            TaskCompletionSource? ended;
            lock (Gate)
            {
                ended = --_handlers == 0 ? _handlersEnded : null;
            }

            ended?.SetResult();
        }
    }

    private Task HandlersEndAsync()
    {
        lock (Gate)
        {
            _handlersEnded = new TaskCompletionSource();
            return _handlers == 0 ? Task.CompletedTask : _handlersEnded.Task;
        }
    }

    /// <summary>The peer broke a rule or a limit: it is told, and the connection closes.</summary>
    private void Fail_NeedsLock(Http2Error code, string reason)
    {
        if (_isClosing)
        {
            return;
        }

        _end = new Http2End(IsOrderly: false, code, reason, IsBreach: code != Http2Error.NoError);
        _out.GoAway(_lastPeerStream, code);
        FailStreams_NeedsLock(code);
        Close_NeedsLock();
    }

    /// <summary>The transport is of no more use, or must not be used any more.</summary>
    private void Break(Http2Error code, string reason)
    {
        lock (Gate)
        {
            if (_isBroken)
            {
                return;
            }

            _end ??= new Http2End(IsOrderly: false, code, reason);
            _isBroken = true;
            FailStreams_NeedsLock(code);
            Close_NeedsLock();
        }

        Settle();
    }

    private void FailStreams_NeedsLock(Http2Error code)
    {
        foreach (var stream in _streams.Values)
        {
            stream.Fail_NeedsLock(new Http2StreamException(code, _end!.Reason));
        }

        _streams.Clear();
    }

    private void CloseWhenDrained_NeedsLock()
    {
        var saidAll = _isDraining && (!IsServer || _saidLastStream);
        var peerGoes = _peerLastStream != int.MaxValue && !IsServer;
        if ((saidAll || peerGoes) && _streams.Count == 0 && !_isClosing)
        {
            _end = new Http2End(IsOrderly: true, Http2Error.NoError, "drained");
            Close_NeedsLock(afterPeer: IsServer);
        }
    }

    /// <summary>What is gathered is still written; then this side ends its direction and waits a moment for the peer's end.</summary>
    /// <param name="afterPeer">
    /// The peer, who knows that no stream is left, may end first: a client may be about to send a request, and takes it elsewhere if it finds
    /// that it was told to go, but fails it if it finds the connection ended.
    /// </param>
    private void Close_NeedsLock(bool afterPeer = false)
    {
        if (!_isClosing)
        {
            _isClosing = true;
            _closeDue = After(_options.LastWords);
            Rearm_NeedsLock();
        }

        _awaitsPeer = afterPeer;
        _writer.Complete_NeedsLock(true);
        _reader.Complete_NeedsLock(true);
        _greeting.Complete_NeedsLock(false);
    }

    /// <summary>Ends pending reads and writes of the transport.</summary>
    private void Stop() => _stop.Cancel();

    /// <summary>A request: its stream, or why it has none.</summary>
    private readonly record struct Arrival(Http2Stream? Stream, HeadProblem Problem);
}
