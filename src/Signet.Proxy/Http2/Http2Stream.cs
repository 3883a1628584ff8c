using Signet.Proxy.Transport;

namespace Signet.Proxy.Http2;

/// <summary>
/// One stream: a request, its response, and the octets of both. As a transport it moves the octets of the bodies, or of a CONNECT: END_STREAM
/// is the end of a direction, RST_STREAM is a broken connection, the windows are the back-pressure. One reader and one writer at a time.
/// </summary>
public sealed partial class Http2Stream : ITransport
{
    /// <summary>Interim (1xx) responses to one request.</summary>
    private const int MaxInterimResponses = 16;

    private readonly Http2Connection _connection;
    private readonly Waiter<int> _reading;
    private readonly Waiter<int> _writing;
    private readonly Queue<Http2ResponseHead> _heads = [];
    private readonly int _window;
    private Waiter<Http2ResponseHead>? _awaitingHead;
    private Http2StreamException? _failure;
    private Action<Http2StreamException>? _onBroken;
    private Memory<byte> _readInto;
    private Inbox _inbox;
    private long? _expected;
    private int _receiveWindow;
    private int _consumed;
    private int _interims;
    private bool _hasHead;
    private bool _sentHead;
    private bool _isEnded;
    private bool _isPeerEnded;
    private bool _isDisposed;

    internal Http2Stream(Http2Connection connection, int id, Http2RequestHead request, int sendWindow, int receiveWindow)
    {
        (_connection, Id, Request) = (connection, id, request);
        (SendWindow, _receiveWindow, _window) = (sendWindow, receiveWindow, receiveWindow);
        (_reading, _writing) = (new(connection), new(connection));
        (_hasHead, _sentHead) = (connection.IsServer, !connection.IsServer);
        _expected = connection.IsServer && !request.IsConnect ? request.ContentLength : null;
    }

    public int Id { get; }

    public Http2RequestHead Request { get; }

    /// <summary>The fields after the peer's message, once its end was read; empty when there are none.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Trailers { get; private set; } = [];

    /// <summary>Whether the peer's message has ended and been read.</summary>
    public bool IsRead
    {
        get
        {
            lock (_connection.Gate)
            {
                return _isPeerEnded && _inbox.Length == 0;
            }
        }
    }

    /// <summary>Calls back, at most once, when the peer resets the stream, breaks a rule on it, or the connection breaks; at once when that has happened.</summary>
    public void WhenBroken(Action<Http2StreamException> onBroken)
    {
        Http2StreamException? failure;
        lock (_connection.Gate)
        {
            failure = _failure;
            _onBroken = failure is null ? onBroken : null;
        }

        if (failure is not null)
        {
            onBroken(failure);
        }
    }

    /// <summary>Whether the request has its response, as far as the head. The connection's.</summary>
    internal bool IsAnswered => _connection.IsServer ? _sentHead : _hasHead;

    /// <summary>It waits in the queue of those that send. The connection's.</summary>
    internal bool IsQueued { get; set; }

    /// <summary>Somebody waits for octets to be sent, and the window allows some.</summary>
    internal bool CanSend => _writing.IsArmed && SendWindow > 0;

    /// <summary>What somebody waits for to be sent.</summary>
    internal ReadOnlyMemory<byte> Waiting { get; private set; }

    /// <summary>What the peer is ready to take; below zero after it has changed its mind (RFC 9113 §6.9.2).</summary>
    internal int SendWindow { get; private set; }

    /// <summary>A client's: the next head of the response; interim ones come first.</summary>
    /// <exception cref="Http2StreamException">The stream or the connection ended before it came.</exception>
    public ValueTask<Http2ResponseHead> ReadHeadAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        lock (_connection.Gate)
        {
            if (_heads.TryDequeue(out var head))
            {
                return new(head);
            }

            if (_failure is not null)
            {
                throw _failure;
            }

            _awaitingHead ??= new(_connection);
            _awaitingHead.Arm_NeedsLock(cancellationToken);
            return _awaitingHead.Task;
        }
    }

    /// <summary>A server's: sends a head of the response; interim ones first.</summary>
    /// <exception cref="Http2StreamException">The stream is broken.</exception>
    public void WriteHead(Http2ResponseHead head, bool endStream)
    {
        lock (_connection.Gate)
        {
            ThrowIfUnwritable();
            if (_sentHead)
            {
                throw new InvalidOperationException("the response has its head already");
            }

            _connection.Output.Head(Id, head, endStream);
            _sentHead = !head.IsInterim;
            if (endStream)
            {
                End_NeedsLock();
            }

            _connection.WantFlush_NeedsLock();
        }

        _connection.Settle();
    }

    /// <summary>Ends this side's message with fields.</summary>
    /// <exception cref="Http2StreamException">The stream is broken.</exception>
    public void WriteTrailers(IReadOnlyList<KeyValuePair<string, string>> fields)
    {
        lock (_connection.Gate)
        {
            ThrowIfUnwritable();
            _connection.Output.Trailers(Id, fields);
            End_NeedsLock();
            _connection.WantFlush_NeedsLock();
        }

        _connection.Settle();
    }

    /// <inheritdoc/>
    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<int>(cancellationToken);
        }

        int read;
        lock (_connection.Gate)
        {
            if (_inbox.Length > 0)
            {
                read = _inbox.Read(buffer.Span);
                Consume_NeedsLock(read);
                _connection.Consumed_NeedsLock(read);
            }
            else if (_isPeerEnded)
            {
                return new(0);
            }
            else if (_failure is not null)
            {
                return ValueTask.FromException<int>(_failure);
            }
            else
            {
                _reading.Arm_NeedsLock(cancellationToken);
                _readInto = buffer;
                return _reading.Task;
            }
        }

        _connection.Settle();
        return new(read);
    }

    /// <summary>Takes all that has arrived, in the buffer that it arrived in; the peer may send as much again when that is given back by the next call.</summary>
    /// <param name="taken">What the last call gave, all of it done with; afterwards what has arrived since.</param>
    internal void Take(ref Inbox taken)
    {
        lock (_connection.Gate)
        {
            Take_NeedsLock(ref taken);
        }

        _connection.Settle();
    }

    /// <summary>So many octets that were taken will not be given back.</summary>
    internal void GiveUp(int count)
    {
        lock (_connection.Gate)
        {
            _connection.Consumed_NeedsLock(count);
        }

        _connection.Settle();
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        ValueTask written;
        lock (_connection.Gate)
        {
            ThrowIfUnwritable();
            if (!_sentHead)
            {
                throw new InvalidOperationException("the response's head comes first");
            }

            if (bytes.IsEmpty)
            {
                return ValueTask.CompletedTask;
            }

            if (!_connection.TrySendAll_NeedsLock(this, ref bytes))
            {
                _writing.Arm_NeedsLock(cancellationToken);
                Waiting = bytes;
                _connection.QueueIfReady_NeedsLock(this);
                written = _writing.PlainTask;
            }
            else
            {
                written = ValueTask.CompletedTask;
            }

            _connection.WantFlush_NeedsLock();
        }

        _connection.Settle();
        return written;
    }

    /// <inheritdoc/>
    public ValueTask EndWritesAsync(CancellationToken cancellationToken)
    {
        lock (_connection.Gate)
        {
            if (_isEnded)
            {
                return ValueTask.CompletedTask;
            }

            ThrowIfUnwritable();
            _connection.Output.Data(Id, [], endStream: true);
            End_NeedsLock();
            _connection.WantFlush_NeedsLock();
        }

        _connection.Settle();
        return ValueTask.CompletedTask;
    }

    /// <summary>Resets the stream: CANCEL, or CONNECT_ERROR from the side that had connected it to something (RFC 9113 §8.5).</summary>
    public void Abort() => Reset(_connection.IsServer && Request.IsConnect ? Http2Error.ConnectError : Http2Error.Cancel);

    /// <summary>Resets the stream with a code of one's own choice; nothing happens when it is over.</summary>
    public void Reset(Http2Error code)
    {
        lock (_connection.Gate)
        {
            Reset_NeedsLock(code, $"reset by this side ({code})");
            _connection.WantFlush_NeedsLock();
        }

        _connection.Settle();
    }

    /// <summary>Resets the stream if its messages have not both ended, and forgets what was not read.</summary>
    public ValueTask DisposeAsync()
    {
        lock (_connection.Gate)
        {
            if (!_isDisposed)
            {
                (_isDisposed, _onBroken) = (true, null);

                // A response that is complete without the rest of the request is no failure (§8.1).
                Reset_NeedsLock(_isEnded && _connection.IsServer ? Http2Error.NoError : Http2Error.Cancel, "closed by this side");
                Fail_NeedsLock(new Http2StreamException(Http2Error.Cancel, "closed by this side"));
                Drop_NeedsLock();
                _connection.WantFlush_NeedsLock();
            }
        }

        _connection.Settle();
        return ValueTask.CompletedTask;
    }
}
