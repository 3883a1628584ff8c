using System.Buffers;
using System.Globalization;

namespace Signet.Proxy.Http2;

/// <summary>The rules that hold for every field of every message (RFC 9113 §8.2). Pure.</summary>
internal static class FieldRules
{
    /// <summary>Decimal digits of a Content-Length: it always fits a <see cref="long"/>.</summary>
    private const int MaxLengthDigits = 18;

    private static readonly SearchValues<char> NameChars = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~");
    private static readonly SearchValues<char> ForbiddenInValue =
        SearchValues.Create([.. Enumerable.Range(0, 32).Where(c => c != '\t').Select(c => (char)c), (char)0x7f]);

    /// <summary>Judges a field that is no pseudo-header.</summary>
    public static HeadProblem Check(string name, string value)
    {
        if (name.Length == 0 || name.AsSpan().IndexOfAnyExcept(NameChars) is >= 0 and var at && !char.IsAsciiLetterUpper(name[at]))
        {
            return HeadProblem.NameMalformed;
        }

        if (name.AsSpan().IndexOfAnyInRange('A', 'Z') >= 0)
        {
            return HeadProblem.NameUpperCase;
        }

        if (!IsValue(value))
        {
            return HeadProblem.ValueMalformed;
        }

        return name switch
        {
            "connection" or "proxy-connection" or "keep-alive" or "transfer-encoding" or "upgrade" or "http2-settings" => HeadProblem.ConnectionSpecific,
            "te" when value != "trailers" => HeadProblem.TeUnsupported,
            _ => HeadProblem.None,
        };
    }

    /// <summary>No control characters, no space at either end (§8.2.1).</summary>
    public static bool IsValue(string value) =>
        value.AsSpan().IndexOfAny(ForbiddenInValue) < 0 && (value.Length == 0 || (value[0] is not (' ' or '\t') && value[^1] is not (' ' or '\t')));

    /// <summary>Judges the fields after a message (§8.1): no pseudo-headers, and nothing that says where a message ends or goes.</summary>
    public static HeadProblem CheckTrailers(IReadOnlyList<KeyValuePair<string, string>> fields)
    {
        foreach (var (name, value) in fields)
        {
            var problem = name.StartsWith(':') ? HeadProblem.PseudoForbidden
                : name is "content-length" or "host" ? HeadProblem.PseudoForbidden
                : Check(name, value);
            if (problem != HeadProblem.None)
            {
                return problem;
            }
        }

        return HeadProblem.None;
    }

    /// <summary>Takes the one Content-Length, when there is one.</summary>
    public static HeadProblem ReadContentLength(IReadOnlyList<KeyValuePair<string, string>> fields, out long? length)
    {
        length = null;
        foreach (var (name, value) in fields)
        {
            if (name != "content-length")
            {
                continue;
            }

            if (length is not null)
            {
                return HeadProblem.ContentLengthRepeated;
            }

            if (value.Length is 0 or > MaxLengthDigits || value.AsSpan().IndexOfAnyExceptInRange('0', '9') >= 0)
            {
                return HeadProblem.ContentLengthMalformed;
            }

            length = long.Parse(value, CultureInfo.InvariantCulture);
        }

        return HeadProblem.None;
    }
}
