using System.Buffers;
using System.Text;

namespace Signet.Proxy.L7;

/// <summary>
/// Reads header and trailer fields strictly (RFC 9110 §5, RFC 9112 §5). Values are kept as Latin-1, so that bytes above 0x7f leave as they came.
/// </summary>
internal static class FieldLines
{
    // tchar (RFC 9110 §5.6.2)
    private static readonly SearchValues<byte> TokenBytes =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private static readonly SearchValues<byte> ForbiddenInValue =
        SearchValues.Create([.. Enumerable.Range(0, 32).Where(b => b != '\t').Select(b => (byte)b), 0x7f]);

    private static readonly List<string> Nothing = [];

    private static readonly string[][] CommonNames = ByLength(
        "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Date", "ETag", "Host",
        "Last-Modified", "Location", "Origin", "Referer", "Server", "Set-Cookie", "Traceparent", "Tracestate", "Transfer-Encoding", "User-Agent", "Vary", "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-Id");

    public static bool IsToken(ReadOnlySpan<byte> bytes) => !bytes.IsEmpty && bytes.IndexOfAnyExcept(TokenBytes) < 0;

    /// <summary>Takes one line, without its CR LF, from the front. The scanner has made sure that there is one.</summary>
    public static ReadOnlySpan<byte> TakeLine(ref ReadOnlySpan<byte> section)
    {
        var end = section.IndexOf("\r\n"u8);
        var line = section[..end];
        section = section[(end + 2)..];
        return line;
    }

    /// <summary>How many fields there are at most up to the empty line.</summary>
    public static int Count(ReadOnlySpan<byte> section) => Math.Min(section.Count((byte)'\n'), HttpLimits.MaxHeaders);

    /// <summary>Reads the fields up to the empty line.</summary>
    public static bool TryRead(ReadOnlySpan<byte> section, List<KeyValuePair<string, string>> fields, out HttpProblem problem)
    {
        problem = default;
        while (true)
        {
            var line = TakeLine(ref section);
            if (line.IsEmpty)
            {
                return true;
            }

            if (fields.Count == HttpLimits.MaxHeaders)
            {
                problem = HttpProblem.TooManyHeaders;
                return false;
            }

            // field-line = field-name ":" OWS field-value OWS; no whitespace before the colon, no line that continues another
            if (line[0] is (byte)' ' or (byte)'\t')
            {
                problem = HttpProblem.HeaderFolded;
                return false;
            }

            var colon = line.IndexOf((byte)':');
            if (colon <= 0 || !IsToken(line[..colon]))
            {
                problem = HttpProblem.HeaderNameMalformed;
                return false;
            }

            var value = line[(colon + 1)..].Trim(" \t"u8);
            if (value.IndexOfAny(ForbiddenInValue) is >= 0 and var at)
            {
                problem = value[at] == '\r' ? HttpProblem.BareCarriageReturn : HttpProblem.ControlCharacter;
                return false;
            }

            fields.Add(new(NameOf(line[..colon]), Encoding.Latin1.GetString(value)));
        }
    }

    /// <summary>As it was spelled; the same string for a name that is in every message.</summary>
    private static string NameOf(ReadOnlySpan<byte> name)
    {
        foreach (var common in name.Length < CommonNames.Length ? CommonNames[name.Length] : [])
        {
            if (Ascii.Equals(name, common))
            {
                return common;
            }
        }

        return Encoding.ASCII.GetString(name);
    }

    /// <summary>By length, as clients and servers spell them.</summary>
    private static string[][] ByLength(params ReadOnlySpan<string> names)
    {
        string[] all = [.. names, .. names.ToArray().Select(name => name.ToLowerInvariant())];
        return [.. Enumerable.Range(0, all.Max(name => name.Length) + 1).Select(length => all.Where(name => name.Length == length).ToArray())];
    }

    /// <summary>The values of a comma-separated field, in lower case and without empty ones, over all its lines.</summary>
    /// <returns>Not to be changed. With more than <see cref="HttpLimits.MaxMembers"/> in a line, what is left of it is one value.</returns>
    public static List<string> ListOf(IReadOnlyList<KeyValuePair<string, string>> fields, string name)
    {
        List<string>? values = null;
        for (var i = 0; i < fields.Count; i++)
        {
            if (fields[i].Key.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                values ??= [];
                values.AddRange(fields[i].Value.Split(',', HttpLimits.MaxMembers + 1, StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(part => part.ToLowerInvariant()));
            }
        }

        return values ?? Nothing;
    }
}
