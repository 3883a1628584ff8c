using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Signet.Proxy.ProxyProtocol;

/// <summary>Writes PROXY headers. Pure.</summary>
public static class ProxyHeaderWriter
{
    /// <summary>The header's bytes, to be sent at once and before anything else.</summary>
    /// <exception cref="ArgumentException">A name is longer than its field may be, or not printable.</exception>
    public static byte[] Write(ProxyHeader header) => header.Version == ProxyVersion.V1 ? Line(header) : Binary(header);

    private static byte[] Line(ProxyHeader header)
    {
        if (header.Addresses is null)
        {
            return "PROXY UNKNOWN\r\n"u8.ToArray();
        }

        var (source, destination) = OfOneFamily(header.Addresses);
        var family = source.AddressFamily == AddressFamily.InterNetwork ? "TCP4" : "TCP6";
        return Encoding.ASCII.GetBytes($"PROXY {family} {source.Address} {destination.Address} {source.Port} {destination.Port}\r\n");
    }

    private static byte[] Binary(ProxyHeader header)
    {
        var bytes = new ArrayBufferWriter<byte>(256);
        bytes.Write(ProxyHeaderReader.Signature);
        if (header.Addresses is null)
        {
            // LOCAL: nothing about the connection is told.
            bytes.Write<byte>([0x20, 0, 0, 0]);
            return bytes.WrittenSpan.ToArray();
        }

        var (source, destination) = OfOneFamily(header.Addresses);
        bytes.Write<byte>([0x21, source.AddressFamily == AddressFamily.InterNetwork ? (byte)0x11 : (byte)0x21, 0, 0]);
        bytes.Write(source.Address.GetAddressBytes());
        bytes.Write(destination.Address.GetAddressBytes());
        WriteUInt16(bytes, source.Port);
        WriteUInt16(bytes, destination.Port);
        WriteText(bytes, TlvType.Alpn, header.Alpn);
        WriteText(bytes, TlvType.Authority, header.Authority);
        if (header.UniqueId is { } id)
        {
            WriteTlv(bytes, TlvType.UniqueId, Convert.FromHexString(id), ProxyHeaderReader.MaxUniqueId);
        }

        if (header.Tls is { } tls)
        {
            WriteTlv(bytes, TlvType.Ssl, TlsField(tls), ushort.MaxValue);
        }

        WriteTlv(bytes, TlvType.Crc32C, [0, 0, 0, 0], 4);
        var written = bytes.WrittenSpan.ToArray();
        BinaryPrimitives.WriteUInt16BigEndian(written.AsSpan(14), checked((ushort)(written.Length - ProxyHeaderReader.FixedPart)));
        BinaryPrimitives.WriteUInt32BigEndian(written.AsSpan(written.Length - 4), Crc32C.OfHeader(written, written.Length - 4));
        return written;
    }

    private static ReadOnlySpan<byte> TlsField(ProxyTls tls)
    {
        var field = new ArrayBufferWriter<byte>(128);
        field.Write<byte>([(byte)(tls.HasCertificate ? 1 | 2 | 4 : 1), 0, 0, 0, tls.IsVerified ? (byte)0 : (byte)1]);
        WriteText(field, TlvType.SslVersion, tls.Version);
        WriteText(field, TlvType.SslCommonName, tls.CommonName);
        WriteText(field, TlvType.SslCipher, tls.Cipher);
        WriteText(field, TlvType.SslSignatureAlgorithm, tls.SignatureAlgorithm);
        WriteText(field, TlvType.SslKeyAlgorithm, tls.KeyAlgorithm);
        return field.WrittenSpan;
    }

    /// <summary>Both ends as IPv4 if both are, as IPv6 otherwise: the header has one family for both.</summary>
    private static (IPEndPoint Source, IPEndPoint Destination) OfOneFamily(ProxyAddresses addresses)
    {
        var (source, destination) = (Unmapped(addresses.Source), Unmapped(addresses.Destination));
        return source.AddressFamily == destination.AddressFamily ? (source, destination) : (Mapped(source), Mapped(destination));
    }

    private static IPEndPoint Unmapped(IPEndPoint end) =>
        new(end.Address.IsIPv4MappedToIPv6 ? end.Address.MapToIPv4() : new IPAddress(end.Address.GetAddressBytes()), end.Port);

    private static IPEndPoint Mapped(IPEndPoint end) => new(end.Address.MapToIPv6(), end.Port);

    private static void WriteText(ArrayBufferWriter<byte> to, TlvType type, string? text)
    {
        if (text is not null)
        {
            WriteTlv(to, type, Encoding.UTF8.GetBytes(text), ProxyHeaderReader.MaxText);
        }
    }

    private static void WriteTlv(ArrayBufferWriter<byte> to, TlvType type, ReadOnlySpan<byte> value, int limit)
    {
        if (value.Length > limit)
        {
            throw new ArgumentException($"PROXY field {type} has {value.Length} bytes; at most {limit} fit.", nameof(value));
        }

        to.Write<byte>([(byte)type]);
        WriteUInt16(to, value.Length);
        to.Write(value);
    }

    private static void WriteUInt16(ArrayBufferWriter<byte> to, int value)
    {
        BinaryPrimitives.WriteUInt16BigEndian(to.GetSpan(2), checked((ushort)value));
        to.Advance(2);
    }
}
