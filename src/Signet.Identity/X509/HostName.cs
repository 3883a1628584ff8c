using System.Net;

namespace Signet.Identity.X509;

/// <summary>DNS names in certificates and the names that people dial (RFC 6125 §6.4, RFC 9525 §6.3). The common name is never one of them.</summary>
internal static class HostName
{
    private const int MaxLength = 253;
    private const int MaxLabel = 63;
    private const int MinLabelsBelowWildcard = 2;

    /// <summary>Whether the certificate carries the name: exactly, or by a wildcard for the whole first label. An address in text is looked up as one.</summary>
    public static bool IsCarriedBy(string wanted, Certificate leaf)
    {
        if (IPAddress.TryParse(wanted, out var address))
        {
            return IsCarriedBy(address, leaf);
        }

        var name = wanted.EndsWith('.') ? wanted[..^1] : wanted;
        return IsWellFormed(name) && leaf.DnsNames.Any(presented => Matches(presented, name));
    }

    public static bool IsCarriedBy(IPAddress wanted, Certificate leaf)
    {
        var address = wanted.IsIPv4MappedToIPv6 ? wanted.MapToIPv4() : wanted;
        return leaf.IpAddresses.Any(presented => presented.GetAddressBytes().AsSpan().SequenceEqual(address.GetAddressBytes()));
    }

    /// <summary>Letters, digits, hyphens inside, underscores; no wildcard, no empty label, no dot at either end.</summary>
    public static bool IsWellFormed(ReadOnlySpan<char> name)
    {
        if (name.Length is 0 or > MaxLength)
        {
            return false;
        }

        foreach (var range in name.Split('.'))
        {
            var label = name[range];
            if (label.Length is 0 or > MaxLabel || label[0] == '-' || label[^1] == '-')
            {
                return false;
            }

            foreach (var c in label)
            {
                if (!(char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>Splits <c>*.example.org</c>: the wildcard stands alone, in front, once. False for a malformed name.</summary>
    public static bool TrySplit(string presented, out bool isWildcard, out string name)
    {
        isWildcard = presented.StartsWith("*.", StringComparison.Ordinal);
        name = isWildcard ? presented[2..] : presented;
        return IsWellFormed(name);
    }

    private static bool Matches(string presented, string wanted)
    {
        if (!TrySplit(presented, out var isWildcard, out var name))
        {
            return false;
        }

        if (!isWildcard)
        {
            return string.Equals(name, wanted, StringComparison.OrdinalIgnoreCase);
        }

        // A wildcard over a whole top-level domain is never anybody's name.
        var dot = wanted.IndexOf('.', StringComparison.Ordinal);
        return dot > 0
            && name.Count(c => c == '.') + 1 >= MinLabelsBelowWildcard
            && string.Equals(name, wanted[(dot + 1)..], StringComparison.OrdinalIgnoreCase);
    }
}
