using System.Net;
using System.Net.Sockets;

namespace Signet.Server.Attestation;

/// <summary>Which addresses lie on the public Internet, by IANA's registries of special-purpose addresses (RFC 6890). Pure.</summary>
internal static class PublicAddress
{
    private static readonly IPNetwork[] NotPublic =
    [
        .. new[]
        {
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
            "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",

            // Of IPv6 only 2000::/3 is public; in it lie addresses that stand for others: Teredo and its neighbours, 6to4, documentation.
            "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
        }.Select(IPNetwork.Parse),
    ];

    private static readonly IPNetwork PublicIPv6 = IPNetwork.Parse("2000::/3");

    /// <summary>Why an address must not be connected to on a stranger's word; null when it may.</summary>
    /// <param name="address">The address.</param>
    /// <param name="allowed">Networks to which it may all the same.</param>
    public static string? Objection(IPAddress address, IReadOnlyList<IPNetwork> allowed)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        var isPublic = (plain.AddressFamily == AddressFamily.InterNetwork || PublicIPv6.Contains(plain)) && !NotPublic.Any(network => network.Contains(plain));
        return isPublic || allowed.Any(network => network.Contains(plain))
            ? null
            : $"its name stands for {plain}, which is not on the public Internet; if nodes are there, add it to allowedNetworks";
    }
}
