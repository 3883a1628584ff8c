using Signet.Proxy.Connections;
using Signet.Proxy.Telemetry;
using Signet.Proxy.Telemetry.Wire;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Telemetry;

public sealed class SpanWireTests
{
    private static readonly TraceContext Trace = new("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "1111111111111111", true);

    [Fact]
    public void Writes_a_span_that_others_can_read()
    {
        var record = Records.Denied();
        record.Trace = Trace;
        var read = SpanReader.Read(new SpanWire("orders").Write([record]).ToArray());

        Assert.Equal("orders", read.Service);
        var span = Assert.Single(read.Spans);
        Assert.Equal((Trace.TraceId, Trace.SpanId, Trace.ParentId, "POST", 2L), (span.TraceId, span.SpanId, span.ParentId, span.Name, span.Kind));
        Assert.Equal((1893456000_000_000_000UL, 1893456002_000_000_000UL, 1u), (span.Start, span.End, span.Flags));
        Assert.Equal((2L, "PolicyDenied"), (span.Status, span.Message));
        Assert.Equal((403L, "/api", "default/no-web", "spiffe://example.org/ns/default/sa/web"), (
            span.Attributes["http.response.status_code"], span.Attributes["url.path"], span.Attributes["signet.policy"], span.Attributes["signet.source.principal"]));
    }

    [Fact]
    public void Writes_many_spans_of_any_size_and_the_next_request_anew()
    {
        var wire = new SpanWire("web");
        var records = Enumerable.Range(0, 600).Select(i =>
        {
            var record = Records.Allowed(Direction.Outbound);
            (record.Trace, record.Path) = (Trace with { ParentId = null }, "/" + new string('é', i));
            return record;
        }).ToList();

        var read = SpanReader.Read(wire.Write(records).ToArray());

        Assert.Equal(600, read.Spans.Count);
        Assert.All(read.Spans, (span, i) => Assert.Equal("/" + new string('é', i), span.Attributes["url.path"]));
        Assert.All(read.Spans, span => Assert.Equal((null, 3L, 0L, "orders.default.svc.cluster.local"), (span.ParentId, span.Kind, span.Status, span.Attributes["signet.destination.service"])));
        Assert.Single(SpanReader.Read(wire.Write([records[0]]).ToArray()).Spans);
    }
}
