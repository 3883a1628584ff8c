using System.Buffers;

namespace Signet.Proxy.Sniffing;

/// <summary>What the first bytes of a plaintext or decrypted stream say about HTTP.</summary>
public enum HttpSniff
{
    /// <summary>So far it could be HTTP; more bytes are needed.</summary>
    NeedMore,

    /// <summary>A request line of HTTP/1.0 or 1.1.</summary>
    Http1,

    /// <summary>The first line of HTTP/2's preface (RFC 9113 §3.4).</summary>
    Http2,

    /// <summary>Anything else.</summary>
    NotHttp,
}

/// <summary>Tells HTTP from other protocols by its first line. Pure and bounded.</summary>
public static class HttpSniffer
{
    /// <summary>A line that is longer and still looks like HTTP counts as HTTP: the strict parser then judges it.</summary>
    public const int MaxLine = 8 * 1024;

    private const int MaxMethod = 24;

    private static readonly SearchValues<byte> MethodBytes = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZ-"u8);

    /// <summary>Judges everything received so far; asks for more only while fewer than <see cref="MaxLine"/> bytes are there.</summary>
    public static HttpSniff Inspect(ReadOnlySpan<byte> received)
    {
        // method SP request-target SP "HTTP/1." DIGIT CR LF, the method in capitals and hyphens (RFC 9112 §3)
        var method = received.IndexOfAnyExcept(MethodBytes);
        if (method < 0)
        {
            return received.Length <= MaxMethod ? HttpSniff.NeedMore : HttpSniff.NotHttp;
        }

        if (method is 0 or > MaxMethod || received[method] != ' ')
        {
            return HttpSniff.NotHttp;
        }

        var line = received[..Math.Min(received.Length, MaxLine)];
        var end = line.IndexOf((byte)'\n');
        if (end >= 0)
        {
            var text = line[..end];
            text = text.EndsWith("\r"u8) ? text[..^1] : text;
            return text.Length > 9 && text[..^1].EndsWith(" HTTP/1."u8) ? HttpSniff.Http1
                : line.StartsWith("PRI * HTTP/2.0\r\n"u8) ? HttpSniff.Http2
                : HttpSniff.NotHttp;
        }

        return line.IndexOfAnyInRange((byte)0, (byte)'\f') >= 0 ? HttpSniff.NotHttp
            : received.Length < MaxLine ? HttpSniff.NeedMore
            : HttpSniff.Http1;
    }
}
