using System.Buffers;

namespace Signet.Proxy.Transport;

/// <summary>Bytes that wait for their turn, in a buffer from the shared pool that goes back when they are gone. Mutable; one owner.</summary>
internal struct PooledBytes
{
    private byte[]? _buffer;
    private int _start;
    private int _end;

    public readonly int Count => _end - _start;

    public readonly ReadOnlySpan<byte> Span => _buffer.AsSpan(_start, Count);

    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return;
        }

        if (_buffer is null || bytes.Length > _buffer.Length - _end)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Count + bytes.Length);
            Span.CopyTo(larger);
            var count = Count;
            Clear();
            (_buffer, _start, _end) = (larger, 0, count);
        }

        bytes.CopyTo(_buffer.AsSpan(_end));
        _end += bytes.Length;
    }

    public void Consume(int count)
    {
        _start += count;
        if (_start == _end)
        {
            Clear();
        }
    }

    public void Clear()
    {
        if (_buffer is not null)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
        }

        (_buffer, _start, _end) = (null, 0, 0);
    }
}
