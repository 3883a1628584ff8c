using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Signet.Identity.Spiffe;

namespace Signet.Hosting.Configuration;

/// <summary>A host and a port as people write them: <c>127.0.0.1:8081</c>, <c>[::1]:8081</c>, <c>server.example.org:8081</c>.</summary>
public static class EndPointText
{
    private const int MaxHostLength = 253;

    /// <summary>
    /// Reads a host and a port. The answer is an <see cref="IPEndPoint"/> for an address and a <see cref="DnsEndPoint"/> for a name. Never throws.
    /// </summary>
    // endpoint = (IPv4address / "[" IPv6address "]" / name) ":" 1*5DIGIT, name = 1*253(ALPHA / DIGIT / "." / "-" / "_")
    public static bool TryParse(string? text, [NotNullWhen(true)] out EndPoint? endPoint, out string problem)
    {
        endPoint = null;
        problem = $"\"{Printable.Of(text)}\" is not a host and a port; write host:port, such as 127.0.0.1:8081, [::1]:8081 or server.example.org:8081";
        var colon = text?.LastIndexOf(':') ?? -1;
        if (text is null || colon <= 0 || text.Length > MaxHostLength + 8)
        {
            return false;
        }

        var host = text[..colon];
        if (!ushort.TryParse(text.AsSpan()[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var port))
        {
            problem = $"\"{Printable.Of(text.AsSpan(colon + 1))}\" is not a port; write a number from 0 to 65535 after the host";
            return false;
        }

        if (host.StartsWith('[') && host.EndsWith(']'))
        {
            if (!IPAddress.TryParse(host.AsSpan(1, host.Length - 2), out var v6) || v6.AddressFamily != AddressFamily.InterNetworkV6)
            {
                return false;
            }

            endPoint = new IPEndPoint(v6, port);
        }
        else if (LooksLikeIPv4(host))
        {
            // Only the canonical form: 127.1 and 0x7f000001 are addresses to some programs and names to others.
            if (!IPAddress.TryParse(host, out var v4) || v4.ToString() != host)
            {
                return false;
            }

            endPoint = new IPEndPoint(v4, port);
        }
        else if (host.Length <= MaxHostLength && host[0] is not ('.' or '-') && host.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_'))
        {
            endPoint = new DnsEndPoint(host, port);
        }
        else
        {
            return false;
        }

        problem = "";
        return true;
    }

    /// <summary>Like <see cref="TryParse"/>, for text that is known to be good.</summary>
    /// <exception cref="FormatException">The text is not an endpoint; the message says why.</exception>
    public static EndPoint Parse(string text) => TryParse(text, out var endPoint, out var problem) ? endPoint : throw new FormatException(problem);

    /// <summary>As it would be written in a configuration.</summary>
    public static string Format(EndPoint endPoint) => endPoint switch
    {
        DnsEndPoint dns => $"{dns.Host}:{dns.Port}",
        UnixDomainSocketEndPoint unix => $"unix:{unix}",
        _ => endPoint.ToString() ?? "",
    };

    /// <summary>An IPv4 host's last label is a number; no DNS name's is (RFC 3696 §2).</summary>
    private static bool LooksLikeIPv4(string host)
    {
        var last = host.AsSpan(host.LastIndexOf('.') + 1);
        return last.Length > 0 && (!last.ContainsAnyExceptInRange('0', '9') || last.StartsWith("0x", StringComparison.OrdinalIgnoreCase));
    }
}
