using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Signet.Proxy.Native;

namespace Signet.Proxy.Loop;

/// <summary><c>struct sockaddr_in</c> and <c>sockaddr_in6</c>, to and from the platform's endpoints.</summary>
internal static class SocketAddresses
{
    /// <summary>Null for other families.</summary>
    public static IPEndPoint? Read(ReadOnlySpan<byte> address)
    {
        if (address.Length < 16)
        {
            return null;
        }

        var port = BinaryPrimitives.ReadUInt16BigEndian(address[2..]);
        return BitConverter.ToUInt16(address) switch
        {
            Libc.AfInet => new IPEndPoint(new IPAddress(address.Slice(4, 4)), port),
            Libc.AfInet6 when address.Length >= 28 => new IPEndPoint(new IPAddress(address.Slice(8, 16), BitConverter.ToUInt32(address[24..])), port),
            _ => null,
        };
    }

    /// <returns>The length.</returns>
    public static int Write(IPEndPoint endpoint, Span<byte> address, out int family)
    {
        address.Clear();
        var isV6 = endpoint.AddressFamily == AddressFamily.InterNetworkV6;
        family = isV6 ? Libc.AfInet6 : Libc.AfInet;
        BitConverter.TryWriteBytes(address, (ushort)family);
        BinaryPrimitives.WriteUInt16BigEndian(address[2..], (ushort)endpoint.Port);
        endpoint.Address.TryWriteBytes(address[(isV6 ? 8 : 4)..], out _);
        if (!isV6)
        {
            return 16;
        }

        BitConverter.TryWriteBytes(address[24..], (uint)endpoint.Address.ScopeId);
        return 28;
    }
}
