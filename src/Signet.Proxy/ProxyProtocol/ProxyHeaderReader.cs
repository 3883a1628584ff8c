using System.Globalization;
using System.Net;
using System.Text;

namespace Signet.Proxy.ProxyProtocol;

/// <summary>
/// Reads a PROXY header that must be there: whoever may send one has to, as the protocol forbids guessing (section 2). Pure, bounded, never
/// throws. This file tells the versions apart and reads version 1.
/// </summary>
public static partial class ProxyHeaderReader
{
    /// <summary>No header is longer, in either version.</summary>
    public const int MaxHeader = 4096;

    // "PROXY UNKNOWN ffff:f…f:ffff ffff:f…f:ffff 65535 65535\r\n"
    private const int MaxLine = 107;

    private static ReadOnlySpan<byte> LineStart => "PROXY "u8;

    /// <summary>Judges everything received so far; asks for more only while fewer than <see cref="MaxHeader"/> bytes are there.</summary>
    public static ProxyHeaderRead Read(ReadOnlySpan<byte> received) =>
        IsBeginningOf(received, Signature) ? ReadBinary(received)
        : IsBeginningOf(received, LineStart) ? ReadLine(received)
        : new ProxyHeaderRead.Malformed("the connection does not begin with a PROXY header");

    private static bool IsBeginningOf(ReadOnlySpan<byte> received, ReadOnlySpan<byte> start)
    {
        var length = Math.Min(received.Length, start.Length);
        return received[..length].SequenceEqual(start[..length]);
    }

    // "PROXY" SP ("TCP4" | "TCP6") SP source SP destination SP source-port SP destination-port CR LF, or "PROXY UNKNOWN" anything CR LF (section 2.1)
    private static ProxyHeaderRead ReadLine(ReadOnlySpan<byte> received)
    {
        var window = received[..Math.Min(received.Length, MaxLine)];
        var end = window.IndexOf((byte)'\n');
        if (end < 0)
        {
            return received.Length < MaxLine ? ProxyHeaderRead.NeedMore.Instance : Malformed($"the PROXY line does not end within {MaxLine} bytes");
        }

        if (window[end - 1] != '\r')
        {
            return Malformed("the PROXY line ends without a carriage return");
        }

        var line = window[LineStart.Length..(end - 1)];
        if (line.IndexOfAnyExceptInRange((byte)0x20, (byte)0x7e) >= 0)
        {
            return Malformed("the PROXY line has a character that is not printable ASCII");
        }

        var words = Encoding.ASCII.GetString(line).Split(' ');
        if (words[0] == "UNKNOWN")
        {
            return new ProxyHeaderRead.Whole(new ProxyHeader(ProxyVersion.V1, null), end + 1);
        }

        if (words.Length != 5 || words[0] is not ("TCP4" or "TCP6"))
        {
            return Malformed("the PROXY line is neither \"PROXY TCP4|TCP6 source destination source-port destination-port\" nor \"PROXY UNKNOWN\"");
        }

        var isV4 = words[0] == "TCP4";
        return !TryReadAddress(words[1], isV4, out var source) || !TryReadAddress(words[2], isV4, out var destination)
            ? Malformed($"the PROXY line's addresses are not both {(isV4 ? "IPv4" : "IPv6")} addresses in canonical form")
            : !TryReadPort(words[3], out var sourcePort) || !TryReadPort(words[4], out var destinationPort)
            ? Malformed("the PROXY line's ports are not both numbers from 0 to 65535 without leading zeros")
            : new ProxyHeaderRead.Whole(
                new ProxyHeader(ProxyVersion.V1, new ProxyAddresses(new IPEndPoint(source, sourcePort), new IPEndPoint(destination, destinationPort))), end + 1);
    }

    /// <summary>The platform reads <c>10.1</c>, <c>010.0.0.1</c> and <c>fe80::1%3</c> as well; the protocol does not.</summary>
    private static bool TryReadAddress(string text, bool isV4, out IPAddress address)
    {
        address = IPAddress.None;
        return !text.AsSpan().ContainsAnyExcept(isV4 ? "0123456789." : "0123456789abcdefABCDEF:.") && text.Contains(':', StringComparison.Ordinal) != isV4
            && IPAddress.TryParse(text, out address!) && (!isV4 || text == address.ToString());
    }

    private static bool TryReadPort(string text, out ushort port) =>
        ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && (text[0] != '0' || text.Length == 1);

    private static ProxyHeaderRead.Malformed Malformed(string problem) => new(problem);
}
