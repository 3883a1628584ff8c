using System.Buffers;
using System.Buffers.Binary;
using Signet.Proxy.Http2.Hpack;

namespace Signet.Proxy.Http2;

/// <summary>What the peer sends on streams: messages and their ends, each within the windows.</summary>
public sealed partial class Http2Connection
{
    /// <summary>How many streams are remembered that the peer itself has ended, so that what it still sends there is known as a breach.</summary>
    private const int RememberedEnds = 128;

    /// <summary>How many gaps are remembered between the numbers of streams that the peer opened; a stream in one of them never was.</summary>
    private const int RememberedGaps = 16;

    private readonly HpackDecoder _hpack = new();
    private readonly int[] _peerEnded = new int[RememberedEnds];
    private readonly (int First, int Last)[] _gaps = new (int, int)[RememberedGaps];
    private ArrayBufferWriter<byte>? _block;
    private FrameHeader _blockHead;
    private int _continuations;
    private int _peerEndedCount;
    private int _gapCount;
    private int _lastPeerStream;
    private int _receiveWindow;
    private int _credit;
    private int _buffered;

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
            if (Array.Exists(_gaps, gap => header.StreamId >= gap.First && header.StreamId <= gap.Last))
            {
                throw Protocol($"HEADERS on stream {header.StreamId}, below one that the peer has opened (§5.1.1)");
            }

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

        var next = _lastPeerStream == 0 ? 1 : _lastPeerStream + 2;
        if (id > next)
        {
            _gaps[_gapCount++ % RememberedGaps] = (next, id - 2);
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
            _accepted.Enqueue(new(null, problem));
            return;
        }

        var stream = new Http2Stream(this, id, head!, _peerInitialWindow, _options.StreamWindow);
        Add_NeedsLock(stream);
        if (endStream)
        {
            stream.PeerEnds_NeedsLock();
        }

        _handlers++;
        _accepted.Enqueue(new(stream, HeadProblem.None));
    }

    private void OnReset_NeedsLock(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        Expect(header, 4, mayBeStreamless: false);
        ThrowIfIdle(header);
        if (_streams.TryGetValue(header.StreamId, out var stream))
        {
            if (!stream.IsAnswered)
            {
                Count_NeedsLock(FloodKind.Reset, "resets");
            }

            stream.OnReset_NeedsLock((Http2Error)BinaryPrimitives.ReadUInt32BigEndian(payload));
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
        stream.Reset_NeedsLock(code, reason, isBreach: true);
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
}
