namespace Signet.Proxy.Http2;

/// <summary>What falls due: one timer, set to the earliest of all deadlines.</summary>
public sealed partial class Http2Connection
{
    private const ulong KeepAlivePing = 0x7369676e65740001;
    private const ulong DrainPing = 0x7369676e65740002;

    private readonly ITimer _timer;
    private readonly Action _tick;
    private long? _settingsDue;
    private long? _goAwayDue;
    private long? _closeDue;
    private long? _pingDue;
    private long _keepAliveDue;
    private long _pingSent;

    /// <summary>On the transport's thread when it has one.</summary>
    private void OnTimer()
    {
        if (_options.AtTurnEnd is { } atTurnEnd)
        {
            atTurnEnd(_tick);
        }
        else
        {
            Tick();
        }
    }

    private void Tick()
    {
        var isOver = false;
        lock (Gate)
        {
            var now = _options.Time.GetTimestamp();
            if (_closeDue <= now)
            {
                isOver = !_awaitsPeer;
                _closeDue = _awaitsPeer ? After(_options.LastWords) : null;
                _awaitsPeer = false;
                _writer.Complete_NeedsLock(true);
            }

            if (!_isClosing)
            {
                Tick_NeedsLock(now);
            }

            Rearm_NeedsLock();
        }

        Settle();
        if (isOver)
        {
            Stop();
        }
    }

    private void Tick_NeedsLock(long now)
    {
        if (_settingsDue <= now)
        {
            Fail_NeedsLock(Http2Error.SettingsTimeout, $"no acknowledgement of the settings within {_options.SettingsTimeout.TotalSeconds:0} s");
            return;
        }

        if (_pingDue <= now)
        {
            if (_lastReceived < _pingSent)
            {
                Fail_NeedsLock(Http2Error.NoError, $"no sign of life within {_options.KeepAliveTimeout.TotalSeconds:0} s");
                return;
            }

            _pingDue = null;
        }

        if (IdleDue_NeedsLock() <= now && !_isDraining)
        {
            Drain_NeedsLock();
        }

        if (_goAwayDue <= now)
        {
            SayLastStream_NeedsLock();
        }

        if (_keepAliveDue <= now)
        {
            _keepAliveDue = Later(_lastReceived, _options.KeepAliveInterval);
            if (_keepAliveDue <= now)
            {
                _out.Ping(KeepAlivePing, isAck: false);
                _pingSent = now;
                _pingDue = Later(now, _options.KeepAliveTimeout);
                _keepAliveDue = Later(now, _options.KeepAliveInterval);
                WantFlush_NeedsLock();
            }
        }
    }

    private void Rearm_NeedsLock()
    {
        var due = _isClosing ? _closeDue : Earlier(Earlier(Earlier(_settingsDue, _goAwayDue), Earlier(_pingDue, _keepAliveDue)), _isDraining ? null : IdleDue_NeedsLock());
        if (due is { } at)
        {
            var wait = _options.Time.GetElapsedTime(_options.Time.GetTimestamp(), at);
            _timer.Change(wait > TimeSpan.FromMilliseconds(1) ? wait : TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
        }
    }

    private long? IdleDue_NeedsLock() => IdleSince is { } since && _options.MaxIdle is { } idle ? Later(since, idle) : null;

    private static long? Earlier(long? a, long? b) => a is null ? b : b is null ? a : Math.Min(a.Value, b.Value);

    private long After(TimeSpan span) => Later(_options.Time.GetTimestamp(), span);

    private long Later(long timestamp, TimeSpan span) => timestamp + (long)(span.TotalSeconds * _options.Time.TimestampFrequency);
}
