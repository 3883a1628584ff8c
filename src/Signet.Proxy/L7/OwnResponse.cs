using System.Globalization;
using System.Text;
using System.Text.Json;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.L7;

/// <summary>
/// Responses that the proxy itself makes (RFC 9457): a stable code and the request's ID, by which an operator finds the reason in the
/// access log. Policies and identities are not the client's business.
/// </summary>
internal static class OwnResponse
{
    /// <summary>Writes the response for the record's refusal.</summary>
    public static async ValueTask WriteAsync(OutputBuffer to, AccessRecord record, int status, bool isHead, bool close, CancellationToken cancellationToken)
    {
        var phrase = PhraseOf(status);
        var body = Encoding.UTF8.GetBytes(
            $$"""{"type":"about:blank","title":"{{phrase}}","status":{{status.ToString(CultureInfo.InvariantCulture)}},"code":"{{Refusals.PublicCode(record.Refusal!.Value)}}","requestId":{{Id(record)}}}""" + "\n");
        var fields = new List<KeyValuePair<string, string>>
        {
            new("content-type", "application/problem+json"),
            new("content-length", body.Length.ToString(CultureInfo.InvariantCulture)),
            new("cache-control", "no-store"),
        };
        if (record.RequestId is { } id)
        {
            fields.Add(new(ForwardedHeaders.RequestId, id));
        }

        if (close)
        {
            fields.Add(new("connection", "close"));
        }

        record.Code = status;
        await to.WriteResponseHeadAsync(status, phrase, fields, cancellationToken).ConfigureAwait(false);
        if (!isHead)
        {
            await to.WritePayloadAsync(body, asChunks: false, cancellationToken).ConfigureAwait(false);
        }

        await to.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private static string Id(AccessRecord record) => record.RequestId is null ? "null" : $"\"{JsonEncodedText.Encode(record.RequestId)}\"";

    private static string PhraseOf(int status) => status switch
    {
        400 => "Bad Request",
        403 => "Forbidden",
        408 => "Request Timeout",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => throw new ArgumentOutOfRangeException(nameof(status)),
    };
}
