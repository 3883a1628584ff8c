using System.Buffers.Binary;

namespace Signet.Proxy.Http2;

/// <summary>What the peer says about the connection: its settings, its windows, that it lives and that it goes.</summary>
public sealed partial class Http2Connection
{
    private Http2Error _peerCode;
    private bool _hasPeerSettings;

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
}
