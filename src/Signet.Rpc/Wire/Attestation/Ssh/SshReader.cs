using System.Buffers.Binary;
using System.Text;

namespace Signet.Rpc.Wire.Attestation.Ssh;

/// <summary>Reads SSH's types (RFC 4251 §5). After a read beyond the end everything reads as empty, and <see cref="IsWhole"/> says so.</summary>
internal ref struct SshReader(ReadOnlySpan<byte> bytes)
{
    private readonly ReadOnlySpan<byte> _all = bytes;
    private ReadOnlySpan<byte> _rest = bytes;
    private bool _failed;

    /// <summary>Whether everything was there, and nothing is left.</summary>
    public readonly bool IsWhole => !_failed && _rest.IsEmpty;

    /// <summary>Whether something is left.</summary>
    public readonly bool HasMore => !_failed && !_rest.IsEmpty;

    /// <summary>How many bytes were read.</summary>
    public readonly int Offset => _all.Length - _rest.Length;

    public uint Number() => Take(4) is { IsEmpty: false } taken ? BinaryPrimitives.ReadUInt32BigEndian(taken) : 0;

    public ulong LongNumber() => Take(8) is { IsEmpty: false } taken ? BinaryPrimitives.ReadUInt64BigEndian(taken) : 0;

    public ReadOnlySpan<byte> Bytes()
    {
        var length = Number();
        return length <= int.MaxValue ? Take((int)length) : Fail();
    }

    /// <summary>A text; a name or a host is never anything else than printable ASCII here.</summary>
    public string Text()
    {
        var text = Encoding.UTF8.GetString(Bytes());
        _failed |= text.Any(c => c is < ' ' or > '~');
        return _failed ? "" : text;
    }

    /// <summary>A number of any length that is not negative, without zeros before it.</summary>
    public byte[] Integer()
    {
        var bytes = Bytes();
        if (bytes.Length > 0 && (bytes[0] & 0x80) != 0)
        {
            Fail();
        }

        return _failed ? [] : bytes.TrimStart((byte)0).ToArray();
    }

    public ReadOnlySpan<byte> Take(int length)
    {
        if (_failed || _rest.Length < length)
        {
            return Fail();
        }

        var taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }

    private ReadOnlySpan<byte> Fail()
    {
        _failed = true;
        return [];
    }
}
