using System.Buffers;

namespace Signet.Proxy.Http2;

/// <summary>What the peer sends, taken apart into frames.</summary>
public sealed partial class Http2Connection
{
    private const int ReadBuffer = 64 * 1024;

    /// <summary>What may wait to be written before no more is read: a peer that does not listen is not listened to.</summary>
    private const int MaxBacklog = 256 * 1024;

    private int _prefaceRead;
    private long _lastReceived;
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
