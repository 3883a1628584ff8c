using Signet.Proxy.Connections;

namespace Signet.Proxy.Telemetry.Wire;

/// <summary>
/// Records as <c>opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest</c>: resource_spans 1 {resource 1 {attributes 1}, scope_spans 2
/// {scope 1 {name 1}, spans 2}}. Names of attributes are those of OpenTelemetry's HTTP conventions.
/// </summary>
internal sealed class SpanWire(string service)
{
    private const int ServerKind = 2;
    private const int ClientKind = 3;
    private const int ErrorStatus = 2;
    private const int HttpError = 500;
    private const long NanosecondsPerTick = 100;

    private readonly ProtoWriter _writer = new();

    /// <summary>A request with the spans; good until the next call.</summary>
    public ReadOnlyMemory<byte> Write(IReadOnlyList<AccessRecord> records)
    {
        _writer.Clear();
        _writer.Message(1, (service, records), static (resourceSpans, content) =>
        {
            resourceSpans.Message(1, content.service, static (resource, name) => Attribute(resource, 1, "service.name", name));
            resourceSpans.Message(2, content.records, static (scopeSpans, records) =>
            {
                scopeSpans.Message(1, "signet.proxy", static (scope, name) => scope.Text(1, name));
                foreach (var record in records)
                {
                    scopeSpans.Message(2, record, WriteSpan);
                }
            });
        });
        return _writer.Written;
    }

    // trace_id 1, span_id 2, parent_span_id 4, name 5, kind 6, start_time_unix_nano 7, end_time_unix_nano 8, attributes 9, status 15 {message 2, code 3}, flags 16
    private static void WriteSpan(ProtoWriter span, AccessRecord record)
    {
        var trace = record.Trace!;
        span.Hex(1, trace.TraceId);
        span.Hex(2, trace.SpanId!);
        if (trace.ParentId is { } parent)
        {
            span.Hex(4, parent);
        }

        span.Text(5, record.Method!);
        span.Number(6, record.Direction == Direction.Inbound ? ServerKind : ClientKind);
        span.Fixed(7, Nanoseconds(record.Began));
        span.Fixed(8, Nanoseconds(record.Ended));
        WriteAttributes(span, record);
        if (record.Refusal is not null || record.Code >= HttpError)
        {
            span.Message(15, record.Refusal?.ToString(), static (status, reason) =>
            {
                if (reason is not null)
                {
                    status.Text(2, reason);
                }

                status.Number(3, ErrorStatus);
            });
        }

        span.Fixed(16, 1u);
    }

    private static void WriteAttributes(ProtoWriter span, AccessRecord record)
    {
        Attribute(span, 9, "http.request.method", record.Method);
        Attribute(span, 9, "url.path", PathOf(record.Path));
        Attribute(span, 9, "server.address", record.Host);
        Attribute(span, 9, "client.address", (record.RemoteIp ?? record.Source.Address).ToString());
        Attribute(span, 9, "tls.protocol.version", record.TlsVersion);
        Attribute(span, 9, "signet.direction", ProxyMetrics.Name(record.Direction));
        Attribute(span, 9, "signet.source.principal", record.SourcePeer?.Id?.Uri);
        Attribute(span, 9, "signet.destination.principal", record.DestinationPeer?.Id?.Uri);
        Attribute(span, 9, "signet.destination.service", record.DestinationHost);
        Attribute(span, 9, "signet.policy", record.Verdict?.Policy);
        Attribute(span, 9, "signet.verdict", record.IsDenied ? "deny" : "allow");
        Attribute(span, 9, "signet.request.id", record.RequestId);
        Attribute(span, "http.response.status_code", record.Code);
        Attribute(span, "rpc.grpc.status_code", record.GrpcStatus);
    }

    /// <summary>key 1, value 2 {int_value 3}; the value of a member of a choice is written even when it is 0.</summary>
    private static void Attribute(ProtoWriter span, string name, int? number)
    {
        if (number is { } value)
        {
            span.Message(9, (name, value), static (attribute, pair) =>
            {
                attribute.Text(1, pair.name);
                attribute.Message(2, pair.value, static (any, number) => any.Choice(3, number));
            });
        }
    }

    /// <summary>key 1, value 2 {string_value 1}.</summary>
    private static void Attribute(ProtoWriter to, int field, string name, string? value)
    {
        if (value is not null)
        {
            to.Message(field, (name, value), static (attribute, pair) =>
            {
                attribute.Text(1, pair.name);
                attribute.Message(2, pair.value, static (any, text) => any.Text(1, text.Length > LineBuffer.MaxText ? text[..LineBuffer.MaxText] : text));
            });
        }
    }

    /// <summary>Queries often hold what is nobody's business.</summary>
    private static string? PathOf(string? path) => path?.IndexOf('?', StringComparison.Ordinal) is >= 0 and var query ? path[..query] : path;

    private static ulong Nanoseconds(DateTimeOffset time) => (ulong)((time.UtcTicks - DateTimeOffset.UnixEpoch.Ticks) * NanosecondsPerTick);
}
