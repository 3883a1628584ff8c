using System.Globalization;
using Signet.Identity.Spiffe;

namespace Signet.Proxy.Capture;

/// <summary>One TCP port, or several in a row.</summary>
public readonly record struct PortRange(int First, int Last)
{
    /// <summary>Reads <c>8080</c> or <c>8000-8100</c>. Thread-safe.</summary>
    public static bool TryParse(string text, out PortRange range, out string problem)
    {
        var dash = text.IndexOf('-', StringComparison.Ordinal);
        var (first, last) = dash < 0 ? (text, text) : (text[..dash], text[(dash + 1)..]);
        range = default;
        problem = $"\"{Printable.Of(text)}\" is neither a port from 1 to 65535 nor a range such as 8000-8100";
        if (!TryReadPort(first, out var from) || !TryReadPort(last, out var to) || from > to)
        {
            return false;
        }

        range = new PortRange(from, to);
        problem = "";
        return true;
    }

    public bool Contains(int port) => port >= First && port <= Last;

    /// <summary>As iptables writes it.</summary>
    internal string Match => First == Last ? Of(First) : $"{Of(First)}:{Of(Last)}";

    public override string ToString() => First == Last ? Of(First) : $"{Of(First)}-{Of(Last)}";

    private static bool TryReadPort(string text, out int port) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is >= 1 and <= ushort.MaxValue && text.Length <= 5;

    private static string Of(int port) => port.ToString(CultureInfo.InvariantCulture);
}
