using System.Buffers;

namespace Signet.Policy;

/// <summary>
/// Brings a request target into the form that policies are matched against, decoding once only. What no level can make safe, such as an
/// encoded NUL, is a problem at every level.
/// </summary>
internal static class PathNormalizer
{
    /// <summary>The longest request target that is looked at, in characters.</summary>
    private const int MaxLength = 64 * 1024;

    private static readonly SearchValues<char> Suspects = SearchValues.Create(['%', '\\', '?', '#', '\0', .. Enumerable.Range(1, 32).Select(c => (char)c)]);

    /// <summary>Whether every level would leave the target as it is.</summary>
    public static bool IsNormal(string target) =>
        target.Length is > 0 and <= MaxLength && target[0] == '/' && !target.AsSpan().ContainsAny(Suspects)
        && !target.Contains("/.", StringComparison.Ordinal) && !target.Contains("//", StringComparison.Ordinal);

    /// <summary>Writes the normalised path; answers what is wrong, or null.</summary>
    public static string? Normalize(string target, PathNormalization level, ref char[] buffer, out int length)
    {
        length = 0;
        var query = target.IndexOf('?', StringComparison.Ordinal);
        var path = query < 0 ? target.AsSpan() : target.AsSpan(0, query);
        if (path.Length > MaxLength)
        {
            return "the path is too long";
        }

        if (path is not ("*" or ['/', ..]))
        {
            return "the path does not begin with \"/\"";
        }

        if (buffer.Length < path.Length)
        {
            buffer = new char[Math.Max(256, path.Length)];
        }

        if (!TryDecode(path, level, buffer, out length))
        {
            return "the path has a character that paths can't have";
        }

        if (level >= PathNormalization.Base)
        {
            length = ResolveDots(buffer, length);
        }

        if (level >= PathNormalization.MergeSlashes)
        {
            length = MergeSlashes(buffer, length);
        }

        return null;
    }

    private static bool TryDecode(ReadOnlySpan<char> path, PathNormalization level, Span<char> to, out int length)
    {
        length = 0;
        for (var i = 0; i < path.Length; i++)
        {
            var c = path[i];
            if (c is < ' ' or '#' or '\x7f')
            {
                return false;
            }

            if (c == '%' && i + 2 < path.Length && char.IsAsciiHexDigit(path[i + 1]) && char.IsAsciiHexDigit(path[i + 2]))
            {
                var decoded = (char)((HexDigit(path[i + 1]) << 4) | HexDigit(path[i + 2]));
                if (decoded == '\0')
                {
                    return false;
                }

                if (IsDecoded(decoded, level))
                {
                    to[length++] = decoded == '\\' ? '/' : decoded;
                    i += 2;
                    continue;
                }
            }

            to[length++] = c == '\\' && level >= PathNormalization.Base ? '/' : c;
        }

        return true;
    }

    private static bool IsDecoded(char c, PathNormalization level) =>
        (level >= PathNormalization.Base && (char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_' or '~'))
        || (level >= PathNormalization.DecodeAndMergeSlashes && (c is '/' or '\\'));

    private static int HexDigit(char c) => c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;

    private static int ResolveDots(Span<char> path, int length)
    {
        var written = 0;
        for (var at = 0; at < length;)
        {
            // path[at] is a slash (or the lone "*"), and the segment follows it.
            var end = path[(at + 1)..length].IndexOf('/');
            end = end < 0 ? length : at + 1 + end;
            var segment = path[(at + 1)..end];
            var isLast = end == length;
            if (segment is "." or "..")
            {
                if (segment.Length == 2 && path[..written].LastIndexOf('/') is var parent and >= 0)
                {
                    written = parent;
                }

                if (isLast)
                {
                    path[written++] = '/';
                }
            }
            else
            {
                path[at..end].CopyTo(path[written..]);
                written += end - at;
            }

            at = end;
        }

        return written;
    }

    private static int MergeSlashes(Span<char> path, int length)
    {
        var written = 0;
        for (var i = 0; i < length; i++)
        {
            if (path[i] != '/' || written == 0 || path[written - 1] != '/')
            {
                path[written++] = path[i];
            }
        }

        return written;
    }
}
