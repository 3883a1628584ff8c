using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.WebUtilities;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.L7;

/// <summary>
/// Responses that the proxy itself makes (RFC 9457): a stable code, a sentence for the client, and the request's ID, by which an operator finds
/// the reason in the access log. Policies and identities are not the client's business.
/// </summary>
internal static class OwnResponse
{
    private const string Json = "application/problem+json";
    private const string Text = "text/plain; charset=utf-8";

    /// <summary>The reply that says no more than the refusal's code.</summary>
    public static Reply Plain(RefusalReason refusal) => new(Refusals.Status(refusal), []);

    /// <summary>Writes the response for the record's refusal in the proxy's own words.</summary>
    public static ValueTask WriteAsync(OutputBuffer to, AccessRecord record, int status, bool isHead, bool close, CancellationToken cancellationToken) =>
        WriteAsync(to, record, new Reply(status, []), isHead, close, cancellationToken);

    /// <summary>Writes the response for the record's refusal.</summary>
    public static async ValueTask WriteAsync(OutputBuffer to, AccessRecord record, Reply reply, bool isHead, bool close, CancellationToken cancellationToken)
    {
        var status = reply.Status;
        var fields = new List<KeyValuePair<string, string>>(reply.Fields);
        var body = reply.Body ?? Problem(record, status);
        if (reply.Body is null)
        {
            fields.RemoveAll(field => field.Key.StartsWith("content-", StringComparison.OrdinalIgnoreCase));
            fields.Add(new("content-type", record.PrefersText ? Text : Json));
            fields.Add(new("cache-control", "no-store"));
        }

        fields.Add(new("content-length", body.Length.ToString(CultureInfo.InvariantCulture)));
        if (record.RequestId is { } id)
        {
            fields.Add(new(ForwardedHeaders.RequestId, id));
        }

        if (close)
        {
            fields.Add(new("connection", "close"));
        }

        record.Code = status;
        await to.WriteResponseHeadAsync(status, Phrase(status), fields, cancellationToken).ConfigureAwait(false);
        if (!isHead)
        {
            await to.WritePayloadAsync(body, asChunks: false, cancellationToken).ConfigureAwait(false);
        }

        await to.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What the client reads: the same in JSON and in text. <c>type</c> is relative: its fragment is the code's heading in docs/reference/refusals.md.</summary>
    internal static byte[] Problem(AccessRecord record, int status)
    {
        var code = Refusals.PublicCode(record.Refusal!.Value);
        var detail = Refusals.PublicWords(code);
        if (record.PrefersText)
        {
            return Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{status} {Phrase(status)}: {detail}\ncode: {code}\nrequest: {record.RequestId ?? "-"}\n"));
        }

        var json = new LineBuffer();
        json.Add("{\"type\":\"refusals#"u8);
        json.AddEscaped(code);
        json.Add("\",\"title\":"u8);
        json.AddJson(Phrase(status));
        json.Add(",\"status\":"u8);
        json.Add(status);
        json.Add(",\"code\":"u8);
        json.AddJson(code);
        json.Add(",\"detail\":"u8);
        json.AddJson(detail);
        json.Add(",\"requestId\":"u8);
        json.AddJson(record.RequestId);
        json.Add("}\n"u8);
        return json.Span.ToArray();
    }

    private static string Phrase(int status) => ReasonPhrases.GetReasonPhrase(status) is { Length: > 0 } known ? known : "Refused";
}
