using System.Buffers;
using System.Buffers.Binary;
using Signet.Proxy.Http2.Hpack;

namespace Signet.Proxy.Http2;

/// <summary>
/// Gathers frames in a pooled buffer until somebody takes them for one write. Not thread-safe; holds no buffer while it is empty.
/// </summary>
internal sealed class FrameWriter : IBufferWriter<byte>
{
    private const int SmallBuffer = 4 * 1024;
    private const int LargeBuffer = 64 * 1024;

    private readonly HpackEncoder _hpack = new();
    private byte[]? _buffer;

    /// <summary>Bytes that wait to be taken.</summary>
    public int Length { get; private set; }

    /// <summary>Takes what was gathered. The array goes back to the shared pool once it is written.</summary>
    public byte[] Take(out int length)
    {
        var taken = _buffer ?? throw new InvalidOperationException("nothing was gathered");
        (length, Length, _buffer) = (Length, 0, null);
        return taken;
    }

    public void Preface()
    {
        FrameHeader.Preface.CopyTo(GetSpan(FrameHeader.Preface.Length));
        Advance(FrameHeader.Preface.Length);
    }

    public void Settings(ReadOnlySpan<(SettingId Id, int Value)> settings)
    {
        var payload = Frame(FrameType.Settings, FrameFlags.None, 0, settings.Length * 6);
        foreach (var (id, value) in settings)
        {
            BinaryPrimitives.WriteUInt16BigEndian(payload, (ushort)id);
            BinaryPrimitives.WriteInt32BigEndian(payload[2..], value);
            payload = payload[6..];
        }
    }

    public void SettingsAck() => Frame(FrameType.Settings, FrameFlags.Ack, 0, 0);

    public void Ping(ulong opaque, bool isAck) =>
        BinaryPrimitives.WriteUInt64BigEndian(Frame(FrameType.Ping, isAck ? FrameFlags.Ack : FrameFlags.None, 0, 8), opaque);

    public void WindowUpdate(int streamId, int increment) =>
        BinaryPrimitives.WriteInt32BigEndian(Frame(FrameType.WindowUpdate, FrameFlags.None, streamId, 4), increment);

    public void Reset(int streamId, Http2Error code) =>
        BinaryPrimitives.WriteUInt32BigEndian(Frame(FrameType.ResetStream, FrameFlags.None, streamId, 4), (uint)code);

    /// <summary>No debug data: what an operator reads is not the peer's.</summary>
    public void GoAway(int lastStreamId, Http2Error code)
    {
        var payload = Frame(FrameType.GoAway, FrameFlags.None, 0, 8);
        BinaryPrimitives.WriteInt32BigEndian(payload, lastStreamId);
        BinaryPrimitives.WriteUInt32BigEndian(payload[4..], (uint)code);
    }

    public void Data(int streamId, ReadOnlySpan<byte> payload, bool endStream) =>
        payload.CopyTo(Frame(FrameType.Data, endStream ? FrameFlags.EndStream : FrameFlags.None, streamId, payload.Length));

    public void Head(int streamId, Http2RequestHead head, bool endStream)
    {
        var start = BeginBlock();
        head.Write(this);
        EndBlock(start, streamId, endStream);
    }

    public void Head(int streamId, Http2ResponseHead head, bool endStream)
    {
        var start = BeginBlock();
        head.Write(this);
        EndBlock(start, streamId, endStream);
    }

    public void Trailers(int streamId, IReadOnlyList<KeyValuePair<string, string>> fields)
    {
        var start = BeginBlock();
        foreach (var (name, value) in fields)
        {
            HpackEncoder.Write(this, name, value);
        }

        EndBlock(start, streamId, endStream: true);
    }

    public void Advance(int count) => Length += count;

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        MakeRoom(Math.Max(sizeHint, 1));
        return _buffer.AsSpan(Length);
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        MakeRoom(Math.Max(sizeHint, 1));
        return _buffer.AsMemory(Length);
    }

    private Span<byte> Frame(FrameType type, FrameFlags flags, int streamId, int length)
    {
        var span = GetSpan(FrameHeader.Size + length);
        new FrameHeader(length, type, flags, streamId).Write(span);
        Advance(FrameHeader.Size + length);
        return span.Slice(FrameHeader.Size, length);
    }

    private int BeginBlock()
    {
        var start = Length;
        GetSpan(FrameHeader.Size);
        Advance(FrameHeader.Size);
        _hpack.Begin(this);
        return start;
    }

    /// <summary>Puts the header before the block; a long block is moved apart into HEADERS and CONTINUATION frames, last part first.</summary>
    private void EndBlock(int start, int streamId, bool endStream)
    {
        var length = Length - start - FrameHeader.Size;
        var more = Math.Max(0, (length - 1) / FrameHeader.MaxPayload);
        GetSpan((more * FrameHeader.Size) + 1);
        Advance(more * FrameHeader.Size);
        var block = _buffer.AsSpan(start);
        for (var part = more; part >= 0; part--)
        {
            var from = part * FrameHeader.MaxPayload;
            var size = Math.Min(length - from, FrameHeader.MaxPayload);
            var to = part * (FrameHeader.Size + FrameHeader.MaxPayload);
            block.Slice(FrameHeader.Size + from, size).CopyTo(block[(to + FrameHeader.Size)..]);
            var flags = (part == more ? FrameFlags.EndHeaders : FrameFlags.None) | (part == 0 && endStream ? FrameFlags.EndStream : FrameFlags.None);
            new FrameHeader(size, part == 0 ? FrameType.Headers : FrameType.Continuation, flags, streamId).Write(block[to..]);
        }
    }

    private void MakeRoom(int count)
    {
        if (_buffer is not null && _buffer.Length - Length >= count)
        {
            return;
        }

        var needed = Length + count;
        var larger = ArrayPool<byte>.Shared.Rent(needed <= SmallBuffer ? SmallBuffer : needed <= LargeBuffer ? LargeBuffer : needed * 2);
        if (_buffer is not null)
        {
            _buffer.AsSpan(0, Length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_buffer);
        }

        _buffer = larger;
    }
}
