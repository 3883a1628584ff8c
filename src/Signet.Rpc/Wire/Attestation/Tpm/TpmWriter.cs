using System.Buffers.Binary;

namespace Signet.Rpc.Wire.Attestation.Tpm;

/// <summary>Writes structures as TPMs have them: big-endian, with lengths of two bytes before what is sized.</summary>
public sealed class TpmWriter
{
    private readonly List<byte> _bytes = [];

    public byte[] ToArray() => [.. _bytes];

    public TpmWriter Byte(byte value)
    {
        _bytes.Add(value);
        return this;
    }

    public TpmWriter Short(ushort value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(bytes, value);
        _bytes.AddRange(bytes);
        return this;
    }

    public TpmWriter Long(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        _bytes.AddRange(bytes);
        return this;
    }

    public TpmWriter Raw(ReadOnlySpan<byte> bytes)
    {
        _bytes.AddRange(bytes);
        return this;
    }

    /// <summary>With its length before it.</summary>
    public TpmWriter Sized(ReadOnlySpan<byte> bytes) => Short(checked((ushort)bytes.Length)).Raw(bytes);
}
