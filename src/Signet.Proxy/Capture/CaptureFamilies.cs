using System.Net.Sockets;

namespace Signet.Proxy.Capture;

/// <summary>Which address families capture covers.</summary>
public static class CaptureFamilies
{
    private const string Addresses = "/proc/net/if_inet6";

    /// <summary>IPv4, and IPv6 where the kernel speaks it: what it can't speak, it can't send around the proxy.</summary>
    public static IReadOnlyList<AddressFamily> OfThisMachine => File.Exists(Addresses) ? [AddressFamily.InterNetwork, AddressFamily.InterNetworkV6] : [AddressFamily.InterNetwork];
}
