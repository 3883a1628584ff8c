using System.Buffers.Binary;
using System.Text;

namespace Signet.Rpc.Wire.Attestation.Ssh;

/// <summary>Writes what <see cref="SshReader"/> reads.</summary>
internal sealed class SshWriter
{
    private readonly List<byte> _bytes = [];

    public byte[] ToArray() => [.. _bytes];

    public SshWriter Bytes(ReadOnlySpan<byte> bytes)
    {
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, bytes.Length);
        _bytes.AddRange(length);
        _bytes.AddRange(bytes);
        return this;
    }

    public SshWriter Text(string text) => Bytes(Encoding.ASCII.GetBytes(text));

    /// <summary>A number that is not negative.</summary>
    public SshWriter Integer(ReadOnlySpan<byte> number)
    {
        var digits = number.TrimStart((byte)0);
        return digits.Length > 0 && (digits[0] & 0x80) != 0 ? Bytes([0, .. digits]) : Bytes(digits);
    }
}
