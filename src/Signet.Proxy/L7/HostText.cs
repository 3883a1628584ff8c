using System.Buffers;
using System.Net;
using System.Net.Sockets;

namespace Signet.Proxy.L7;

/// <summary>The value of a Host field: a DNS name, an IPv4 address or a bracketed IPv6 address, with or without a port (RFC 9110 §7.2).</summary>
internal static class HostText
{
    private const int MaxLength = 255 + 6;

    private static readonly SearchValues<char> NameMarks = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~");

    public static bool IsValid(string text)
    {
        if (text.Length is 0 or > MaxLength)
        {
            return false;
        }

        var name = text.AsSpan();
        if (text[0] == '[')
        {
            var close = text.IndexOf(']', StringComparison.Ordinal);
            return close > 0
                && IPAddress.TryParse(name[1..close], out var address) && address.AddressFamily == AddressFamily.InterNetworkV6 && !name[1..close].Contains('%')
                && IsPort(name[(close + 1)..]);
        }

        var colon = name.IndexOf(':');
        if (colon >= 0)
        {
            if (!IsPort(name[colon..]))
            {
                return false;
            }

            name = name[..colon];
        }

        return !name.IsEmpty && !name.ContainsAnyExcept(NameMarks);
    }

    private static bool IsPort(ReadOnlySpan<char> text) =>
        text.IsEmpty || (text[0] == ':' && text.Length is > 1 and <= 6 && text[1..].IndexOfAnyExceptInRange('0', '9') < 0
            && int.Parse(text[1..], System.Globalization.CultureInfo.InvariantCulture) <= ushort.MaxValue);
}
