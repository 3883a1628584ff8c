using System.Buffers.Binary;

namespace Signet.Rpc.Wire.Attestation.Tpm;

/// <summary>Reads what <see cref="TpmWriter"/> writes. After a read beyond the end everything reads as zero, and <see cref="IsWhole"/> says so.</summary>
public ref struct TpmReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _rest = bytes;
    private bool _failed;

    /// <summary>Whether everything was there, and nothing is left.</summary>
    public readonly bool IsWhole => !_failed && _rest.IsEmpty;

    /// <summary>Whether everything so far was there.</summary>
    public readonly bool IsGood => !_failed;

    /// <summary>What is left.</summary>
    public readonly ReadOnlySpan<byte> Rest => _failed ? [] : _rest;

    public byte Byte() => Take(1) is { IsEmpty: false } taken ? taken[0] : (byte)0;

    public ushort Short() => Take(2) is { IsEmpty: false } taken ? BinaryPrimitives.ReadUInt16BigEndian(taken) : (ushort)0;

    public uint Long() => Take(4) is { IsEmpty: false } taken ? BinaryPrimitives.ReadUInt32BigEndian(taken) : 0;

    /// <summary>What has its length before it.</summary>
    public ReadOnlySpan<byte> Sized() => Take(Short());

    public ReadOnlySpan<byte> Take(int length)
    {
        if (_failed || _rest.Length < length)
        {
            _failed = true;
            return [];
        }

        var taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }
}
