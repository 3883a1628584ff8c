using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Signet.Proxy.L7;

/// <summary>
/// A request's start line and headers, checked to mean one thing only (RFC 9112 §3, §5, §6). What two readers could read differently is
/// not a request. Immutable.
/// </summary>
public sealed class RequestHead
{
    private RequestHead(string method, string path, string host, int minorVersion, IReadOnlyList<KeyValuePair<string, string>> headers, BodyFraming body)
    {
        (Method, Path, Host, MinorVersion, Headers, Body) = (method, path, host, minorVersion, headers, body);
        var connection = FieldLines.ListOf(headers, "Connection");
        KeepAlive = minorVersion == 1 && !connection.Contains("close");
        ExpectsContinue = minorVersion == 1 && FieldLines.ListOf(headers, "Expect").Count > 0;
        IsWebSocketUpgrade = minorVersion == 1 && method == "GET" && body.Kind == BodyKind.None && connection.Contains("upgrade")
            && FieldLines.ListOf(headers, "Upgrade").SequenceEqual(["websocket"]);
    }

    /// <summary>Capitals and hyphens.</summary>
    public string Method { get; }

    /// <summary>Path and query as received; for <c>OPTIONS *</c> it is <c>*</c>.</summary>
    public string Path { get; }

    /// <summary>The host, with its port if one was given.</summary>
    public string Host { get; }

    /// <summary>0 or 1.</summary>
    public int MinorVersion { get; }

    /// <summary>All fields as received, in order.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; }

    public BodyFraming Body { get; }

    /// <summary>Whether the client is ready to send another request after this one. Never for HTTP/1.0.</summary>
    public bool KeepAlive { get; }

    public bool ExpectsContinue { get; }

    /// <summary>Whether the client asks to speak WebSocket (RFC 6455 §4.1); other upgrades are not offered to the application.</summary>
    public bool IsWebSocketUpgrade { get; }

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

        var headers = new List<KeyValuePair<string, string>>(16);
        if (!FieldLines.TryRead(rest, headers, out problem)
            || !TryReadHost(headers, out var host, out problem)
            || !TryReadTarget(method, target, host, out var path, out problem)
            || !BodyFraming.TryRead(headers, minorVersion, out var body, out problem)
            || !ForwardedHeaders.TryCheck(headers, out problem))
        {
            return false;
        }

        if (FieldLines.ListOf(headers, "Expect").Any(expectation => expectation != "100-continue"))
        {
            problem = HttpProblem.ExpectationUnsupported;
            return false;
        }

        request = new RequestHead(method, path, host, minorVersion, headers, body ?? BodyFraming.None);
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
