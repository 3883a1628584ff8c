using Signet.Proxy.Http2.Hpack;

namespace Signet.Proxy.Http2;

/// <summary>What happens to a stream (RFC 9113 §5.1). All under the connection's gate.</summary>
public sealed partial class Http2Stream
{
    /// <summary>What the peer did wrong on one stream.</summary>
    internal readonly record struct Breach(Http2Error Code, string Reason);

    internal void WriteRequest_NeedsLock(bool endStream)
    {
        _connection.Output.Head(Id, Request, endStream);
        _isEnded = endStream;
    }

    internal void Send_NeedsLock(ReadOnlySpan<byte> bytes)
    {
        _connection.Output.Data(Id, bytes, endStream: false);
        SendWindow -= bytes.Length;
    }

    internal void SendWaiting_NeedsLock(int size)
    {
        Send_NeedsLock(Waiting.Span[..size]);
        Waiting = Waiting[size..];
        if (Waiting.IsEmpty)
        {
            _writing.Complete_NeedsLock(0);
        }
    }

    /// <summary>The peer takes more, or less than it had said. False when that is more than a window can be.</summary>
    internal bool Widen_NeedsLock(int change)
    {
        if ((long)SendWindow + change > int.MaxValue)
        {
            return false;
        }

        SendWindow += change;
        _connection.QueueIfReady_NeedsLock(this);
        return true;
    }

    /// <summary>A head of the response, or trailers.</summary>
    internal Breach? OnHead_NeedsLock(FieldSection section, bool endStream)
    {
        if (_isPeerEnded)
        {
            return new(Http2Error.StreamClosed, "HEADERS after the end of the stream");
        }

        var problem = section.IsTooLarge ? HeadProblem.TooLarge
            : _hasHead ? OnTrailers_NeedsLock(section.Fields, endStream)
            : OnResponse_NeedsLock(section.Fields, endStream);
        if (problem != HeadProblem.None)
        {
            return Malformed(problem);
        }

        if (endStream)
        {
            PeerEnds_NeedsLock();
        }

        return null;
    }

    /// <param name="payload">Without padding.</param>
    /// <param name="flow">What flow control counts: padding included.</param>
    /// <param name="endStream">Nothing follows.</param>
    /// <param name="kept">Octets that wait for a reader.</param>
    internal Breach? OnData_NeedsLock(ReadOnlySpan<byte> payload, int flow, bool endStream, out int kept)
    {
        kept = 0;
        if (_isPeerEnded)
        {
            return new(Http2Error.StreamClosed, "DATA after the end of the stream");
        }

        if (!_hasHead)
        {
            return Malformed(HeadProblem.DataBeforeHead);
        }

        if (flow > _receiveWindow)
        {
            return new(Http2Error.FlowControlError, "more DATA than the stream's window allows");
        }

        _receiveWindow -= flow;
        if (_expected is { } expected)
        {
            _expected = expected - payload.Length;
            if (_expected < 0 || (endStream && _expected > 0))
            {
                return Malformed(HeadProblem.ContentLengthContradicted);
            }
        }

        kept = Deliver_NeedsLock(payload);
        if (endStream)
        {
            PeerEnds_NeedsLock();
        }
        else
        {
            Consume_NeedsLock(flow - kept);
        }

        return null;
    }

    internal void OnReset_NeedsLock(Http2Error code)
    {
        _connection.RememberPeerEnd_NeedsLock(Id);
        _connection.Remove_NeedsLock(this);
        Fail_NeedsLock(new Http2StreamException(code, $"reset by the peer ({code})", isUnprocessed: code == Http2Error.RefusedStream));
    }

    /// <summary>The peer's message is complete.</summary>
    internal void PeerEnds_NeedsLock()
    {
        _isPeerEnded = true;
        _connection.RememberPeerEnd_NeedsLock(Id);
        _reading.Complete_NeedsLock(0);
        if (_isEnded)
        {
            _connection.Remove_NeedsLock(this);
        }
    }

    /// <summary>Tells the peer that the stream is over, unless it is.</summary>
    internal void Reset_NeedsLock(Http2Error code, string reason, bool isBreach = false)
    {
        if (_failure is null && !(_isEnded && _isPeerEnded))
        {
            _onBroken = isBreach ? _onBroken : null;
            _connection.Output.Reset(Id, code);
            _connection.Remove_NeedsLock(this);
            Fail_NeedsLock(new Http2StreamException(code, reason, isBreach: isBreach));
            _connection.CountOwnReset_NeedsLock();
        }
    }

    /// <summary>Nothing more will come, and nothing more can be sent. A message that had arrived whole can still be read.</summary>
    internal void Fail_NeedsLock(Http2StreamException failure)
    {
        if (_failure is not null)
        {
            return;
        }

        _failure = failure;
        if (!_isPeerEnded)
        {
            Drop_NeedsLock();
        }

        // First, so that whoever finds the stream broken can already know why.
        if (_onBroken is { } onBroken)
        {
            _onBroken = null;
            _connection.Wake_NeedsLock(new Notice(onBroken, failure));
        }

        _reading.Fail_NeedsLock(failure);
        _writing.Fail_NeedsLock(failure);
        _awaitingHead?.Fail_NeedsLock(failure);
    }

    /// <summary>Gives back the window of what was taken, and takes what has come since.</summary>
    private void Take_NeedsLock(ref Inbox taken)
    {
        if (taken.Length > 0)
        {
            Consume_NeedsLock(taken.Length);
            _connection.Consumed_NeedsLock(taken.Length);
        }

        taken.Clear();
        (taken, _inbox) = (_inbox, taken);
    }

    private void End_NeedsLock()
    {
        _isEnded = true;
        if (_isPeerEnded)
        {
            _connection.Remove_NeedsLock(this);
        }
    }

    private HeadProblem OnResponse_NeedsLock(IReadOnlyList<KeyValuePair<string, string>> fields, bool endStream)
    {
        var problem = Http2ResponseHead.TryRead(fields, out var head);
        if (problem != HeadProblem.None)
        {
            return problem;
        }

        if (head!.IsInterim)
        {
            if (endStream || ++_interims > MaxInterimResponses)
            {
                return endStream ? HeadProblem.InterimEndsStream : HeadProblem.InterimTooMany;
            }
        }
        else
        {
            _hasHead = true;
            var isConnected = Request.IsConnect && head.Status < 300;
            var hasNoContent = Request.Method == "HEAD" || head.Status is 204 or 304;
            _expected = isConnected ? null : hasNoContent ? 0 : head.ContentLength;
            if (endStream && _expected > 0)
            {
                return HeadProblem.ContentLengthContradicted;
            }
        }

        if (_awaitingHead is { IsArmed: true })
        {
            _awaitingHead.Complete_NeedsLock(head);
        }
        else
        {
            _heads.Enqueue(head);
        }

        return HeadProblem.None;
    }

    private HeadProblem OnTrailers_NeedsLock(IReadOnlyList<KeyValuePair<string, string>> fields, bool endStream)
    {
        // After CONNECT there is only DATA (§8.5).
        var problem = !endStream || Request.IsConnect ? HeadProblem.TrailersWithoutEnd
            : _expected > 0 ? HeadProblem.ContentLengthContradicted
            : FieldRules.CheckTrailers(fields);
        if (problem == HeadProblem.None)
        {
            Trailers = fields;
        }

        return problem;
    }

    /// <summary>To the reader who waits, or to be read later.</summary>
    /// <returns>How many octets were kept.</returns>
    private int Deliver_NeedsLock(ReadOnlySpan<byte> payload)
    {
        if (payload.IsEmpty)
        {
            return 0;
        }

        var direct = 0;
        if (_reading.IsArmed)
        {
            direct = Math.Min(_readInto.Length, payload.Length);
            payload[..direct].CopyTo(_readInto.Span);
            _reading.Complete_NeedsLock(direct);
        }

        if (direct < payload.Length)
        {
            _inbox.Write(payload[direct..]);
        }

        return payload.Length - direct;
    }

    /// <summary>Opens the window again by half of it at a time, so that not every read costs a frame.</summary>
    private void Consume_NeedsLock(int count)
    {
        _consumed += count;
        if (_consumed >= _window / 2 && !_isPeerEnded && _failure is null)
        {
            _connection.Output.WindowUpdate(Id, _consumed);
            _receiveWindow += _consumed;
            _consumed = 0;
            _connection.WantFlush_NeedsLock();
        }
    }

    private void Drop_NeedsLock()
    {
        var dropped = _inbox.Length;
        _inbox.Clear();
        _connection.Consumed_NeedsLock(dropped);
    }

    private void ThrowIfUnwritable()
    {
        if (_failure is not null)
        {
            throw _failure;
        }

        if (_isEnded)
        {
            throw new InvalidOperationException("the stream's direction has ended already");
        }
    }

    private static Breach Malformed(HeadProblem problem) => new(Http2Error.ProtocolError, $"malformed message: {problem}");
}
