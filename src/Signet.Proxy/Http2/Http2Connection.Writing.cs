using System.Buffers;

namespace Signet.Proxy.Http2;

/// <summary>What this side sends.</summary>
public sealed partial class Http2Connection
{
    /// <summary>DATA is gathered up to this many octets for one write of the transport.</summary>
    private const int MaxBatch = 64 * 1024;

    /// <summary>No frame is cut smaller than this only because a batch is nearly full.</summary>
    private const int MinFragment = 1024;

    private readonly FrameWriter _out = new();
    private readonly Queue<Http2Stream> _sending = [];
    private readonly Action _flush;
    private int _peerInitialWindow = Http2Options.DefaultWindow;
    private int _sendWindow = Http2Options.DefaultWindow;
    private bool _isFlushScheduled;
    private bool _saidLastStream;

    private void Greet_NeedsLock()
    {
        if (IsServer)
        {
            _out.Settings(
            [
                (SettingId.MaxConcurrentStreams, _options.MaxConcurrentStreams), (SettingId.InitialWindowSize, _options.StreamWindow),
                (SettingId.MaxHeaderListSize, _options.MaxHeaderList),
            ]);
        }
        else
        {
            _out.Preface();
            _out.Settings([(SettingId.EnablePush, 0), (SettingId.InitialWindowSize, _options.StreamWindow), (SettingId.MaxHeaderListSize, _options.MaxHeaderList)]);
        }

        if (_options.ConnectionWindow > Http2Options.DefaultWindow)
        {
            _out.WindowUpdate(0, _options.ConnectionWindow - Http2Options.DefaultWindow);
        }

        _settingsDue = After(_options.SettingsTimeout);
        _lastReceived = _options.Time.GetTimestamp();
        _keepAliveDue = After(_options.KeepAliveInterval);
        Rearm_NeedsLock();
    }

    private async Task WriteLoopAsync()
    {
        try
        {
            while (true)
            {
                var length = 0;
                byte[]? batch = null;
                var more = default(ValueTask<bool>);
                lock (Gate)
                {
                    if (_isBroken)
                    {
                        return;
                    }

                    Fill_NeedsLock();
                    if (_out.Length > 0)
                    {
                        batch = _out.Take(out length);
                        _reader.Complete_NeedsLock(true);
                    }
                    else if (_isClosing && !_awaitsPeer)
                    {
                        break;
                    }
                    else
                    {
                        _writer.Arm_NeedsLock(CancellationToken.None);
                        more = _writer.Task;
                    }
                }

                if (batch is null)
                {
                    await more.ConfigureAwait(false);
                    continue;
                }

                // The octets go first; then those are woken whose octets they were.
                var write = _transport.WriteAsync(batch.AsMemory(0, length), _stop.Token);
                Settle();
                await write.ConfigureAwait(false);
                ArrayPool<byte>.Shared.Return(batch);
            }

            await _transport.EndWritesAsync(_stop.Token).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            Break(Http2Error.NoError, e.Message);
            Stop();
        }
        catch (OperationCanceledException)
        {
            Break(Http2Error.NoError, "stopped");
        }
    }

    internal FrameWriter Output => _out;

    /// <summary>Takes one frame from each stream that has something to send, in turn, until the batch is full.</summary>
    private void Fill_NeedsLock()
    {
        while (_sending.TryPeek(out var stream))
        {
            if (stream.CanSend)
            {
                var size = SizeOfNext_NeedsLock(stream.Waiting.Length, stream.SendWindow);
                if (size == 0)
                {
                    return;
                }

                _sendWindow -= size;
                stream.SendWaiting_NeedsLock(size);
            }

            _sending.Dequeue();
            stream.IsQueued = false;
            QueueIfReady_NeedsLock(stream);
        }
    }

    /// <summary>Sends at once what the windows and the batch allow, if no other stream waits in front.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="bytes">What is left to send.</param>
    /// <returns>Whether nothing is left.</returns>
    internal bool TrySendAll_NeedsLock(Http2Stream stream, ref ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty && _sending.Count == 0 && SizeOfNext_NeedsLock(bytes.Length, stream.SendWindow) is > 0 and var size)
        {
            _sendWindow -= size;
            stream.Send_NeedsLock(bytes.Span[..size]);
            bytes = bytes[size..];
        }

        return bytes.IsEmpty;
    }

    internal void QueueIfReady_NeedsLock(Http2Stream stream)
    {
        if (!stream.IsQueued && stream.CanSend)
        {
            stream.IsQueued = true;
            _sending.Enqueue(stream);
        }
    }

    /// <summary>The octets of the next DATA frame; 0 when a window is shut or the batch is full.</summary>
    private int SizeOfNext_NeedsLock(int waiting, int streamWindow)
    {
        var size = Math.Min(Math.Min(waiting, FrameHeader.MaxPayload), Math.Min(streamWindow, _sendWindow));
        var room = MaxBatch - _out.Length - FrameHeader.Size;
        return size <= 0 ? 0 : size <= room ? size : room >= MinFragment ? room : 0;
    }

    /// <summary>What was gathered is to be written: now, at the end of the transport's turn, or when this connection's own turn is over.</summary>
    internal void WantFlush_NeedsLock()
    {
        if (!_writer.IsArmed || (_out.Length == 0 && (_sending.Count == 0 || _sendWindow <= 0)))
        {
            return;
        }

        if (_options.AtTurnEnd is { } atTurnEnd)
        {
            if (!_isFlushScheduled)
            {
                _isFlushScheduled = true;
                atTurnEnd(_flush);
            }
        }
        else if (!_inTurn)
        {
            _writer.Complete_NeedsLock(true);
        }
    }

    private void Flush()
    {
        lock (Gate)
        {
            _isFlushScheduled = false;
            _writer.Complete_NeedsLock(true);
        }

        Settle();
    }

    private void SayLastStream_NeedsLock()
    {
        if (_isDraining && !_saidLastStream)
        {
            _saidLastStream = true;
            _goAwayDue = null;
            _out.GoAway(_lastPeerStream, Http2Error.NoError);
            CloseWhenDrained_NeedsLock();
            WantFlush_NeedsLock();
        }
    }
}
