using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Signet.Proxy.Sniffing;

/// <summary>Reads a ClientHello without taking part in the handshake: RFC 8446 §4.1.2 and §5.1, which 1.2 shares. Pure and bounded.</summary>
public static class TlsSniffer
{
    /// <summary>A ClientHello that needs more bytes on the wire than this is refused.</summary>
    public const int MaxHello = 16 * 1024;

    private const int RecordHeader = 5;
    private const int HandshakeHeader = 4;
    private const int MaxRecord = 16 * 1024;
    private const int MaxAlpnNames = 64;
    private const int MaxSni = 255;
    private const byte HandshakeRecord = 22;
    private const byte ClientHelloMessage = 1;

    /// <summary>Judges everything received so far. Never throws; asks for more only while fewer than <see cref="MaxHello"/> bytes are there.</summary>
    public static TlsSniff Inspect(ReadOnlySequence<byte> received)
    {
        if (received.IsSingleSegment)
        {
            return Inspect(received.FirstSpan);
        }

        var bytes = ArrayPool<byte>.Shared.Rent(MaxHello);
        try
        {
            var start = received.Slice(0, Math.Min(received.Length, MaxHello));
            start.CopyTo(bytes);
            return Inspect(bytes.AsSpan(0, (int)start.Length));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    /// <inheritdoc cref="Inspect(ReadOnlySequence{byte})"/>
    public static TlsSniff Inspect(ReadOnlySpan<byte> received)
    {
        received = received[..Math.Min(received.Length, MaxHello)];

        // type(1)=22  legacy_version(2)=3.0…3.4  length(2)  then the handshake message: type(1)=1 …
        if (received.IsEmpty)
        {
            return TlsSniff.NeedMore.Instance;
        }

        if (received[0] != HandshakeRecord || (received.Length > 1 && received[1] != 3) || (received.Length > 2 && received[2] > 4))
        {
            return TlsSniff.NotTls.Instance;
        }

        if (received.Length > RecordHeader && received[RecordHeader] != ClientHelloMessage)
        {
            return new TlsSniff.Malformed($"the first handshake message has type {received[RecordHeader]}, not ClientHello");
        }

        var message = ArrayPool<byte>.Shared.Rent(MaxHello);
        try
        {
            return TryJoinRecords(received, message, out var length, out var needMore, out var problem)
                ? ReadHello(message.AsSpan(HandshakeHeader, length))
                : needMore && received.Length < MaxHello
                    ? TlsSniff.NeedMore.Instance
                    : new TlsSniff.Malformed(problem ?? $"the ClientHello needs more than {MaxHello} bytes");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(message);
        }
    }

    /// <summary>A ClientHello may be cut into several records at any byte (RFC 8446 §5.1); joins their fragments.</summary>
    private static bool TryJoinRecords(ReadOnlySpan<byte> received, Span<byte> message, out int helloLength, out bool needMore, out string? problem)
    {
        helloLength = 0;
        needMore = false;
        problem = null;
        var joined = 0;
        while (true)
        {
            if (received.Length < RecordHeader)
            {
                needMore = true;
                return false;
            }

            var length = BinaryPrimitives.ReadUInt16BigEndian(received[3..]);
            if (received[0] != HandshakeRecord || received[1] != 3 || received[2] > 4)
            {
                problem = "the ClientHello is interrupted by something that is not a handshake record";
                return false;
            }

            if (length is 0 or > MaxRecord)
            {
                problem = $"a handshake record has the length {length}; 1 to {MaxRecord} is allowed";
                return false;
            }

            var fragment = received[RecordHeader..Math.Min(received.Length, RecordHeader + length)];
            if (joined + fragment.Length > MaxHello)
            {
                problem = $"the ClientHello is longer than {MaxHello} bytes";
                return false;
            }

            fragment.CopyTo(message[joined..]);
            joined += fragment.Length;
            if (joined >= HandshakeHeader)
            {
                helloLength = (message[1] << 16) | (message[2] << 8) | message[3];
                if (helloLength > MaxHello - HandshakeHeader - RecordHeader)
                {
                    problem = $"the ClientHello is {helloLength} bytes long; the limit is {MaxHello}";
                    return false;
                }

                if (joined >= HandshakeHeader + helloLength)
                {
                    return true;
                }
            }

            if (fragment.Length < length)
            {
                needMore = true;
                return false;
            }

            received = received[(RecordHeader + length)..];
        }
    }

    // legacy_version(2) random(32) session_id<0..32> cipher_suites<2..2^16-2> compression_methods<1..2^8-1> [extensions<0..2^16-1>]
    private static TlsSniff ReadHello(ReadOnlySpan<byte> hello)
    {
        if (!TrySkip(ref hello, 34)
            || !TryTake8(ref hello, out var session) || session.Length > 32
            || !TryTake16(ref hello, out var suites) || suites.Length < 2 || suites.Length % 2 != 0
            || !TryTake8(ref hello, out var compression) || compression.IsEmpty)
        {
            return new TlsSniff.Malformed("the ClientHello is cut short or its fields overlap");
        }

        string? sni = null;
        IReadOnlyList<string> alpn = [];
        if (hello.IsEmpty)
        {
            return new TlsSniff.ClientHello(sni, alpn);
        }

        if (!TryTake16(ref hello, out var extensions) || !hello.IsEmpty)
        {
            return new TlsSniff.Malformed("the ClientHello's extensions do not fill it exactly");
        }

        while (!extensions.IsEmpty)
        {
            if (extensions.Length < 4)
            {
                return new TlsSniff.Malformed("a ClientHello extension is cut short");
            }

            var type = BinaryPrimitives.ReadUInt16BigEndian(extensions);
            extensions = extensions[2..];
            if (!TryTake16(ref extensions, out var body))
            {
                return new TlsSniff.Malformed("a ClientHello extension is longer than the message");
            }

            if ((type == 0 && !TryReadSni(body, out sni)) || (type == 16 && !TryReadAlpn(body, out alpn)))
            {
                return new TlsSniff.Malformed(type == 0 ? "the server_name extension is malformed" : "the ALPN extension is malformed");
            }
        }

        return new TlsSniff.ClientHello(sni, alpn);
    }

    // ServerNameList<1..2^16-1> of { name_type(1)=0, HostName<1..2^16-1> }; at most one of a type (RFC 6066 §3)
    private static bool TryReadSni(ReadOnlySpan<byte> body, out string? sni)
    {
        sni = null;
        if (!TryTake16(ref body, out var list) || !body.IsEmpty || list.Length < 3 || list[0] != 0)
        {
            return false;
        }

        list = list[1..];
        if (!TryTake16(ref list, out var name) || !list.IsEmpty || name.Length is 0 or > MaxSni || !IsPrintable(name))
        {
            return false;
        }

        sni = Encoding.ASCII.GetString(name);
        return true;
    }

    // ProtocolNameList<2..2^16-1> of ProtocolName<1..2^8-1> (RFC 7301 §3.1)
    private static bool TryReadAlpn(ReadOnlySpan<byte> body, out IReadOnlyList<string> alpn)
    {
        var names = new List<string>();
        alpn = names;
        if (!TryTake16(ref body, out var list) || !body.IsEmpty || list.IsEmpty)
        {
            return false;
        }

        while (!list.IsEmpty)
        {
            if (!TryTake8(ref list, out var name) || name.IsEmpty || names.Count == MaxAlpnNames)
            {
                return false;
            }

            names.Add(Encoding.Latin1.GetString(name));
        }

        return true;
    }

    private static bool IsPrintable(ReadOnlySpan<byte> bytes) => bytes.IndexOfAnyExceptInRange((byte)0x21, (byte)0x7e) < 0;

    private static bool TrySkip(ref ReadOnlySpan<byte> from, int count)
    {
        if (from.Length < count)
        {
            return false;
        }

        from = from[count..];
        return true;
    }

    private static bool TryTake8(ref ReadOnlySpan<byte> from, out ReadOnlySpan<byte> taken)
    {
        taken = default;
        if (from.IsEmpty || from.Length < 1 + from[0])
        {
            return false;
        }

        taken = from.Slice(1, from[0]);
        from = from[(1 + taken.Length)..];
        return true;
    }

    private static bool TryTake16(ref ReadOnlySpan<byte> from, out ReadOnlySpan<byte> taken)
    {
        taken = default;
        if (from.Length < 2)
        {
            return false;
        }

        var length = BinaryPrimitives.ReadUInt16BigEndian(from);
        if (from.Length < 2 + length)
        {
            return false;
        }

        taken = from.Slice(2, length);
        from = from[(2 + length)..];
        return true;
    }
}
