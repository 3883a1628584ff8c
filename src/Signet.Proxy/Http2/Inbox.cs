using System.Buffers;
using System.Numerics;

namespace Signet.Proxy.Http2;

/// <summary>Octets that have arrived on a stream and wait for its reader; bounded by the stream's window. Holds no buffer while it is empty.</summary>
internal struct Inbox
{
    private const int SmallBuffer = 4 * 1024;

    private byte[]? _buffer;
    private int _start;
    private int _end;

    public readonly int Length => _end - _start;

    public readonly ReadOnlyMemory<byte> Memory => _buffer.AsMemory(_start, Length);

    public void Write(ReadOnlySpan<byte> bytes)
    {
        if (_buffer is null || _buffer.Length - _end < bytes.Length)
        {
            MakeRoom(bytes.Length);
        }

        bytes.CopyTo(_buffer.AsSpan(_end));
        _end += bytes.Length;
    }

    public int Read(Span<byte> to)
    {
        var count = Math.Min(to.Length, Length);
        _buffer.AsSpan(_start, count).CopyTo(to);
        _start += count;
        if (_start == _end)
        {
            Clear();
        }

        return count;
    }

    public void Clear()
    {
        if (_buffer is not null)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
        }

        (_buffer, _start, _end) = (null, 0, 0);
    }

    private void MakeRoom(int count)
    {
        var needed = Length + count;
        var target = _buffer is not null && _buffer.Length >= needed * 2
            ? _buffer
            : ArrayPool<byte>.Shared.Rent(Math.Max(SmallBuffer, (int)BitOperations.RoundUpToPowerOf2((uint)needed)));
        _buffer.AsSpan(_start, Length).CopyTo(target);
        if (_buffer is not null && _buffer != target)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
        }

        (_buffer, _start, _end) = (target, 0, needed - count);
    }
}
