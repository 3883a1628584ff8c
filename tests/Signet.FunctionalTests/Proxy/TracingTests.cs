using System.Collections.Concurrent;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>Spans, as a collector gets them.</summary>
public sealed class TracingTests
{
    private const string Sampled = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    private const string NotSampled = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    [Fact]
    public async Task Reports_both_proxies_of_a_call_as_parts_of_its_trace()
    {
        await using var collector = new Collector();
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, change: config => config with { Tracing = collector.Config(0) });
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, change: config => config with { Tracing = collector.Config(0) });
        await using var client = await Wire.PlainAsync(web.Outbound);

        await client.AskAsync($"GET /a?secret=1 HTTP/1.1\r\nHost: orders\r\n{Sampled}\r\n\r\n");
        await client.AskAsync($"GET /b HTTP/1.1\r\nHost: orders\r\n{NotSampled}\r\n\r\n");
        await client.AskAsync("GET /c HTTP/1.1\r\nHost: orders\r\n\r\n");

        await Eventually.IsTrueAsync(() => collector.Spans.Count == 2, "a span of each proxy");
        var (outer, inner) = (collector.Spans.Single(span => span.Kind == 3), collector.Spans.Single(span => span.Kind == 2));
        Assert.Equal(("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", outer.SpanId), (outer.TraceId, outer.ParentId, inner.ParentId));
        Assert.Equal((outer.TraceId, "GET", 200L, "/a"), (inner.TraceId, inner.Name, inner.Attributes["http.response.status_code"], inner.Attributes["url.path"]));
        Assert.Equal("spiffe://example.org/ns/default/sa/web", inner.Attributes["signet.source.principal"]);
        Assert.Equal("spiffe://example.org/ns/default/sa/orders", outer.Attributes["signet.destination.principal"]);
        Assert.True(outer.Start <= inner.Start && inner.Start <= inner.End);
        Assert.Contains($"-{inner.SpanId}-01", App.Field(app.Heads.First(), "traceparent"), StringComparison.Ordinal);
        Assert.EndsWith("-00", App.Field(app.Heads.Last(), "traceparent"), StringComparison.Ordinal);
        Assert.Equal(["orders", "web"], collector.Services.Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Samples_what_begins_here_by_ratio_and_delivers_what_waits_when_it_stops()
    {
        await using var collector = new Collector();
        await using var app = App.Http();
        var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, change: config => config with { Tracing = collector.Config(1) });
        await using (var client = await Wire.PlainAsync(world.Inbound))
        {
            await client.AskAsync("GET / HTTP/1.1\r\nHost: orders\r\n\r\n");
            await client.AskAsync($"GET / HTTP/1.1\r\nHost: orders\r\n{NotSampled}\r\n\r\n");
        }

        await world.DisposeAsync();

        Assert.Null(Assert.Single(collector.Spans).ParentId);
    }

    [Fact]
    public async Task Goes_on_without_a_collector_and_counts_what_is_lost()
    {
        var collector = new Collector { Status = 503 };
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, change: config => config with { Tracing = collector.Config(1) });
        await using var client = await Wire.PlainAsync(world.Inbound);
        Assert.Equal(200, (await client.AskAsync("GET / HTTP/1.1\r\nHost: orders\r\n\r\n")).Status);
        await Eventually.IsTrueAsync(() => collector.Requests == 1, "a try");
        await collector.DisposeAsync();

        Assert.Equal(200, (await client.AskAsync("GET / HTTP/1.1\r\nHost: orders\r\n\r\n")).Status);

        await Eventually.IsTrueAsync(
            async () => (await world.Admin.GetStringAsync(new Uri($"http://{world.Proxy.AdminEndPoint}/metrics"))).Contains("signet_proxy_spans_total{result=\"dropped\"} 2\n", StringComparison.Ordinal),
            "two lost spans");
    }

    [Fact]
    public async Task Reports_nothing_and_touches_no_trace_unless_it_is_told_to()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);

        await client.AskAsync($"GET / HTTP/1.1\r\nHost: orders\r\n{Sampled}\r\n\r\n");

        Assert.Contains(Sampled, app.Heads.Single(), StringComparison.Ordinal);
    }

    /// <summary>An OTLP collector that reads what it gets.</summary>
    private sealed class Collector : IAsyncDisposable
    {
        private readonly App _app;
        private int _requests;

        public Collector() => _app = App.Http((head, body) =>
        {
            Interlocked.Increment(ref _requests);
            Assert.StartsWith("POST /v1/traces HTTP/1.1\r\n", head, StringComparison.Ordinal);
            Assert.Equal("application/x-protobuf", App.Field(head, "content-type"));
            if (Status == 200)
            {
                var read = SpanReader.Read(body);
                Services.Add(read.Service);
                foreach (var span in read.Spans)
                {
                    Spans.Add(span);
                }
            }

            return $"HTTP/1.1 {Status} X\r\nContent-Length: 0\r\n\r\n";
        });

        public int Status { get; init; } = 200;

        public int Requests => Volatile.Read(ref _requests);

        public ConcurrentBag<SpanReader.Span> Spans { get; } = [];

        public ConcurrentBag<string> Services { get; } = [];

        public TracingConfig Config(double ratio) => new(new Uri($"http://{_app.EndPoint}/v1/traces"), ratio, null);

        public ValueTask DisposeAsync() => _app.DisposeAsync();
    }
}
