using System.Globalization;
using System.Net;
using Signet.Identity.Spiffe;

namespace Signet.Proxy.Config;

/// <summary>A range of addresses as people write it: <c>10.0.0.0/8</c>, <c>2001:db8::/32</c>, or one address.</summary>
public static class NetworkText
{
    private const int MaxLength = 64;

    /// <summary>Reads a range. Thread-safe.</summary>
    public static bool TryParse(string text, out IPNetwork network, out string problem)
    {
        network = default;
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var host = slash < 0 ? text : text[..slash];

        // The platform reads "10.1" and "0x0a000001" as well; whoever writes those has slipped.
        if (text.Length > MaxLength || !IPAddress.TryParse(host, out var address) || host.AsSpan().ContainsAny('%', '[')
            || (!host.Contains(':', StringComparison.Ordinal) && host != address.ToString()) || address.IsIPv4MappedToIPv6)
        {
            problem = $"\"{Printable.Of(text)}\" is neither an address nor a range such as 10.0.0.0/8 or 2001:db8::/32";
            return false;
        }

        var width = address.GetAddressBytes().Length * 8;
        var prefix = width;
        if (slash >= 0 && (!int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out prefix) || prefix > width))
        {
            problem = $"\"{Printable.Of(text)}\" has no prefix length from 0 to {width} behind its slash";
            return false;
        }

        network = new IPNetwork(Masked(address, prefix), prefix);
        problem = network.BaseAddress.Equals(address) ? "" : $"\"{text}\" has bits behind its prefix; write {network}";
        return problem.Length == 0;
    }

    private static IPAddress Masked(IPAddress address, int prefix)
    {
        var bytes = address.GetAddressBytes();
        for (var bit = prefix; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        return new IPAddress(bytes);
    }
}
