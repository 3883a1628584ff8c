using System.Net;
using Signet.Proxy.Loop;
using Signet.Proxy.Tls;

namespace Signet.Proxy.Connections;

public enum Direction
{
    Inbound,
    Outbound,
}

/// <summary>What a handshake agreed on.</summary>
/// <param name="Version">As OpenSSL writes it: <c>TLSv1.3</c>.</param>
/// <param name="CipherSuite">The IANA name.</param>
/// <param name="Alpn">The protocol name, or null.</param>
/// <param name="IsResumed">Whether it took up an earlier session.</param>
public sealed record ConnectionTls(string Version, string CipherSuite, string? Alpn, bool IsResumed);

/// <summary>
/// One connection while it lives: who is on it, what it moved, until when it may go on as it is. Its owner serves it; anyone may close it
/// with a reason, once. Thread-safe.
/// </summary>
public sealed class LiveConnection : IDisposable
{
    /// <summary>How long before a certificate ends nothing new begins on what rests on it, so that what is under way can finish.</summary>
    internal static readonly TimeSpan Notice = TimeSpan.FromSeconds(5);

    /// <summary>Longer spans count as this: thirty years.</summary>
    private const double MaxSeconds = 1e9;

    private readonly CancellationTokenSource _closed = new();
    private readonly TimeProvider _time;
    private readonly long _opened;
    private long _received;
    private long _sent;
    private long _deadline = long.MaxValue;
    private long _end = long.MaxValue;
    private int _endReason;
    private int _deadlineReason;
    private long _idle;
    private long _ownEnd = long.MaxValue;
    private Action? _drain;
    private int _isEnding;
    private Closure? _closure;
    private Peer? _peer;
    private ConnectionTls? _tls;
    private readonly Lock _asking = new();
    private Func<Closure?>? _recheck;
    private int _isIdle;

    internal LiveConnection(long id, Direction direction, string listener, IPEndPoint source, EventLoop loop, TimeProvider time)
    {
        (Id, Direction, Listener, Source, Loop, _time) = (id, direction, listener, source, loop, time);
        _opened = time.GetTimestamp();
        Opened = time.GetUtcNow();
    }

    /// <summary>Why a connection was closed by the proxy.</summary>
    public sealed record Closure(RefusalReason Reason, string Detail);

    public long Id { get; }

    public Direction Direction { get; }

    public string Listener { get; }

    /// <summary>The address of who opened it.</summary>
    public IPEndPoint Source { get; }

    public DateTimeOffset Opened { get; }

    public TimeSpan Age => _time.GetElapsedTime(_opened);

    /// <summary>The authenticated peer: inbound the client, outbound the server; null while there is none.</summary>
    public Peer? Peer
    {
        get => Volatile.Read(ref _peer);
        internal set => Volatile.Write(ref _peer, value);
    }

    /// <summary>The handshake with the peer; null while there is none.</summary>
    public ConnectionTls? Tls => Volatile.Read(ref _tls);

    /// <summary>The ID of the connection that carries this one with others; null for one of its own.</summary>
    public long? Tunnel { get; private set; }

    /// <summary>For people: <c>http</c>, <c>tcp</c>, or null while unknown.</summary>
    public string? Protocol { get; internal set; }

    /// <summary>The policy that let it in, <c>namespace/name</c>; null when none had to.</summary>
    public string? Policy { get; internal set; }

    /// <summary>Whether nothing is on it: it waits for its next request.</summary>
    public bool IsIdle
    {
        get => Volatile.Read(ref _isIdle) != 0;
        internal set => Interlocked.Exchange(ref _isIdle, value ? 1 : 0);
    }

    /// <summary>Whether a certificate that it rests on is about to end: nothing new should begin on it.</summary>
    internal bool IsEnding => Volatile.Read(ref _isEnding) != 0;

    /// <summary>The loop that serves it.</summary>
    internal EventLoop Loop { get; }

    /// <summary>Bytes of payload from the one who opened the connection.</summary>
    public long Received => Interlocked.Read(ref _received);

    /// <summary>Bytes of payload to the one who opened the connection.</summary>
    public long Sent => Interlocked.Read(ref _sent);

    /// <summary>Cancelled when someone closes the connection; <see cref="Closed"/> then says why.</summary>
    public CancellationToken Token => _closed.Token;

    public Closure? Closed => Volatile.Read(ref _closure);

    /// <summary>
    /// From now on asks again what was decided when the connection began, whenever something changes and once at this moment, since it
    /// may have changed while the connection was being made. Null while nothing long-lived was decided.
    /// </summary>
    /// <param name="recheck">Answers null when it may go on. Called by one thread at a time, while the owner leaves the facts alone.</param>
    /// <param name="askNow">False when it is known that nothing has changed since it was decided.</param>
    internal void KeepAsking(Func<Closure?>? recheck, bool askNow = true)
    {
        lock (_asking)
        {
            _recheck = recheck;
        }

        if (askNow)
        {
            Ask();
        }
    }

    /// <summary>Closes the connection if what was decided no longer holds.</summary>
    internal void Ask()
    {
        Closure? closure;
        lock (_asking)
        {
            closure = _recheck?.Invoke();
        }

        if (closure is not null)
        {
            Close(closure.Reason, closure.Detail);
        }
    }

    /// <summary>A handshake has proved who the peer is.</summary>
    internal void Prove(TlsSession session)
    {
        Volatile.Write(ref _tls, new ConnectionTls(session.Version, session.CipherSuite, session.Alpn, session.IsResumed));
        RestOn(session);
    }

    /// <summary>From now on it lasts no longer than the certificates of this session, which may carry others' requests too; null is no session.</summary>
    internal void RestOn(TlsSession? session)
    {
        Volatile.Write(ref _ownEnd, session?.OwnExpiresAt.UtcTicks ?? long.MaxValue);
        Peer = session?.Peer;
    }

    /// <summary>The connection lies in a tunnel, whose handshake and peer are its own.</summary>
    internal void LieIn(LiveConnection tunnel)
    {
        Tunnel = tunnel.Id;
        Volatile.Write(ref _tls, tunnel.Tls);
        Volatile.Write(ref _ownEnd, Volatile.Read(ref tunnel._ownEnd));
        Peer = tunnel.Peer;
    }

    /// <summary>Lets a connection that carries many things take no new ones, once, a moment before a certificate that it rests on ends.</summary>
    internal void WhenEnding(Action drain)
    {
        Interlocked.Exchange(ref _drain, drain);
        if (IsEnding)
        {
            Interlocked.Exchange(ref _drain, null)?.Invoke();
        }
    }

    internal void CountReceived(int bytes)
    {
        Interlocked.Add(ref _received, bytes);
        Touch();
    }

    internal void CountSent(int bytes)
    {
        Interlocked.Add(ref _sent, bytes);
        Touch();
    }

    /// <summary>From now on the connection is closed with the reason when the time has passed, unless another deadline replaces this one.</summary>
    internal void CloseAfter(TimeSpan span, RefusalReason reason)
    {
        Volatile.Write(ref _idle, 0);
        Volatile.Write(ref _deadline, long.MaxValue);
        Volatile.Write(ref _deadlineReason, (int)reason);
        Volatile.Write(ref _deadline, _time.GetTimestamp() + Ticks(span));
    }

    /// <summary>From now on the connection is closed when no payload has moved for this long.</summary>
    internal void CloseWhenIdleFor(TimeSpan span)
    {
        CloseAfter(span, RefusalReason.IdleTimeout);
        Volatile.Write(ref _idle, Ticks(span));
    }

    /// <summary>From now on no deadline closes the connection.</summary>
    internal void StayOpen()
    {
        Volatile.Write(ref _idle, 0);
        Volatile.Write(ref _deadline, long.MaxValue);
    }

    /// <summary>Closes the connection with the reason when the time has passed, whatever happens meanwhile.</summary>
    internal void EndAfter(TimeSpan span, RefusalReason reason)
    {
        Volatile.Write(ref _endReason, (int)reason);
        Volatile.Write(ref _end, _time.GetTimestamp() + Ticks(span));
    }

    /// <summary>Closes the connection; its owner gets an <see cref="OperationCanceledException"/>. Only the first reason counts.</summary>
    internal void Close(RefusalReason reason, string detail)
    {
        if (Interlocked.CompareExchange(ref _closure, new Closure(reason, detail), null) is null)
        {
            try
            {
                _closed.Cancel();
            }
            catch (Exception e) when (e is ObjectDisposedException or AggregateException)
            {
                // It has just ended by itself, or something that hung on it had: closed it is in either case.
            }
        }
    }

    /// <summary>Closes the connection if its time is over.</summary>
    internal void Sweep(DateTimeOffset now)
    {
        if (Peer is { } peer && now > peer.ExpiresAt)
        {
            Close(RefusalReason.PeerExpired, $"the certificate of {peer.Name} expired at {peer.ExpiresAt:O}");
        }
        else if (now.UtcTicks > Volatile.Read(ref _ownEnd))
        {
            Close(RefusalReason.OwnSvidExpired, $"this proxy's certificate of that session expired at {new DateTimeOffset(Volatile.Read(ref _ownEnd), TimeSpan.Zero):O}");
        }
        else if (_time.GetTimestamp() > Volatile.Read(ref _end))
        {
            Close((RefusalReason)Volatile.Read(ref _endReason), "the caller's own deadline has passed");
        }
        else if (_time.GetTimestamp() > Volatile.Read(ref _deadline))
        {
            var reason = (RefusalReason)Volatile.Read(ref _deadlineReason);
            Close(reason, reason == RefusalReason.IdleTimeout ? "nothing moved for too long" : "the deadline has passed");
        }
        else if (!IsEnding && (now + Notice).UtcTicks > Math.Min(Peer?.ExpiresAt.UtcTicks ?? long.MaxValue, Volatile.Read(ref _ownEnd)))
        {
            Interlocked.Exchange(ref _isEnding, 1);
            Interlocked.Exchange(ref _drain, null)?.Invoke();
        }
    }

    public void Dispose() => _closed.Dispose();

    private void Touch()
    {
        if (Volatile.Read(ref _idle) is > 0 and var idle)
        {
            Volatile.Write(ref _deadline, _time.GetTimestamp() + idle);
        }
    }

    private long Ticks(TimeSpan span) => (long)(Math.Min(span.TotalSeconds, MaxSeconds) * _time.TimestampFrequency);
}
