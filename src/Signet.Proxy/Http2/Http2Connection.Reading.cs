using System.Buffers;
using System.Buffers.Binary;
using Signet.Proxy.Http2.Hpack;

namespace Signet.Proxy.Http2;

/// <summary>What the peer sends.</summary>
public sealed partial class Http2Connection
{
    private const int ReadBuffer = 64 * 1024;

    /// <summary>What may wait to be written before no more is read: a peer that does not listen is not listened to.</summary>
    private const int MaxBacklog = 256 * 1024;

    /// <summary>How many streams are remembered that the peer itself has ended, so that what it still sends there is known as a breach.</summary>
    private const int RememberedEnds = 128;

    private readonly HpackDecoder _hpack = new();
    private readonly int[] _peerEnded = new int[RememberedEnds];
    private ArrayBufferWriter<byte>? _block;
    private FrameHeader _blockHead;
    private int _continuations;
    private int _peerEndedCount;
    private int _prefaceRead;
    private int _lastPeerStream;
    private int _receiveWindow;
    private int _credit;
    private int _buffered;
    private long _lastReceived;
    private Http2Error _peerCode;
    private bool _hasPeerSettings;
    private bool _inTurn;

    private async Task ReadLoopAsync()
    {
        byte[]? buffer = null;
        var end = 0;
        try
        {
            while (true)
            {
                if (buffer is null)
                {
                    // An idle connection holds no buffer: wait first, rent when there is something to put into it.
                    await _transport.ReadAsync(Memory<byte>.Empty, _stop.Token).ConfigureAwait(false);
                    buffer = ArrayPool<byte>.Shared.Rent(ReadBuffer);
                }

                var read = await _transport.ReadAsync(buffer.AsMemory(end), _stop.Token).ConfigureAwait(false);
                if (read == 0)
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                    OnPeerEnd();
                    return;
                }

                end += read;
                var taken = Turn(buffer.AsSpan(0, end));
                buffer.AsSpan(taken, end - taken).CopyTo(buffer);
                end -= taken;
                if (end == 0)
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = null;
                }

                await BacklogAsync().ConfigureAwait(false);
            }
        }
        catch (IOException e)
        {
            Break(Http2Error.NoError, e.Message);
        }
        catch (OperationCanceledException)
        {
            Break(Http2Error.NoError, "stopped");
        }
    }

    /// <summary>Handles whole frames from the front of what was read.</summary>
    /// <returns>How many octets were taken.</returns>
    private int Turn(ReadOnlySpan<byte> bytes)
    {
        var taken = 0;
        lock (Gate)
        {
            _inTurn = true;
            _lastReceived = _options.Time.GetTimestamp();
            try
            {
                while (!_isClosing && TakeFrame_NeedsLock(bytes[taken..], out var size))
                {
                    taken += size;
                }
            }
            catch (Http2ConnectionException e)
            {
                Fail_NeedsLock(e.Code, e.Message);
            }

            if (_isClosing)
            {
                taken = bytes.Length;
            }
        }

        Settle();
        lock (Gate)
        {
            _inTurn = false;
            WantFlush_NeedsLock();
        }

        Settle();
        return taken;
    }

    private async ValueTask BacklogAsync()
    {
        ValueTask<bool> written;
        lock (Gate)
        {
            if (_out.Length <= MaxBacklog || _isClosing)
            {
                return;
            }

            _reader.Arm_NeedsLock(CancellationToken.None);
            written = _reader.Task;
        }

        await written.ConfigureAwait(false);
    }

    private void OnPeerEnd()
    {
        lock (Gate)
        {
            _end ??= _streams.Count == 0
                ? new Http2End(IsOrderly: true, Http2Error.NoError, "the peer closed the connection")
                : new Http2End(IsOrderly: false, _peerCode, $"the peer closed the connection ({_peerCode}) with {_streams.Count} streams open");
            FailStreams_NeedsLock(_end.Code);
            Close_NeedsLock();
        }

        Settle();
    }

    private bool TakeFrame_NeedsLock(ReadOnlySpan<byte> bytes, out int size)
    {
        size = 0;
        if (IsServer && _prefaceRead < FrameHeader.Preface.Length)
        {
            size = Math.Min(bytes.Length, FrameHeader.Preface.Length - _prefaceRead);
            if (!bytes[..size].SequenceEqual(FrameHeader.Preface.Slice(_prefaceRead, size)))
            {
                throw Protocol("the connection does not begin with the preface of HTTP/2");
            }

            _prefaceRead += size;
            return size > 0;
        }

        if (!FrameHeader.TryRead(bytes, out var header))
        {
            return false;
        }

        if (header.Length > FrameHeader.MaxPayload)
        {
            throw new Http2ConnectionException(Http2Error.FrameSizeError, $"a frame of {header.Length} octets; {FrameHeader.MaxPayload} are allowed");
        }

        size = FrameHeader.Size + header.Length;
        if (bytes.Length < size)
        {
            return false;
        }

        Handle_NeedsLock(header, bytes[FrameHeader.Size..size]);
        return true;
    }

    private void Handle_NeedsLock(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (!_hasPeerSettings && (header.Type != FrameType.Settings || header.Has(FrameFlags.Ack)))
        {
            throw Protocol($"the first frame is {header.Type}, not SETTINGS");
        }

        if (_continuations > 0 != (header.Type == FrameType.Continuation))
        {
            throw Protocol(header.Type == FrameType.Continuation ? "CONTINUATION without a block that goes on" : $"{header.Type} inside a header block");
        }

        switch (header.Type)
        {
            case FrameType.Data:
                OnData_NeedsLock(header, payload);
                break;
            case FrameType.Headers:
                OnHeaders_NeedsLock(header, payload);
                break;
            case FrameType.Continuation:
                OnContinuation_NeedsLock(header, payload);
                break;
            case FrameType.ResetStream:
                OnReset_NeedsLock(header, payload);
                break;
            case FrameType.Settings:
                OnSettings_NeedsLock(header, payload);
                break;
            case FrameType.Ping:
                OnPing_NeedsLock(header, payload);
                break;
            case FrameType.GoAway:
                OnGoAway_NeedsLock(header, payload);
                break;
            case FrameType.WindowUpdate:
                OnWindowUpdate_NeedsLock(header, payload);
                break;
            case FrameType.PushPromise:
                throw Protocol("PUSH_PROMISE, which is not allowed here");
            case FrameType.Priority:
                Expect(header, 5, mayBeStreamless: false);
                Count_NeedsLock(FloodKind.Idle, "PRIORITY frames");
                break;
            default:
                Count_NeedsLock(FloodKind.Idle, "frames of unknown types");
                break;
        }
    }

    private void OnData_NeedsLock(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        ThrowIfIdle(header);
        if (header.Length > _receiveWindow)
        {
            throw new Http2ConnectionException(Http2Error.FlowControlError, "more DATA than the connection's window allows");
        }

        _receiveWindow -= header.Length;
        _credit += header.Length;
        if (!header.TryStrip(ref payload))
        {
            throw Protocol("more padding than DATA");
        }

        var endStream = header.Has(FrameFlags.EndStream);
        if (payload.IsEmpty && !endStream)
        {
            Count_NeedsLock(FloodKind.Idle, "DATA frames without data");
        }

        if (!_streams.TryGetValue(header.StreamId, out var stream))
        {
            OnLate_NeedsLock(header);
        }
        else if (stream.OnData_NeedsLock(payload, header.Length, endStream, out var kept) is { } problem)
        {
            Misbehaved_NeedsLock(stream, problem.Code, problem.Reason);
        }
        else
        {
            _buffered += kept;
        }

        Grant_NeedsLock();
    }

    private void OnHeaders_NeedsLock(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (header.StreamId == 0 || (header.StreamId & 1) == 0)
        {
            throw Protocol($"HEADERS on stream {header.StreamId}");
        }

        if (!header.TryStrip(ref payload))
        {
            throw Protocol("more padding than HEADERS");
        }

        if (header.Has(FrameFlags.EndHeaders))
        {
            OnBlock_NeedsLock(header, payload);
            return;
        }

        _blockHead = header;
        _continuations = 1;
        _block ??= new ArrayBufferWriter<byte>();
        Gather_NeedsLock(payload);
    }

    private void OnContinuation_NeedsLock(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (header.StreamId != _blockHead.StreamId)
        {
            throw Protocol("CONTINUATION on another stream than its block");
        }

        if (_continuations++ > _options.MaxContinuations)
        {
            throw new Http2ConnectionException(Http2Error.EnhanceYourCalm, $"more than {_options.MaxContinuations} CONTINUATION frames");
        }

        Gather_NeedsLock(payload);
        if (header.Has(FrameFlags.EndHeaders))
        {
            var block = _block!;
            (_block, _continuations) = (null, 0);
            OnBlock_NeedsLock(_blockHead, block.WrittenSpan);
        }
    }

    private void Gather_NeedsLock(ReadOnlySpan<byte> payload)
    {
        if (_block!.WrittenCount + payload.Length > 2 * _options.MaxHeaderList)
        {
            throw new Http2ConnectionException(Http2Error.EnhanceYourCalm, $"a header block of more than {2 * _options.MaxHeaderList} octets");
        }

        _block.Write(payload);
    }

    private void OnBlock_NeedsLock(FrameHeader header, ReadOnlySpan<byte> block)
    {
        // Whatever becomes of the stream, the block is decoded: later ones refer to it.
        var section = new FieldSection(_options.MaxHeaderList, _options.MaxFields);
        var problem = _hpack.TryDecode(block, section);
        if (problem != HpackProblem.None)
        {
            throw new Http2ConnectionException(Http2Error.CompressionError, $"a header block that cannot be decoded: {problem}");
        }

        var endStream = header.Has(FrameFlags.EndStream);
        if (_streams.TryGetValue(header.StreamId, out var stream))
        {
            if (stream.OnHead_NeedsLock(section, endStream) is { } breach)
            {
                Misbehaved_NeedsLock(stream, breach.Code, breach.Reason);
            }
        }
        else if (!IsServer || header.StreamId <= _lastPeerStream)
        {
            ThrowIfIdle(header);
            OnLate_NeedsLock(header);
        }
        else
        {
            OnRequest_NeedsLock(header.StreamId, section, endStream);
        }
    }

    private void OnRequest_NeedsLock(int id, FieldSection section, bool endStream)
    {
        if (_saidLastStream)
        {
            // The peer knows, or will know soon, that nobody looks at it (§6.8).
            Count_NeedsLock(FloodKind.Reset, "requests after the last one");
            return;
        }

        _lastPeerStream = id;
        if (_streams.Count >= _options.MaxConcurrentStreams || _handlers >= 2 * _options.MaxConcurrentStreams)
        {
            Count_NeedsLock(FloodKind.Reset, "streams beyond the limit");
            _out.Reset(id, Http2Error.RefusedStream);
            return;
        }

        Http2RequestHead? head = null;
        var problem = section.IsTooLarge ? HeadProblem.TooLarge : Http2RequestHead.TryRead(section.Fields, out head);
        if (problem == HeadProblem.None && endStream && head!.ContentLength > 0)
        {
            problem = HeadProblem.ContentLengthContradicted;
        }

        if (problem != HeadProblem.None)
        {
            Count_NeedsLock(FloodKind.Reset, "malformed requests");
            if (problem == HeadProblem.TooLarge)
            {
                _out.Head(id, new Http2ResponseHead(431, []), endStream: true);
            }

            _out.Reset(id, problem == HeadProblem.TooLarge ? Http2Error.NoError : Http2Error.ProtocolError);
            return;
        }

        var stream = new Http2Stream(this, id, head!, _peerInitialWindow, _options.StreamWindow);
        Add_NeedsLock(stream);
        if (endStream)
        {
            stream.PeerEnds_NeedsLock();
        }

        _handlers++;
        _accepted.Enqueue(stream);
    }

    private void OnReset_NeedsLock(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        Expect(header, 4, mayBeStreamless: false);
        ThrowIfIdle(header);
        if (_streams.TryGetValue(header.StreamId, out var stream))
        {
            Count_NeedsLock(FloodKind.Reset, "resets");
            stream.OnReset_NeedsLock((Http2Error)BinaryPrimitives.ReadUInt32BigEndian(payload));
        }
    }

    private void OnSettings_NeedsLock(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (header.StreamId != 0)
        {
            throw Protocol("SETTINGS on a stream");
        }

        if (payload.Length % 6 != 0 || (header.Has(FrameFlags.Ack) && !payload.IsEmpty))
        {
            throw new Http2ConnectionException(Http2Error.FrameSizeError, $"SETTINGS of {payload.Length} octets");
        }

        Count_NeedsLock(FloodKind.Control, "SETTINGS and PING frames");
        if (header.Has(FrameFlags.Ack))
        {
            _settingsDue = null;
            return;
        }

        if (!_hasPeerSettings)
        {
            (_hasPeerSettings, _peerMaxStreams) = (true, int.MaxValue);
        }

        for (; !payload.IsEmpty; payload = payload[6..])
        {
            Apply_NeedsLock((SettingId)BinaryPrimitives.ReadUInt16BigEndian(payload), BinaryPrimitives.ReadUInt32BigEndian(payload[2..]));
        }

        _out.SettingsAck();
        _greeting.Complete_NeedsLock(true);
    }

    private void Apply_NeedsLock(SettingId id, uint value)
    {
        switch (id)
        {
            case SettingId.EnablePush when value > 1 || (value == 1 && !IsServer):
            case SettingId.MaxFrameSize when value is < FrameHeader.MaxPayload or >= 1 << 24:
                throw Protocol($"the setting {id} cannot be {value}");
            case SettingId.InitialWindowSize when value > int.MaxValue:
                throw new Http2ConnectionException(Http2Error.FlowControlError, $"the setting {id} cannot be {value}");
            case SettingId.MaxConcurrentStreams:
                _peerMaxStreams = (int)Math.Min(value, int.MaxValue);
                break;
            case SettingId.InitialWindowSize:
                var change = (int)value - _peerInitialWindow;
                _peerInitialWindow = (int)value;
                foreach (var stream in _streams.Values)
                {
                    if (!stream.Widen_NeedsLock(change))
                    {
                        throw new Http2ConnectionException(Http2Error.FlowControlError, "a setting takes a window over its limit");
                    }
                }

                break;
            default:
                // The size of the table that this side does not keep, the frames that it does not fill, the lists that it does not make, and what nobody knows.
                break;
        }
    }

    private void OnPing_NeedsLock(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (header.StreamId != 0)
        {
            throw Protocol("PING on a stream");
        }

        if (payload.Length != 8)
        {
            throw new Http2ConnectionException(Http2Error.FrameSizeError, $"PING of {payload.Length} octets");
        }

        Count_NeedsLock(FloodKind.Control, "SETTINGS and PING frames");
        var opaque = BinaryPrimitives.ReadUInt64BigEndian(payload);
        if (!header.Has(FrameFlags.Ack))
        {
            _out.Ping(opaque, isAck: true);
        }
        else if (opaque == DrainPing)
        {
            SayLastStream_NeedsLock();
        }
    }

    private void OnGoAway_NeedsLock(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        if (header.StreamId != 0)
        {
            throw Protocol("GOAWAY on a stream");
        }

        if (payload.Length < 8)
        {
            throw new Http2ConnectionException(Http2Error.FrameSizeError, $"GOAWAY of {payload.Length} octets");
        }

        Count_NeedsLock(FloodKind.Control, "GOAWAY frames");
        _peerCode = (Http2Error)BinaryPrimitives.ReadUInt32BigEndian(payload[4..]);
        if (IsServer)
        {
            // It is about streams that this side would open, and it opens none.
            return;
        }

        // The largest number says only that there will be another one; streams can no longer be opened from now on.
        var last = (int)(BinaryPrimitives.ReadUInt32BigEndian(payload) & int.MaxValue);
        _peerLastStream = Math.Min(_peerLastStream, Math.Min(last, int.MaxValue - 1));
        foreach (var stream in _streams.Values.Where(stream => stream.Id > _peerLastStream).ToList())
        {
            stream.Fail_NeedsLock(new Http2StreamException(_peerCode, $"the peer goes away ({_peerCode}) and did not look at the request", isUnprocessed: true));
            Remove_NeedsLock(stream);
        }

        CloseWhenDrained_NeedsLock();
    }

    private void OnWindowUpdate_NeedsLock(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        Expect(header, 4, mayBeStreamless: true);
        var increment = (int)(BinaryPrimitives.ReadUInt32BigEndian(payload) & int.MaxValue);
        if (header.StreamId == 0)
        {
            if (increment == 0)
            {
                throw Protocol("WINDOW_UPDATE by nothing");
            }

            if (_sendWindow > int.MaxValue - increment)
            {
                throw new Http2ConnectionException(Http2Error.FlowControlError, "WINDOW_UPDATE over the limit of the connection's window");
            }

            _sendWindow += increment;
            return;
        }

        ThrowIfIdle(header);
        if (!_streams.TryGetValue(header.StreamId, out var stream))
        {
            return;
        }

        if (increment == 0)
        {
            Misbehaved_NeedsLock(stream, Http2Error.ProtocolError, "WINDOW_UPDATE by nothing");
        }
        else if (!stream.Widen_NeedsLock(increment))
        {
            Misbehaved_NeedsLock(stream, Http2Error.FlowControlError, "WINDOW_UPDATE over the limit of the stream's window");
        }
    }

    /// <summary>What the peer sent before it knew that this side had reset the stream is no breach; what it sends after its own end is.</summary>
    private void OnLate_NeedsLock(FrameHeader header)
    {
        if (Array.IndexOf(_peerEnded, header.StreamId) >= 0)
        {
            throw new Http2ConnectionException(Http2Error.StreamClosed, $"{header.Type} on stream {header.StreamId}, which the peer has ended");
        }

        Count_NeedsLock(FloodKind.Idle, "frames on closed streams");
    }

    internal void RememberPeerEnd_NeedsLock(int streamId) => _peerEnded[_peerEndedCount++ % RememberedEnds] = streamId;

    /// <summary>Resets a stream for what the peer did on it.</summary>
    private void Misbehaved_NeedsLock(Http2Stream stream, Http2Error code, string reason)
    {
        Count_NeedsLock(FloodKind.Reset, "streams that had to be reset");
        stream.Reset_NeedsLock(code, reason);
    }

    /// <summary>A reader took octets, or they were dropped.</summary>
    internal void Consumed_NeedsLock(int count)
    {
        _buffered -= count;
        Grant_NeedsLock();
    }

    /// <summary>
    /// The connection's window is opened again on receipt, not when a reader comes for it: a slow reader holds up its own stream only.
    /// Unless the readers of all streams together have left too much lying.
    /// </summary>
    private void Grant_NeedsLock()
    {
        if (_credit >= _options.ConnectionWindow / 2 && _buffered <= _options.MaxBuffered && !_isClosing)
        {
            _out.WindowUpdate(0, _credit);
            _receiveWindow += _credit;
            _credit = 0;
            WantFlush_NeedsLock();
        }
    }

    private void Count_NeedsLock(FloodKind kind, string what)
    {
        if (!_floods.Allows(kind, _lastReceived))
        {
            throw new Http2ConnectionException(Http2Error.EnhanceYourCalm, $"too many {what} in {_options.FloodInterval.TotalSeconds:0} s");
        }
    }

    private void ThrowIfIdle(FrameHeader header)
    {
        if (header.StreamId == 0)
        {
            throw Protocol($"{header.Type} without a stream");
        }

        var isIdle = IsServer ? header.StreamId > _lastPeerStream || (header.StreamId & 1) == 0 : header.StreamId >= _nextStreamId || (header.StreamId & 1) == 0;
        if (isIdle && !(IsServer && _saidLastStream))
        {
            throw Protocol($"{header.Type} on stream {header.StreamId}, which nobody has opened");
        }
    }

    private static void Expect(FrameHeader header, int length, bool mayBeStreamless)
    {
        if (header.StreamId == 0 && !mayBeStreamless)
        {
            throw Protocol($"{header.Type} without a stream");
        }

        if (header.Length != length)
        {
            throw new Http2ConnectionException(Http2Error.FrameSizeError, $"{header.Type} of {header.Length} octets");
        }
    }

    private static Http2ConnectionException Protocol(string reason) => new(Http2Error.ProtocolError, reason);
}
