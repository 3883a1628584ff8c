using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace Signet.Proxy.Capture;

/// <summary>Where the one who opened a captured connection wanted to go, as the kernel knows it. Nothing that a peer sends can change it.</summary>
public static class OriginalDestination
{
    private const int SolIp = 0;
    private const int SolIpV6 = 41;

    // SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST (linux/netfilter_ipv4.h, linux/netfilter_ipv6/ip6_tables.h)
    private const int OriginalDst = 80;

    // IP_TRANSPARENT (linux/in.h), IPV6_TRANSPARENT (linux/in6.h)
    private const int IpTransparent = 19;
    private const int IpV6Transparent = 75;

    private const int SockaddrIn = 16;
    private const int SockaddrIn6 = 28;

    /// <summary>Reads the original destination of an accepted connection.</summary>
    /// <param name="socket">The accepted socket.</param>
    /// <param name="mode">How it was captured.</param>
    /// <param name="isListener">Whether the proxy itself listens at a destination.</param>
    /// <param name="destination">Where the connection was meant to go.</param>
    /// <param name="problem">Why nothing may be done with it: it was not captured, or it was meant for the proxy itself and would come back for ever.</param>
    public static bool TryRead(
        Socket socket, CaptureMode mode, Func<IPEndPoint, bool> isListener, [NotNullWhen(true)] out IPEndPoint? destination, out string problem)
    {
        destination = null;
        try
        {
            var found = mode == CaptureMode.Tproxy ? (IPEndPoint)socket.LocalEndPoint! : AskNat(socket);
            found = found.Address.IsIPv4MappedToIPv6 ? new IPEndPoint(found.Address.MapToIPv4(), found.Port) : found;
            if (isListener(found))
            {
                problem = $"the connection came to {found} directly, where the proxy takes only what was captured";
                return false;
            }

            (destination, problem) = (found, "");
            return true;
        }
        catch (SocketException e)
        {
            problem = $"the kernel does not know where the connection was going, so it was not captured: {e.Message}";
            return false;
        }
    }

    /// <summary>Lets a socket that is not yet bound take connections for any address (tproxy mode).</summary>
    /// <exception cref="SocketException">Without CAP_NET_ADMIN the kernel refuses.</exception>
    public static void MakeTransparent(Socket socket)
    {
        var (level, name) = socket.AddressFamily == AddressFamily.InterNetworkV6 ? (SolIpV6, IpV6Transparent) : (SolIp, IpTransparent);
        socket.SetRawSocketOption(level, name, BitConverter.GetBytes(1));
    }

    private static IPEndPoint AskNat(Socket socket)
    {
        Span<byte> address = stackalloc byte[SockaddrIn6];
        var isV6 = socket.AddressFamily == AddressFamily.InterNetworkV6;
        var length = socket.GetRawSocketOption(isV6 ? SolIpV6 : SolIp, OriginalDst, address[..(isV6 ? SockaddrIn6 : SockaddrIn)]);
        return ReadSockaddr(address[..length], isV6);
    }

    // family(2) port(2) address(4), or family(2) port(2) flow(4) address(16) scope(4)
    internal static IPEndPoint ReadSockaddr(ReadOnlySpan<byte> address, bool isV6)
    {
        if (address.Length < (isV6 ? SockaddrIn6 : SockaddrIn))
        {
            throw new SocketException((int)SocketError.AddressFamilyNotSupported);
        }

        var port = BinaryPrimitives.ReadUInt16BigEndian(address[2..]);
        return new IPEndPoint(new IPAddress(isV6 ? address.Slice(8, 16) : address.Slice(4, 4)), port);
    }
}
