using System.Globalization;
using System.Text;

namespace Signet.Hosting;

/// <summary>
/// Makes text safe to show in a log or on a terminal: control, formatting (bidirectional overrides among them) and separator characters are escaped, so
/// that it stays one line and can't pretend to be something else. Letters of every script stay as they are.
/// </summary>
public static class OneLine
{
    /// <summary>The text, itself when it is harmless.</summary>
    public static string Of(string text)
    {
        if (text.AsSpan().IndexOfAnyExceptInRange(' ', '~') < 0)
        {
            return text;
        }

        var line = new StringBuilder(text.Length + 8);
        foreach (var rune in text.EnumerateRunes())
        {
            switch (Rune.GetUnicodeCategory(rune))
            {
                case UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
                    or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned:
                    line.Append(rune.Value switch
                    {
                        '\n' => "\\n",
                        '\r' => "\\r",
                        '\t' => "\\t",
                        < 0x10000 => "\\u" + rune.Value.ToString("x4", CultureInfo.InvariantCulture),
                        _ => "\\U" + rune.Value.ToString("x8", CultureInfo.InvariantCulture),
                    });
                    break;
                default:
                    line.Append(rune);
                    break;
            }
        }

        return line.ToString();
    }
}
