using System.Diagnostics.CodeAnalysis;
using System.Text;
using Signet.Proxy.Http2;

namespace Signet.Proxy.L7;

/// <summary>What a response says before its body (RFC 9112 §4, §6.3; RFC 9113 §8.3.2), read as strictly as a request. Immutable.</summary>
public sealed class ResponseHead
{
    private ResponseHead(int status, string phrase, bool keepAlive, IReadOnlyList<KeyValuePair<string, string>> headers, BodyFraming body) =>
        (Status, Phrase, KeepAlive, Headers, Body) = (status, phrase, keepAlive, headers, body);

    /// <summary>100 to 599.</summary>
    public int Status { get; }

    /// <summary>Empty in HTTP/2.</summary>
    public string Phrase { get; }

    public bool KeepAlive { get; }

    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; }

    /// <summary>How the body that follows is delimited: none for HEAD, 1xx, 204 and 304, whatever the fields say.</summary>
    public BodyFraming Body { get; }

    /// <summary>Whether another response to the same request follows.</summary>
    public bool IsInterim => Status < 200 && Status != 101;

    /// <summary>Reads a head that the scanner found the end of. Never throws. The request's method decides whether a body follows.</summary>
    public static bool TryParse(ReadOnlySpan<byte> head, string method, [NotNullWhen(true)] out ResponseHead? response, out HttpProblem problem)
    {
        response = null;
        var rest = head;
        var line = FieldLines.TakeLine(ref rest);

        // status-line = HTTP-version SP 3DIGIT SP [reason-phrase]; the last space is often left out with the phrase
        problem = HttpProblem.StatusMalformed;
        if (line.Length < 12 || !line.StartsWith("HTTP/1."u8) || line[7] is not ((byte)'0' or (byte)'1') || line[8] != ' '
            || line[9] is < (byte)'1' or > (byte)'5' || !char.IsAsciiDigit((char)line[10]) || !char.IsAsciiDigit((char)line[11])
            || (line.Length > 12 && line[12] != ' '))
        {
            return false;
        }

        var phrase = line.Length > 13 ? line[13..] : default;
        if (phrase.IndexOfAnyInRange((byte)0, (byte)0x1f) >= 0)
        {
            return false;
        }

        var minorVersion = line[7] - '0';
        var status = ((line[9] - '0') * 100) + ((line[10] - '0') * 10) + (line[11] - '0');
        var headers = new List<KeyValuePair<string, string>>(FieldLines.Count(rest));
        if (!FieldLines.TryRead(rest, headers, out problem) || !BodyFraming.TryRead(headers, minorVersion, out var announced, out problem))
        {
            return false;
        }

        var hasNoBody = method == "HEAD" || status is < 200 or 204 or 304;
        var body = hasNoBody ? BodyFraming.None : announced ?? BodyFraming.UntilClose;
        var connection = FieldLines.ListOf(headers, "Connection");
        if (connection.Count > HttpLimits.MaxMembers)
        {
            problem = HttpProblem.TooManyHeaders;
            return false;
        }

        var keepAlive = body.Kind != BodyKind.UntilClose && (minorVersion == 1 ? !connection.Contains("close") : connection.Contains("keep-alive"));
        var usual = OwnResponse.PhraseOf(status);
        response = new ResponseHead(status, Ascii.Equals(phrase, usual) ? usual : Encoding.Latin1.GetString(phrase), keepAlive, headers, body);
        return true;
    }

    /// <summary>Takes over a head that HTTP/2 found well-formed.</summary>
    /// <param name="head">The head.</param>
    /// <param name="method">The request's.</param>
    /// <param name="hasEnded">Whether the message ends with it.</param>
    public static ResponseHead Of(Http2ResponseHead head, string method, bool hasEnded)
    {
        var body = hasEnded || method == "HEAD" || head.Status is < 200 or 204 or 304 ? BodyFraming.None
            : head.ContentLength is { } length ? new BodyFraming(BodyKind.Length, length)
            : BodyFraming.Chunked;
        return new ResponseHead(head.Status, "", keepAlive: true, head.Fields, body);
    }
}
