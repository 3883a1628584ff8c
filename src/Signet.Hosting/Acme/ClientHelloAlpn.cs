using System.Buffers;
using System.Buffers.Binary;

namespace Signet.Hosting.Acme;

/// <summary>What a look at the beginning of a connection said.</summary>
public enum AlpnLook
{
    /// <summary>It is not all there yet.</summary>
    Unknown,

    /// <summary>It is a ClientHello that offers the protocol and no other.</summary>
    Offered,

    /// <summary>It is something else; TLS itself will say what it thinks of it.</summary>
    NotOffered,
}

/// <summary>Looks whether a ClientHello (RFC 8446 §4.1.2) offers one protocol, and no other, by ALPN (RFC 7301 §3.1). Never throws; bounded by one TLS record.</summary>
public static class ClientHelloAlpn
{
    private const int RecordHeader = 5, MaxRecord = 16 * 1024;
    private const int Handshake = 22, ClientHello = 1, AlpnExtension = 16;

    /// <param name="received">What has come so far.</param>
    /// <param name="protocol">As on the wire.</param>
    public static AlpnLook Look(ReadOnlySequence<byte> received, ReadOnlySpan<byte> protocol)
    {
        Span<byte> header = stackalloc byte[RecordHeader];
        if (received.Length < RecordHeader)
        {
            return AlpnLook.Unknown;
        }

        received.Slice(0, RecordHeader).CopyTo(header);
        var length = BinaryPrimitives.ReadUInt16BigEndian(header[3..]);
        if (header[0] != Handshake || length > MaxRecord)
        {
            return AlpnLook.NotOffered;
        }

        return received.Length < RecordHeader + length ? AlpnLook.Unknown : Look(received.Slice(RecordHeader, length).ToArray(), protocol);
    }

    private static AlpnLook Look(ReadOnlySpan<byte> record, ReadOnlySpan<byte> protocol)
    {
        // struct { legacy_version[2]; random[32]; session_id<0..32>; cipher_suites<2..2^16-2>; compression<1..255>; extensions<8..2^16-1> } ClientHello
        var hello = record;
        if (!TryTake(ref hello, 1, out var type) || type[0] != ClientHello || !TryTake(ref hello, 3, out _) || !TryTake(ref hello, 34, out _)
            || !TryTakeVector(ref hello, 1, out _) || !TryTakeVector(ref hello, 2, out _) || !TryTakeVector(ref hello, 1, out _) || !TryTakeVector(ref hello, 2, out var extensions))
        {
            return AlpnLook.NotOffered;
        }

        while (TryTake(ref extensions, 2, out var kind) && TryTakeVector(ref extensions, 2, out var content))
        {
            // ProtocolName protocol_name_list<2..2^16-1>, each opaque<1..2^8-1>
            if (BinaryPrimitives.ReadUInt16BigEndian(kind) == AlpnExtension)
            {
                return TryTakeVector(ref content, 2, out var names) && TryTakeVector(ref names, 1, out var only) && names.IsEmpty && only.SequenceEqual(protocol) ? AlpnLook.Offered : AlpnLook.NotOffered;
            }
        }

        return AlpnLook.NotOffered;
    }

    private static bool TryTakeVector(ref ReadOnlySpan<byte> rest, int lengthBytes, out ReadOnlySpan<byte> content)
    {
        content = default;
        return TryTake(ref rest, lengthBytes, out var length) && TryTake(ref rest, lengthBytes == 1 ? length[0] : BinaryPrimitives.ReadUInt16BigEndian(length), out content);
    }

    private static bool TryTake(ref ReadOnlySpan<byte> rest, int count, out ReadOnlySpan<byte> taken)
    {
        if (rest.Length < count)
        {
            taken = default;
            return false;
        }

        taken = rest[..count];
        rest = rest[count..];
        return true;
    }
}
