using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Signet.Cli.Demo;
using Signet.InteropTests.Rpc;
using Signet.Testing;

namespace Signet.InteropTests.DataPlane;

/// <summary>Spans of two proxies at a collector that reads them by OpenTelemetry's own definitions.</summary>
public sealed class TracesTests
{
    private const string Caller = "00f067aa0ba902b7";

    private const string Policies = Sidecars.Strict + """
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: no-post, namespace: default}
        spec: {action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]}
        """;

    [Fact]
    public async Task A_collector_of_others_reads_both_proxies_as_parts_of_the_callers_trace()
    {
        await Peer.RequireNodeModulesAsync();
        var port = Sidecars.Port();
        await using var mesh = new Sidecars { More = $"tracing: {{endpoint: \"http://127.0.0.1:{port}/v1/traces\", samplePercent: 0}}\n" };
        mesh.SetPolicy(Policies);
        var collector = await mesh.StartAsync(Peer.Require("/usr/bin/node", "nodejs"), [Path.Combine(Peer.Scripts, "otlp_collector.mjs"), $"{port}"], port);
        var parents = new ConcurrentDictionary<string, string>();
        await using var app = new Echo(stream => AnswerAsync(stream, parents));
        var (web, _) = await mesh.PairAsync(app.EndPoint, "http");
        var (fine, broken, denied, untraced) = (Trace(1), Trace(2), Trace(3), Trace(4));
        var began = Nanoseconds();

        Assert.Equal(200, await AskAsync(web, HttpMethod.Get, "/fine?token=secret", fine, "01"));
        Assert.Equal(500, await AskAsync(web, HttpMethod.Get, "/broken", broken, "01"));
        Assert.Equal(403, await AskAsync(web, HttpMethod.Post, "/fine", denied, "01"));
        Assert.Equal(200, await AskAsync(web, HttpMethod.Get, "/fine", untraced, "00"));
        await Eventually.IsTrueAsync(() => Spans(collector).Count == 6, "a span of each proxy for each request that is traced");

        // The caller's trace, one part after the other, down to the application.
        var spans = Spans(collector);
        foreach (var trace in new[] { fine, broken, denied })
        {
            var (outer, inner) = Both(spans, trace);
            Assert.Equal((Caller, outer.Id), (outer.Parent, inner.Parent));
            Assert.Equal(("web", "orders"), (outer.Service, inner.Service));
            Assert.Equal(3, new[] { Caller, outer.Id, inner.Id }.Distinct().Count());
            Assert.True(began <= outer.Start && outer.Start <= inner.Start && inner.Start <= inner.End && outer.Start <= outer.End && outer.End <= Nanoseconds());
        }

        Assert.Equal($"00-{fine}-{Both(spans, fine).Inner.Id}-01", parents[fine]);
        Assert.Equal($"00-{broken}-{Both(spans, broken).Inner.Id}-01", parents[broken]);
        Assert.EndsWith("-00", parents[untraced], StringComparison.Ordinal);
        Assert.Equal(3, parents.Count);

        // What each of them says of a request that went well, and of two that did not.
        var (caller, server) = Both(spans, fine);
        Assert.Equal(("SPAN_KIND_CLIENT", "GET", null, null), (caller.Kind, caller.Name, caller.Status, caller.Message));
        Assert.Equal(("SPAN_KIND_SERVER", "GET", null, null), (server.Kind, server.Name, server.Status, server.Message));
        string[] common = ["client.address=127.0.0.1", "http.request.method=GET", "http.response.status_code=200", "server.address=orders:8080", "signet.request.id=*", "signet.verdict=allow", "url.path=/fine"];
        Assert.Equal(
            Sorted([.. common, "signet.destination.principal=spiffe://example.org/ns/default/sa/orders", "signet.destination.service=orders.default.svc.cluster.local", "signet.direction=outbound", "tls.protocol.version=TLSv1.3"]),
            caller.Attributes);
        Assert.Equal(
            Sorted([.. common, "signet.direction=inbound", "signet.source.principal=spiffe://example.org/ns/default/sa/web", "tls.protocol.version=TLSv1.3"]),
            server.Attributes);
        foreach (var span in new[] { Both(spans, broken).Outer, Both(spans, broken).Inner })
        {
            Assert.Equal(("STATUS_CODE_ERROR", null), (span.Status, span.Message));
            Assert.Contains("http.response.status_code=500", span.Attributes);
        }

        var (asked, refused) = Both(spans, denied);
        Assert.Equal((null, "STATUS_CODE_ERROR", "PolicyDenied"), (asked.Status, refused.Status, refused.Message));
        Assert.Contains("http.response.status_code=403", asked.Attributes);
        Assert.Equal(["http.response.status_code=403", "signet.policy=default/no-post", "signet.verdict=deny"], refused.Attributes.Where(attribute => attribute.Contains("status_code", StringComparison.Ordinal) || attribute.StartsWith("signet.policy", StringComparison.Ordinal) || attribute.StartsWith("signet.verdict", StringComparison.Ordinal)));
    }

    /// <summary>Answers by the path, and remembers what it was told of the trace.</summary>
    private static async Task AnswerAsync(Stream stream, ConcurrentDictionary<string, string> parents)
    {
        using var reader = new StreamReader(stream, Encoding.ASCII);
        while (await reader.ReadLineAsync() is { Length: > 0 } start)
        {
            while (await reader.ReadLineAsync() is { Length: > 0 } field)
            {
                if (field.StartsWith("traceparent:", StringComparison.OrdinalIgnoreCase))
                {
                    parents[field.Split('-')[1]] = field["traceparent:".Length..].Trim();
                }
            }

            var status = start.Contains("/broken", StringComparison.Ordinal) ? "500 Broken" : "200 OK";
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        }
    }

    private static async Task<int> AskAsync(Sidecar web, HttpMethod method, string path, string trace, string flags)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(method, new Uri($"http://{web.EndPoint}{path}")) { Headers = { Host = "orders:8080" } };
        request.Headers.Add("traceparent", $"00-{trace}-{Caller}-{flags}");
        using var response = await http.SendAsync(request);
        return (int)response.StatusCode;
    }

    private static string Trace(int number) => $"4bf92f3577b34da6a3ce929d0e0e47{number:x2}";

    private static string[] Sorted(string[] attributes) => [.. attributes.Order(StringComparer.Ordinal)];

    private static decimal Nanoseconds() => (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100m;

    private static (Span Outer, Span Inner) Both(IReadOnlyList<Span> spans, string trace)
    {
        var both = spans.Where(span => span.Trace == trace).ToList();
        return (both.Single(span => span.Kind == "SPAN_KIND_CLIENT"), both.Single(span => span.Kind == "SPAN_KIND_SERVER"));
    }

    /// <summary>What the collector has read so far.</summary>
    private static List<Span> Spans(DemoProcess collector)
    {
        var spans = new List<Span>();
        foreach (var line in Sidecars.LogOf(collector).Split('\n')[..^1])
        {
            var request = JsonDocument.Parse(line).RootElement;
            Assert.Equal(("POST /v1/traces application/x-protobuf", true, null), (request.GetProperty("line").GetString(), request.GetProperty("isWhole").GetBoolean(), request.GetProperty("problem").GetString()));
            foreach (var resource in request.GetProperty("resourceSpans").EnumerateArray())
            {
                var service = Assert.Single(Attributes(resource.GetProperty("resource")));
                foreach (var scope in resource.GetProperty("scopeSpans").EnumerateArray())
                {
                    Assert.Equal("signet.proxy", scope.GetProperty("scope").GetProperty("name").GetString());
                    spans.AddRange(scope.GetProperty("spans").EnumerateArray().Select(span => new Span(service["service.name=".Length..], span)));
                }
            }
        }

        return spans;
    }

    /// <summary>As <c>key=value</c>, sorted.</summary>
    private static string[] Attributes(JsonElement of) => Sorted([.. of.GetProperty("attributes").EnumerateArray().Select(attribute =>
    {
        var (key, value) = (attribute.GetProperty("key").GetString(), attribute.GetProperty("value").EnumerateObject().Single());
        Assert.Equal(key!.EndsWith("status_code", StringComparison.Ordinal) ? "intValue" : "stringValue", value.Name);
        return $"{key}={(key == "signet.request.id" && value.Value.GetString() is { Length: > 0 } ? "*" : value.Value.GetString())}";
    })]);

    private sealed record Span(string Service, string Trace, string Id, string Parent, string Name, string Kind, decimal Start, decimal End, string? Status, string? Message, IReadOnlyList<string> Attributes)
    {
        public Span(string service, JsonElement span)
            : this(
                service, Hex(span, "traceId"), Hex(span, "spanId"), Hex(span, "parentSpanId"), span.GetProperty("name").GetString()!, span.GetProperty("kind").GetString()!,
                Time(span, "startTimeUnixNano"), Time(span, "endTimeUnixNano"), Of(span, "code"), Of(span, "message"), TracesTests.Attributes(span)) =>
            Assert.Equal(1, span.GetProperty("flags").GetInt32());

        private static string Hex(JsonElement span, string name) => Convert.ToHexStringLower(span.GetProperty(name).GetBytesFromBase64());

        private static decimal Time(JsonElement span, string name) => decimal.Parse(span.GetProperty(name).GetString()!, CultureInfo.InvariantCulture);

        private static string? Of(JsonElement span, string name) => span.TryGetProperty("status", out var status) && status.TryGetProperty(name, out var value) ? value.GetString() : null;
    }
}
