using System.Diagnostics.CodeAnalysis;
using System.Text;
using Signet.Proxy.Http2;

namespace Signet.Proxy.L7;

/// <summary>The versions of HTTP that are understood.</summary>
public enum ProtocolVersion
{
    Http10,
    Http11,
    Http2,
}

/// <summary>
/// What a request says before its body, in whatever version it came, checked to mean one thing only (RFC 9112 §3, §5, §6; RFC 9113 §8). What
/// two readers could read differently is not a request. Immutable.
/// </summary>
public sealed class RequestHead
{
    private RequestHead(string method, string path, string host, ProtocolVersion version, IReadOnlyList<KeyValuePair<string, string>> headers, BodyFraming body)
    {
        (Method, Path, Host, Version, Headers, Body) = (method, path, host, version, headers, body);
        ExpectsContinue = version != ProtocolVersion.Http10 && FieldLines.ListOf(headers, "Expect").Count > 0;
        if (version == ProtocolVersion.Http2)
        {
            KeepAlive = true;
            return;
        }

        var connection = FieldLines.ListOf(headers, "Connection");
        KeepAlive = version == ProtocolVersion.Http11 && !connection.Contains("close");
        IsWebSocketUpgrade = version == ProtocolVersion.Http11 && method == "GET" && body.Kind == BodyKind.None && connection.Contains("upgrade")
            && FieldLines.ListOf(headers, "Upgrade").SequenceEqual(["websocket"]);
    }

    /// <summary>Capitals and hyphens.</summary>
    public string Method { get; }

    /// <summary>Path and query as received; for <c>OPTIONS *</c> it is <c>*</c>.</summary>
    public string Path { get; }

    /// <summary>The host, with its port if one was given.</summary>
    public string Host { get; }

    public ProtocolVersion Version { get; }

    /// <summary>All fields as received, in order. Of HTTP/2 the host is the first of them, and cookies are one field.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; }

    public BodyFraming Body { get; }

    /// <summary>Whether the client is ready to send another request after this one. Never for HTTP/1.0.</summary>
    public bool KeepAlive { get; }

    public bool ExpectsContinue { get; }

    /// <summary>Whether the client asks to speak WebSocket (RFC 6455 §4.1); other upgrades are not offered to the application.</summary>
    public bool IsWebSocketUpgrade { get; }

    /// <summary>Whether it is a call by gRPC, whatever its messages are encoded in.</summary>
    public bool IsGrpc
    {
        get
        {
            for (var i = 0; i < Headers.Count; i++)
            {
                if (Headers[i].Key.Equals("content-type", StringComparison.OrdinalIgnoreCase))
                {
                    return Headers[i].Value.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase);
                }
            }

            return false;
        }
    }

    /// <summary>Whether the client says that it understands trailers; only in HTTP/2 that goes on to the next hop.</summary>
    public bool TakesTrailers => FieldLines.ListOf(Headers, "TE").Contains("trailers");

    /// <summary>Reads a head that the scanner found the end of. Never throws.</summary>
    public static bool TryParse(ReadOnlySpan<byte> head, [NotNullWhen(true)] out RequestHead? request, out HttpProblem problem)
    {
        request = null;
        var rest = head;
        var line = FieldLines.TakeLine(ref rest);

        // request-line = method SP request-target SP HTTP-version, with exactly these two spaces
        if (!TryReadLine(line, out var method, out var target, out var minorVersion, out problem))
        {
            return false;
        }

        var headers = new List<KeyValuePair<string, string>>(FieldLines.Count(rest));
        if (!FieldLines.TryRead(rest, headers, out problem)
            || !TryReadHost(headers, out var host, out problem)
            || !TryReadTarget(method, target, host, out var path, out problem)
            || !BodyFraming.TryRead(headers, minorVersion, out var body, out problem)
            || !ForwardedHeaders.TryCheck(headers, out problem))
        {
            return false;
        }

        if (FieldLines.ListOf(headers, "Expect").Exists(expectation => expectation != "100-continue"))
        {
            problem = HttpProblem.ExpectationUnsupported;
            return false;
        }

        request = new RequestHead(method, path, host, minorVersion == 1 ? ProtocolVersion.Http11 : ProtocolVersion.Http10, headers, body ?? BodyFraming.None);
        return true;
    }

    /// <summary>Reads a head that HTTP/2 found well-formed. Never throws.</summary>
    /// <param name="head">The head.</param>
    /// <param name="hasEnded">Whether the message ends with it.</param>
    /// <param name="request">The request.</param>
    /// <param name="problem">Why there is none.</param>
    public static bool TryRead(Http2RequestHead head, bool hasEnded, [NotNullWhen(true)] out RequestHead? request, out HttpProblem problem)
    {
        request = null;
        problem = HttpProblem.MethodUnsupported;
        if (head.IsConnect || head.Method == "TRACE")
        {
            return false;
        }

        var headers = new List<KeyValuePair<string, string>>(head.Fields.Count + 3) { new("host", head.Authority) };
        var (cookie, cookies) = (-1, 0);
        foreach (var field in head.Fields)
        {
            if (field.Key != "cookie" || cookies++ == 0)
            {
                cookie = field.Key == "cookie" ? headers.Count : cookie;
                headers.Add(field);
            }
        }

        // A browser may send its cookies one by one; an application that sees them apart may see only the first (RFC 9113 §8.2.3).
        if (cookies > 1)
        {
            headers[cookie] = new("cookie", string.Join("; ", head.Fields.Where(field => field.Key == "cookie").Select(field => field.Value)));
        }

        if (!ForwardedHeaders.TryCheck(headers, out problem))
        {
            return false;
        }

        if (FieldLines.ListOf(headers, "Expect").Exists(expectation => expectation != "100-continue"))
        {
            problem = HttpProblem.ExpectationUnsupported;
            return false;
        }

        var body = hasEnded || head.ContentLength == 0 ? BodyFraming.None
            : head.ContentLength is { } length ? new BodyFraming(BodyKind.Length, length)
            : BodyFraming.Chunked;
        request = new RequestHead(head.Method, head.Path!, head.Authority, ProtocolVersion.Http2, headers, body);
        return true;
    }

    private static bool TryReadLine(ReadOnlySpan<byte> line, out string method, out string target, out int minorVersion, out HttpProblem problem)
    {
        (method, target, minorVersion) = ("", "", 0);
        problem = HttpProblem.StartLineMalformed;
        var first = line.IndexOf((byte)' ');
        var last = line.LastIndexOf((byte)' ');
        if (first < 0 || first == last)
        {
            return false;
        }

        var version = line[(last + 1)..];
        if (version.Length != 8 || !version.StartsWith("HTTP/"u8))
        {
            return false;
        }

        if (!version.SequenceEqual("HTTP/1.1"u8) && !version.SequenceEqual("HTTP/1.0"u8))
        {
            problem = HttpProblem.VersionUnsupported;
            return false;
        }

        var name = line[..first];
        if (name.Length is 0 or > HttpLimits.MaxMethod || name.ContainsAnyExcept(MethodBytes))
        {
            problem = HttpProblem.MethodMalformed;
            return false;
        }

        // CONNECT would turn the connection into a tunnel that no policy sees into; TRACE would read out headers that were set for the application.
        if (name.SequenceEqual("CONNECT"u8) || name.SequenceEqual("TRACE"u8))
        {
            problem = HttpProblem.MethodUnsupported;
            return false;
        }

        var where = line[(first + 1)..last];
        if (where.IsEmpty || where.ContainsAnyExceptInRange((byte)0x21, (byte)0x7e) || where.Contains((byte)'#'))
        {
            problem = HttpProblem.TargetMalformed;
            return false;
        }

        method = Encoding.ASCII.GetString(name);
        target = Encoding.ASCII.GetString(where);
        minorVersion = version[7] - '0';
        return true;
    }

    private static readonly System.Buffers.SearchValues<byte> MethodBytes =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZ-"u8);

    private static bool TryReadHost(List<KeyValuePair<string, string>> headers, out string host, out HttpProblem problem)
    {
        host = "";
        problem = HttpProblem.HostMissing;
        var found = false;
        foreach (var (name, value) in headers)
        {
            if (name.Equals("Host", StringComparison.OrdinalIgnoreCase))
            {
                if (found)
                {
                    problem = HttpProblem.HostRepeated;
                    return false;
                }

                (found, host) = (true, value);
            }
        }

        if (found && !HostText.IsValid(host))
        {
            problem = HttpProblem.HostMalformed;
            return false;
        }

        return found;
    }

    // origin-form | absolute-form whose authority is the Host field's | "*" for OPTIONS (RFC 9112 §3.2)
    private static bool TryReadTarget(string method, string target, string host, out string path, out HttpProblem problem)
    {
        path = target;
        problem = HttpProblem.TargetMalformed;
        if (target[0] == '/' || (target == "*" && method == "OPTIONS"))
        {
            return true;
        }

        var scheme = target.StartsWith("http://", StringComparison.OrdinalIgnoreCase) ? 7
            : target.StartsWith("https://", StringComparison.OrdinalIgnoreCase) ? 8
            : 0;
        if (scheme == 0)
        {
            return false;
        }

        var slash = target.IndexOfAny(['/', '?'], scheme);
        var authority = slash < 0 ? target[scheme..] : target[scheme..slash];
        path = slash < 0 ? "/" : target[slash] == '?' ? "/" + target[slash..] : target[slash..];
        problem = HttpProblem.HostContradicted;
        return authority.Equals(host, StringComparison.OrdinalIgnoreCase);
    }
}
