using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.WebUtilities;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.L7;

/// <summary>
/// Responses that the proxy itself makes (RFC 9457, and for gRPC a response that is trailers only): a stable code, a sentence for the client,
/// and the request's ID, by which an operator finds the reason in the access log. Policies and identities are not the client's business.
/// </summary>
internal static class OwnResponse
{
    private const string Json = "application/problem+json";
    private const string Text = "text/plain; charset=utf-8";

    /// <summary>The reply that says no more than the refusal's code.</summary>
    public static Reply Plain(RefusalReason refusal) => new(Refusals.Status(refusal), []);

    /// <summary>Writes the response for the record's refusal in the proxy's own words.</summary>
    public static ValueTask WriteAsync(IClientMessages to, AccessRecord record, int status, bool close, CancellationToken cancellationToken) =>
        WriteAsync(to, record, new Reply(status, []), close, cancellationToken);

    /// <summary>Writes the response for the record's refusal.</summary>
    public static ValueTask WriteAsync(IClientMessages to, AccessRecord record, Reply reply, bool close, CancellationToken cancellationToken)
    {
        var fields = new List<KeyValuePair<string, string>>(reply.Fields);
        record.ResponseFields = fields;
        if (record.RequestId is { } id)
        {
            fields.Add(new(ForwardedHeaders.RequestId, id));
        }

        return to.Head is { IsGrpc: true } ? WriteGrpcAsync(to, record, reply.Status, fields, close, cancellationToken) : WriteProblemAsync(to, record, reply, fields, close, cancellationToken);
    }

    /// <summary>The words for a status.</summary>
    public static string PhraseOf(int status) => ReasonPhrases.GetReasonPhrase(status) is { Length: > 0 } known ? known : "Refused";

    private static async ValueTask WriteProblemAsync(
        IClientMessages to, AccessRecord record, Reply reply, List<KeyValuePair<string, string>> fields, bool close, CancellationToken cancellationToken)
    {
        var body = reply.Body ?? Problem(record, reply.Status);
        if (reply.Body is null)
        {
            fields.RemoveAll(field => field.Key.StartsWith("content-", StringComparison.OrdinalIgnoreCase));
            fields.Add(new("content-type", record.PrefersText ? Text : Json));
            fields.Add(new("cache-control", "no-store"));
        }

        fields.Add(new("content-length", body.Length.ToString(CultureInfo.InvariantCulture)));
        record.Code = reply.Status;
        var framing = to.Head is { Method: "HEAD" } || body.Length == 0 ? BodyFraming.None : new BodyFraming(BodyKind.Length, body.Length);
        await to.WriteHeadAsync(reply.Status, PhraseOf(reply.Status), fields, framing, goesOn: !close, cancellationToken).ConfigureAwait(false);
        if (framing.Kind != BodyKind.None)
        {
            await to.WriteAsync(body, cancellationToken).ConfigureAwait(false);
        }

        await to.EndAsync([], cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Whoever calls by gRPC looks at these two fields; HTTP's own status would hide them.</summary>
    private static async ValueTask WriteGrpcAsync(
        IClientMessages to, AccessRecord record, int status, List<KeyValuePair<string, string>> fields, bool close, CancellationToken cancellationToken)
    {
        fields.RemoveAll(field => field.Key.StartsWith("content-", StringComparison.OrdinalIgnoreCase) || field.Key.StartsWith("grpc-", StringComparison.OrdinalIgnoreCase));
        var grpc = record.Refusal == RefusalReason.DeadlineExceeded ? GrpcStatus.DeadlineExceeded : GrpcStatus.Of(status);
        fields.Add(new("content-type", "application/grpc"));
        fields.Add(new(GrpcStatus.StatusField, grpc.ToString(CultureInfo.InvariantCulture)));
        fields.Add(new(GrpcStatus.MessageField, Refusals.PublicCode(record.Refusal!.Value)));
        (record.Code, record.GrpcStatus) = (200, grpc);
        await to.WriteHeadAsync(200, PhraseOf(200), fields, BodyFraming.None, goesOn: !close, cancellationToken).ConfigureAwait(false);
        await to.EndAsync([], cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What the client reads: the same in JSON and in text. <c>type</c> is relative: its fragment is the code's heading in docs/reference/refusals.md.</summary>
    internal static byte[] Problem(AccessRecord record, int status)
    {
        var code = Refusals.PublicCode(record.Refusal!.Value);
        var detail = Refusals.PublicWords(code);
        if (record.PrefersText)
        {
            return Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{status} {PhraseOf(status)}: {detail}\ncode: {code}\nrequest: {record.RequestId ?? "-"}\n"));
        }

        var json = new LineBuffer();
        json.Add("{\"type\":\"refusals#"u8);
        json.AddEscaped(code);
        json.Add("\",\"title\":"u8);
        json.AddJson(PhraseOf(status));
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
}
