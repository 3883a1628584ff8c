using System.Buffers.Binary;
using System.Text;

namespace Signet.Proxy.Telemetry.Wire;

/// <summary>
/// Writes protobuf's wire format: key = number &lt;&lt; 3 | type, varints of 7 bits each, the lowest first. A message within a message is written in
/// place and its length put before it afterwards. Not thread-safe.
/// </summary>
internal sealed class ProtoWriter
{
    private const int Varint = 0;
    private const int Fixed64 = 1;
    private const int Bytes = 2;
    private const int Fixed32 = 5;
    private const int MaxVarint = 10;

    private byte[] _bytes = new byte[4096];
    private int _length;

    public int Length => _length;

    public ReadOnlyMemory<byte> Written => _bytes.AsMemory(0, _length);

    public void Clear() => _length = 0;

    /// <summary>A number; 0 is the default and is not written.</summary>
    public void Number(int field, long value)
    {
        if (value != 0)
        {
            Choice(field, value);
        }
    }

    /// <summary>A number that is one of several possible members: it is written even when it is 0.</summary>
    public void Choice(int field, long value)
    {
        Key(field, Varint);
        Raw((ulong)value);
    }

    public void Fixed(int field, ulong value)
    {
        Key(field, Fixed64);
        BinaryPrimitives.WriteUInt64LittleEndian(Room(sizeof(ulong)), value);
        _length += sizeof(ulong);
    }

    public void Fixed(int field, uint value)
    {
        Key(field, Fixed32);
        BinaryPrimitives.WriteUInt32LittleEndian(Room(sizeof(uint)), value);
        _length += sizeof(uint);
    }

    public void Text(int field, string value)
    {
        Key(field, Bytes);
        Raw((ulong)Encoding.UTF8.GetByteCount(value));
        _length += Encoding.UTF8.GetBytes(value, Room(Encoding.UTF8.GetMaxByteCount(value.Length)));
    }

    /// <summary>Bytes that are written as hex digits.</summary>
    public void Hex(int field, string digits)
    {
        Key(field, Bytes);
        Raw((ulong)digits.Length / 2);
        Convert.FromHexString(digits, Room(digits.Length / 2), out _, out var written);
        _length += written;
    }

    /// <summary>A message within the message.</summary>
    public void Message<T>(int field, T content, Action<ProtoWriter, T> write)
    {
        Key(field, Bytes);
        var start = _length;
        write(this, content);
        var size = _length - start;

        // The length stands before what it counts, and is known only now.
        Span<byte> prefix = stackalloc byte[MaxVarint];
        var count = Put((ulong)size, prefix);
        Room(count);
        _bytes.AsSpan(start, size).CopyTo(_bytes.AsSpan(start + count));
        prefix[..count].CopyTo(_bytes.AsSpan(start));
        _length += count;
    }

    private void Key(int field, int type) => Raw(((ulong)field << 3) | (uint)type);

    private void Raw(ulong value) => _length += Put(value, Room(MaxVarint));

    private static int Put(ulong value, Span<byte> to)
    {
        var count = 0;
        for (; value > 0x7f; value >>= 7)
        {
            to[count++] = (byte)(value | 0x80);
        }

        to[count++] = (byte)value;
        return count;
    }

    private Span<byte> Room(int count)
    {
        if (_bytes.Length - _length < count)
        {
            Array.Resize(ref _bytes, Math.Max(2 * _bytes.Length, _length + count));
        }

        return _bytes.AsSpan(_length);
    }
}
