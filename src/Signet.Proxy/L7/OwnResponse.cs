using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.WebUtilities;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.L7;

/// <summary>
/// Responses that the proxy itself makes (RFC 9457): a stable code and the request's ID, by which an operator finds the reason in the
/// access log. Policies and identities are not the client's business.
/// </summary>
internal static class OwnResponse
{
    /// <summary>The reply that says no more than the refusal's code.</summary>
    public static Reply Plain(RefusalReason refusal) => new(Refusals.Status(refusal), []);

    /// <summary>Writes the response for the record's refusal in the proxy's own words.</summary>
    public static ValueTask WriteAsync(OutputBuffer to, AccessRecord record, int status, bool isHead, bool close, CancellationToken cancellationToken) =>
        WriteAsync(to, record, new Reply(status, []), isHead, close, cancellationToken);

    /// <summary>Writes the response for the record's refusal.</summary>
    public static async ValueTask WriteAsync(OutputBuffer to, AccessRecord record, Reply reply, bool isHead, bool close, CancellationToken cancellationToken)
    {
        var status = reply.Status;
        var phrase = ReasonPhrases.GetReasonPhrase(status) is { Length: > 0 } known ? known : "Refused";
        var fields = new List<KeyValuePair<string, string>>(reply.Fields);
        var body = reply.Body ?? Problem(record, status, phrase);
        if (reply.Body is null)
        {
            fields.RemoveAll(field => field.Key.StartsWith("content-", StringComparison.OrdinalIgnoreCase));
            fields.Add(new("content-type", "application/problem+json"));
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
        await to.WriteResponseHeadAsync(status, phrase, fields, cancellationToken).ConfigureAwait(false);
        if (!isHead)
        {
            await to.WritePayloadAsync(body, asChunks: false, cancellationToken).ConfigureAwait(false);
        }

        await to.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private static byte[] Problem(AccessRecord record, int status, string phrase) => Encoding.UTF8.GetBytes(
        $$"""{"type":"about:blank","title":"{{phrase}}","status":{{status.ToString(CultureInfo.InvariantCulture)}},"code":"{{Refusals.PublicCode(record.Refusal!.Value)}}","requestId":{{Id(record)}}}""" + "\n");

    private static string Id(AccessRecord record) => record.RequestId is null ? "null" : $"\"{JsonEncodedText.Encode(record.RequestId)}\"";
}
