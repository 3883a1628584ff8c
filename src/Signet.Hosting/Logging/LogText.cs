using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Signet.Hosting.Logging;

/// <summary>
/// Writes an event as one line for people: <c>time level area  message key=value …</c>. Whatever a peer put into a field, it stays one line and sends
/// nothing to a terminal: control, formatting and separator characters are escaped.
/// </summary>
internal static class LogText
{
    /// <summary>The longest message or value, in characters.</summary>
    public const int MaxLength = 8 * 1024;

    private const int MaxCauses = 5;

    public static string Write(in LogEvent entry, bool withStack)
    {
        var line = new StringBuilder(256);
        line.Append(entry.Time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture)).Append(' ');
        line.Append(LevelName(entry.Level).PadRight(5)).Append(' ').Append(Area(entry.Category)).Append("  ");
        Append(line, entry.Message);
        foreach (var (name, value) in entry.Fields)
        {
            // What the message already says is not said twice.
            if (!Mentions(entry.Template, name))
            {
                AppendField(line, name, Text(value));
            }
        }

        if (entry.Exception is { } e)
        {
            AppendField(line, "exception", Describe(e, entry.Message));
            if (withStack && e.StackTrace is { } stack)
            {
                AppendField(line, "stack", stack);
            }
        }

        return line.ToString();
    }

    public static string LevelName(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        LogLevel.Error => "error",
        _ => "fatal",
    };

    /// <summary>An exception and its causes: types and, where they are not said already, messages.</summary>
    public static string Describe(Exception e, string alreadySaid = "")
    {
        var text = new StringBuilder();
        var cause = e;
        for (var i = 0; i < MaxCauses && cause is not null; i++, cause = cause.InnerException)
        {
            text.Append(i == 0 ? "" : " <- ").Append(cause.GetType().Name);
            if (!alreadySaid.Contains(cause.Message, StringComparison.Ordinal))
            {
                text.Append(": ").Append(cause.Message);
            }
        }

        return text.ToString();
    }

    /// <summary>A field's value as text, the same in every culture.</summary>
    public static string Text(object? value) => value switch
    {
        null => "null",
        string text => text,
        bool flag => flag ? "true" : "false",
        DateTimeOffset time => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture),
        IEnumerable<string> texts => string.Join(", ", texts),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
    };

    /// <summary>Cuts a text that is too long to read, between characters.</summary>
    public static string Cut(string text) =>
        text.Length <= MaxLength ? text : string.Concat(text.AsSpan(0, char.IsHighSurrogate(text[MaxLength - 1]) ? MaxLength - 1 : MaxLength), "…");

    /// <summary>Signet's own categories without the name that all share, in lower case.</summary>
    private static string Area(string category) =>
        category.StartsWith("Signet.", StringComparison.Ordinal) ? category[7..].ToLowerInvariant() : category;

    private static bool Mentions(string? template, string name)
    {
        var at = template?.IndexOf("{" + name, StringComparison.OrdinalIgnoreCase) ?? -1;
        return at >= 0 && template!.Length > at + name.Length + 1 && template[at + name.Length + 1] is '}' or ':' or ',';
    }

    private static void AppendField(StringBuilder line, string name, string value)
    {
        line.Append(' ').Append(name).Append('=');
        if (value.Length > 0 && !value.AsSpan().ContainsAny(" \"=\t\r\n"))
        {
            Append(line, value);
            return;
        }

        line.Append('"');
        Append(line, value.Replace("\\", @"\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal));
        line.Append('"');
    }

    private static void Append(StringBuilder line, string text)
    {
        foreach (var rune in Cut(text).EnumerateRunes())
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
    }
}
