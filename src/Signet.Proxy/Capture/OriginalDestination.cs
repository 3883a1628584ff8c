using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using Signet.Proxy.Loop;

namespace Signet.Proxy.Capture;

/// <summary>Where the one who opened a captured connection wanted to go, as the kernel knows it. Nothing that a peer sends can change it.</summary>
internal static class OriginalDestination
{
    private const int SolIp = 0;
    private const int SolIpV6 = 41;

    // IP_TRANSPARENT (linux/in.h), IPV6_TRANSPARENT (linux/in6.h)
    private const int IpTransparent = 19;
    private const int IpV6Transparent = 75;

    /// <summary>Asks the kernel about an accepted connection; null when it does not know. On the loop's thread only.</summary>
    public static IPEndPoint? Of(LoopSocket socket, CaptureMode mode) => mode == CaptureMode.Tproxy ? socket.LocalEndPoint() : socket.RedirectedFrom();

    /// <summary>Checks what the kernel said.</summary>
    /// <param name="found">What it said.</param>
    /// <param name="isOwn">Whether the proxy itself listens at a destination.</param>
    /// <param name="destination">Where the connection was meant to go.</param>
    /// <param name="problem">Why nothing may be done with it: it was not captured, or it was meant for the proxy itself and would come back for ever.</param>
    public static bool TryRead(IPEndPoint? found, Func<IPEndPoint, bool> isOwn, [NotNullWhen(true)] out IPEndPoint? destination, out string problem)
    {
        destination = found is { Address.IsIPv4MappedToIPv6: true } ? new IPEndPoint(found.Address.MapToIPv4(), found.Port) : found;
        problem = destination is null ? "the kernel does not know where the connection was going, so it was not captured"
            : isOwn(destination) ? $"the connection was meant for {destination}, a port of the proxy itself; nobody connects there, and a port that others should reach is left out of the capture"
            : "";
        return destination is not null && problem.Length == 0;
    }

    /// <summary>Lets a socket that is not yet bound take connections for any address (tproxy mode).</summary>
    /// <exception cref="SocketException">Without CAP_NET_ADMIN the kernel refuses.</exception>
    public static void MakeTransparent(Socket socket)
    {
        var (level, name) = socket.AddressFamily == AddressFamily.InterNetworkV6 ? (SolIpV6, IpV6Transparent) : (SolIp, IpTransparent);
        socket.SetRawSocketOption(level, name, BitConverter.GetBytes(1));
    }
}
