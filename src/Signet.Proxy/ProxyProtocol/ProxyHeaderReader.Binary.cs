using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Text;

namespace Signet.Proxy.ProxyProtocol;

/// <content>Version 2 (section 2.2).</content>
public static partial class ProxyHeaderReader
{
    internal const int FixedPart = 16;
    internal const int V4Addresses = 12;
    internal const int V6Addresses = 36;
    internal const int TlvStart = 3;
    internal const int MaxText = 255;
    internal const int MaxUniqueId = 128;
    private const int UnixAddresses = 216;

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    internal static ReadOnlySpan<byte> Signature => [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

    // signature(12) version(4 bits)=2 command(4 bits) family(4 bits) transport(4 bits) length(2), then addresses and TLVs of that length
    private static ProxyHeaderRead ReadBinary(ReadOnlySpan<byte> received)
    {
        if (received.Length > 12 && received[12] is not (0x20 or 0x21))
        {
            return Malformed($"the PROXY header has version {received[12] >> 4} and command {received[12] & 15}; version 2, LOCAL (0) or PROXY (1) is known");
        }

        if (received.Length > 13 && ((received[13] >> 4) > 3 || (received[13] & 15) > 2))
        {
            return Malformed($"the PROXY header has an unknown address family or transport, 0x{received[13]:x2}");
        }

        if (received.Length < FixedPart)
        {
            return ProxyHeaderRead.NeedMore.Instance;
        }

        var length = FixedPart + BinaryPrimitives.ReadUInt16BigEndian(received[14..]);
        if (length > MaxHeader)
        {
            return Malformed($"the PROXY header is {length} bytes long; the limit is {MaxHeader}");
        }

        if (received.Length < length)
        {
            return ProxyHeaderRead.NeedMore.Instance;
        }

        var header = new ProxyHeader(ProxyVersion.V2, null);
        if (received[12] == 0x20)
        {
            return new ProxyHeaderRead.Whole(header, length);
        }

        return TryReadAddresses(received[13], received[FixedPart..length], ref header, out var addresses, out var problem)
            && TryReadTlvs(received[(FixedPart + addresses)..length], received[..length], ref header, out problem)
            ? new ProxyHeaderRead.Whole(header, length)
            : Malformed(problem);
    }

    /// <summary>What is not TCP over IP, but allowed, leaves the real endpoints in force.</summary>
    private static bool TryReadAddresses(byte kind, ReadOnlySpan<byte> body, ref ProxyHeader header, out int size, out string problem)
    {
        size = (kind >> 4) switch
        {
            1 => V4Addresses,
            2 => V6Addresses,
            3 => UnixAddresses,
            _ => 0,
        };
        problem = $"the PROXY header has {body.Length} bytes behind its fixed part; addresses of its family take {size}";
        if (body.Length < size)
        {
            return false;
        }

        if (kind is 0x11 or 0x21)
        {
            var width = kind == 0x11 ? 4 : 16;
            header = header with
            {
                Addresses = new ProxyAddresses(
                    new IPEndPoint(new IPAddress(body[..width]), BinaryPrimitives.ReadUInt16BigEndian(body[(2 * width)..])),
                    new IPEndPoint(new IPAddress(body[width..(2 * width)]), BinaryPrimitives.ReadUInt16BigEndian(body[((2 * width) + 2)..]))),
            };
        }

        // An unspecified family or transport says nothing about what follows, so nothing in it is read.
        size = (kind >> 4) == 0 || (kind & 15) == 0 ? body.Length : size;
        return true;
    }

    private static bool TryReadTlvs(ReadOnlySpan<byte> tlvs, ReadOnlySpan<byte> whole, ref ProxyHeader header, out string problem)
    {
        var checksumAt = -1;
        var seen = new HashSet<byte>();
        while (!tlvs.IsEmpty)
        {
            if (!TryTakeTlv(ref tlvs, out var type, out var value))
            {
                problem = "a field of the PROXY header is longer than the header";
                return false;
            }

            if (IsKnown(type) && !seen.Add(type))
            {
                problem = $"the PROXY header has field 0x{type:x2} twice";
                return false;
            }

            if (type == (byte)TlvType.Crc32C && value.Length == 4)
            {
                checksumAt = whole.Length - tlvs.Length - 4;
            }
            else if (!TryUse(type, value, ref header, out problem))
            {
                return false;
            }
        }

        problem = "the PROXY header's checksum is wrong";
        return checksumAt < 0 || Crc32C.OfHeader(whole, checksumAt) == BinaryPrimitives.ReadUInt32BigEndian(whole[checksumAt..]);
    }

    /// <summary>Takes over what is of use; fields of other types are skipped, as the protocol allows.</summary>
    private static bool TryUse(byte type, ReadOnlySpan<byte> value, ref ProxyHeader header, out string problem)
    {
        problem = $"the PROXY header's field 0x{type:x2} is malformed";
        switch ((TlvType)type)
        {
            case TlvType.Alpn:
                header = header with { Alpn = Printable(value) };
                return header.Alpn is not null;
            case TlvType.Authority:
                header = header with { Authority = Printable(value) };
                return header.Authority is not null;
            case TlvType.UniqueId:
                header = header with { UniqueId = Convert.ToHexStringLower(value) };
                return value.Length is > 0 and <= MaxUniqueId;
            case TlvType.Ssl:
                return TryReadTls(value, ref header);
            default:
                return type != (byte)TlvType.Crc32C;
        }
    }

    // client(1): 1 TLS, 2 certificate on this connection, 4 certificate in this session; verify(4): 0 when verified; then TLVs (section 2.2.6)
    private static bool TryReadTls(ReadOnlySpan<byte> value, ref ProxyHeader header)
    {
        if (value.Length < 5)
        {
            return false;
        }

        var tls = new ProxyTls { HasCertificate = (value[0] & 2) != 0, IsVerified = BinaryPrimitives.ReadUInt32BigEndian(value[1..]) == 0 };
        var isTls = (value[0] & 1) != 0;
        for (value = value[5..]; !value.IsEmpty;)
        {
            if (!TryTakeTlv(ref value, out var type, out var text))
            {
                return false;
            }

            switch ((TlvType)type)
            {
                case TlvType.SslVersion when tls.Version is null && Printable(text) is { } version:
                    tls = tls with { Version = version };
                    break;
                case TlvType.SslCipher when tls.Cipher is null && Printable(text) is { } cipher:
                    tls = tls with { Cipher = cipher };
                    break;
                case TlvType.SslCommonName when tls.CommonName is null && TryReadUtf8(text, out var name):
                    tls = tls with { CommonName = name };
                    break;
                case TlvType.SslSignatureAlgorithm when tls.SignatureAlgorithm is null && Printable(text) is { } signature:
                    tls = tls with { SignatureAlgorithm = signature };
                    break;
                case TlvType.SslKeyAlgorithm when tls.KeyAlgorithm is null && Printable(text) is { } key:
                    tls = tls with { KeyAlgorithm = key };
                    break;
                case TlvType.SslVersion or TlvType.SslCipher or TlvType.SslCommonName or TlvType.SslSignatureAlgorithm or TlvType.SslKeyAlgorithm:
                    return false;
            }
        }

        header = isTls ? header with { Tls = tls } : header;
        return true;
    }

    // type(1) length(2) value(length)
    private static bool TryTakeTlv(ref ReadOnlySpan<byte> from, out byte type, out ReadOnlySpan<byte> value)
    {
        type = 0;
        value = default;
        if (from.Length < TlvStart || from.Length - TlvStart < BinaryPrimitives.ReadUInt16BigEndian(from[1..]))
        {
            return false;
        }

        type = from[0];
        value = from.Slice(TlvStart, BinaryPrimitives.ReadUInt16BigEndian(from[1..]));
        from = from[(TlvStart + value.Length)..];
        return true;
    }

    private static bool IsKnown(byte type) => (TlvType)type is TlvType.Alpn or TlvType.Authority or TlvType.Crc32C or TlvType.UniqueId or TlvType.Ssl;

    /// <summary>Names that a client chose go into logs and matches: only what is printable and short is a name.</summary>
    private static string? Printable(ReadOnlySpan<byte> value) =>
        value.Length is 0 or > MaxText || value.IndexOfAnyExceptInRange((byte)0x21, (byte)0x7e) >= 0 ? null : Encoding.ASCII.GetString(value);

    private static bool TryReadUtf8(ReadOnlySpan<byte> value, [NotNullWhen(true)] out string? text)
    {
        text = null;
        if (value.Length > MaxText)
        {
            return false;
        }

        try
        {
            text = Utf8.GetString(value);
            return true;
        }
        catch (DecoderFallbackException)
        {
            return false;
        }
    }
}

/// <summary>The registered types of fields in version 2, those of the TLS field included.</summary>
internal enum TlvType : byte
{
    Alpn = 0x01,
    Authority = 0x02,
    Crc32C = 0x03,
    UniqueId = 0x05,
    Ssl = 0x20,
    SslVersion = 0x21,
    SslCommonName = 0x22,
    SslCipher = 0x23,
    SslSignatureAlgorithm = 0x24,
    SslKeyAlgorithm = 0x25,
}
