using Signet.Proxy.Http2.Hpack;
using Signet.Proxy.L7;

namespace Signet.Proxy.Http2;

/// <summary>A request's pseudo-headers and fields (RFC 9113 §8.3.1, §8.5). Immutable; one that was read is valid, one to be sent is its maker's care.</summary>
/// <param name="Method">A token.</param>
/// <param name="Authority">Host, with its port if one was given; for CONNECT always both.</param>
/// <param name="Scheme">Null for CONNECT.</param>
/// <param name="Path">Path and query, or <c>*</c>; null for CONNECT.</param>
/// <param name="Fields">In order, names in lower case, without Host when <paramref name="Authority"/> came from it.</param>
public sealed record Http2RequestHead(string Method, string Authority, string? Scheme, string? Path, IReadOnlyList<KeyValuePair<string, string>> Fields)
{
    private const int MaxMethod = 24;

    /// <summary>What Content-Length promises; null when it does not.</summary>
    public long? ContentLength { get; private init; }

    public bool IsConnect => Method == "CONNECT";

    /// <summary>Asks the peer for a byte stream to a destination.</summary>
    public static Http2RequestHead Connect(string authority, IReadOnlyList<KeyValuePair<string, string>> fields) => new("CONNECT", authority, null, null, fields);

    /// <summary>Judges a decoded section as the head of a request.</summary>
    internal static HeadProblem TryRead(IReadOnlyList<KeyValuePair<string, string>> section, out Http2RequestHead? head)
    {
        head = null;
        string? method = null, scheme = null, path = null, authority = null, host = null;
        var fields = new List<KeyValuePair<string, string>>(section.Count);
        foreach (var (name, value) in section)
        {
            if (!name.StartsWith(':'))
            {
                var problem = FieldRules.Check(name, value);
                if (problem != HeadProblem.None)
                {
                    return problem;
                }

                if (name == "host")
                {
                    if (host is not null)
                    {
                        return HeadProblem.HostRepeated;
                    }

                    host = value;
                    continue;
                }

                fields.Add(new(name, value));
                continue;
            }

            if (fields.Count > 0 || host is not null)
            {
                return HeadProblem.PseudoAfterField;
            }

            switch (name)
            {
                case ":method" when method is null:
                    method = value;
                    break;
                case ":scheme" when scheme is null:
                    scheme = value;
                    break;
                case ":path" when path is null:
                    path = value;
                    break;
                case ":authority" when authority is null:
                    authority = value;
                    break;
                case ":method" or ":scheme" or ":path" or ":authority":
                    return HeadProblem.PseudoRepeated;
                default:
                    return HeadProblem.PseudoUnknown;
            }
        }

        var lengthProblem = FieldRules.ReadContentLength(fields, out var length);
        var headProblem = lengthProblem != HeadProblem.None ? lengthProblem : Check(method, scheme, path, authority, host, length);
        if (headProblem == HeadProblem.None)
        {
            head = new Http2RequestHead(method!, (authority ?? host)!, scheme, path, fields) { ContentLength = length };
        }

        return headProblem;
    }

    internal void Write(FrameWriter output)
    {
        HpackEncoder.Write(output, ":method", Method);
        if (Scheme is not null)
        {
            HpackEncoder.Write(output, ":scheme", Scheme);
        }

        HpackEncoder.Write(output, ":authority", Authority);
        if (Path is not null)
        {
            HpackEncoder.Write(output, ":path", Path);
        }

        foreach (var (name, value) in Fields)
        {
            HpackEncoder.Write(output, name, value);
        }
    }

    private static HeadProblem Check(string? method, string? scheme, string? path, string? authority, string? host, long? length)
    {
        if (method is null)
        {
            return HeadProblem.PseudoMissing;
        }

        if (method.Length is 0 or > MaxMethod || method.AsSpan().ContainsAnyExcept("ABCDEFGHIJKLMNOPQRSTUVWXYZ-"))
        {
            return HeadProblem.MethodMalformed;
        }

        if (authority is not null && host is not null && !authority.Equals(host, StringComparison.OrdinalIgnoreCase))
        {
            return HeadProblem.HostContradicted;
        }

        if (method == "CONNECT")
        {
            return scheme is not null || path is not null ? HeadProblem.PseudoForbidden
                : authority is null ? HeadProblem.PseudoMissing
                : !HostText.IsValid(authority) ? HeadProblem.AuthorityMalformed
                : length is not null ? HeadProblem.ContentLengthContradicted
                : HeadProblem.None;
        }

        return scheme is null || path is null || (authority ?? host) is not { } where ? HeadProblem.PseudoMissing
            : scheme is not ("http" or "https") ? HeadProblem.SchemeMalformed
            : !IsPath(path, method) ? HeadProblem.PathMalformed
            : !HostText.IsValid(where) ? HeadProblem.AuthorityMalformed
            : HeadProblem.None;
    }

    private static bool IsPath(string path, string method) =>
        path.Length > 0 && (path[0] == '/' || (path == "*" && method == "OPTIONS"))
        && path.AsSpan().IndexOfAnyExceptInRange('\x21', '\x7e') < 0 && !path.Contains('#', StringComparison.Ordinal);
}
