using System.Globalization;
using System.Text;

namespace Signet.Identity.Spiffe;

/// <summary>Makes text from a peer safe to show: control and non-ASCII characters become <c>\uXXXX</c>, long text is cut.</summary>
public static class Printable
{
    private const int MaxShown = 128;

    /// <summary>The text with nothing in it that could forge a log line or a terminal sequence, at most 128 characters of it.</summary>
    public static string Of(ReadOnlySpan<char> text)
    {
        var shown = new StringBuilder(Math.Min(text.Length, MaxShown) + 1);
        foreach (var c in text[..Math.Min(text.Length, MaxShown)])
        {
            shown.Append(c is >= ' ' and <= '~' ? c.ToString() : "\\u" + ((int)c).ToString("x4", CultureInfo.InvariantCulture));
        }

        return text.Length > MaxShown ? shown.Append('…').ToString() : shown.ToString();
    }

    /// <summary>One character, escaped like <see cref="Of(ReadOnlySpan{char})"/>.</summary>
    public static string Of(char c) => Of([c]);
}
