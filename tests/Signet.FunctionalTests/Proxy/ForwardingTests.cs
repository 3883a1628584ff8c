using System.Text.Json;
using Signet.Proxy.Config;

namespace Signet.FunctionalTests.Proxy;

/// <summary>What an application learns of who asked it, and what a client of what became of its request.</summary>
public sealed class ForwardingTests
{
    private const string Edge = "By=spiffe://example.org/edge;Hash=00;URI=spiffe://example.org/laptop";

    [Fact]
    public async Task Adds_the_client_behind_what_an_edge_said_when_every_proxy_is_told_to()
    {
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, change: config => config with
        {
            Inbound = [config.Inbound[0] with
            {
                ForwardClientCert = new() { Mode = ForwardClientCertMode.AppendForward, Fields = ClientCertFields.Xfcc | ClientCertFields.Rfc9440 },
                HopFields = new() { XForwardedFor = HopField.Append, Forwarded = HopField.Append, Via = "orders-proxy", JoinsTraces = true },
            }],
        });
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, change: config => config with
        {
            Outbound = [config.Outbound[0] with { ForwardClientCert = new() { Mode = ForwardClientCertMode.AlwaysForwardOnly }, HopFields = new() { Via = "web-proxy" } }],
        });
        await using var client = await Wire.PlainAsync(web.Outbound);

        await client.AskAsync(
            $"GET / HTTP/1.1\r\nHost: orders\r\nX-Forwarded-Client-Cert: {Edge}\r\nX-Forwarded-For: 1.1.1.1\r\nClient-Cert: :AAAA:\r\n"
            + "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n");

        Assert.True(app.Heads.TryDequeue(out var head));
        var xfcc = App.Field(head, "x-forwarded-client-cert");
        Assert.StartsWith($"{Edge},By=spiffe://example.org/ns/default/sa/orders;Hash=", xfcc, StringComparison.Ordinal);
        Assert.EndsWith(";URI=spiffe://example.org/ns/default/sa/web", xfcc, StringComparison.Ordinal);
        Assert.Equal($":{Convert.ToBase64String(web.Identity.Current!.Default.Leaf.Der.Span)}:", App.Field(head, "client-cert"));
        Assert.Equal(("1.1.1.1, 127.0.0.1", "for=127.0.0.1;host=\"orders\";proto=https", "1.1 web-proxy, 1.1 orders-proxy"), (
            App.Field(head, "x-forwarded-for"), App.Field(head, "forwarded"), App.Field(head, "via")));
        Assert.Matches("^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$", App.Field(head, "traceparent"));
        Assert.DoesNotContain("00f067aa0ba902b7", App.Field(head, "traceparent"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ForwardClientCertMode.Sanitize, "")]
    [InlineData(ForwardClientCertMode.ForwardOnly, Edge)]
    [InlineData(ForwardClientCertMode.AlwaysForwardOnly, Edge)]
    public async Task Lets_pass_what_the_mode_of_a_port_lets_pass(ForwardClientCertMode mode, string expected)
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Permissive, change: config => config with { Inbound = [config.Inbound[0] with { ForwardClientCert = new() { Mode = mode, Fields = ClientCertFields.Xfcc | ClientCertFields.Rfc9440 } }] });
        await using var mutual = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), ["istio-http/1.1"]);
        await using var plain = await Wire.PlainAsync(world.Inbound);

        foreach (var client in new[] { mutual, plain })
        {
            await client.AskAsync($"GET / HTTP/1.1\r\nHost: orders\r\nX-Forwarded-Client-Cert: {Edge}\r\nClient-Cert: :AAAA:\r\nClient-Cert-Chain: :AAAA:\r\n\r\n");
        }

        Assert.Equal([expected, mode == ForwardClientCertMode.AlwaysForwardOnly ? Edge : ""], app.Heads.Select(head => App.Field(head, "x-forwarded-client-cert")));
        Assert.All(app.Heads, head => Assert.DoesNotContain("client-cert-chain", head, StringComparison.OrdinalIgnoreCase));
        Assert.All(app.Heads, head => Assert.DoesNotContain("\r\nClient-Cert:", head, StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Lets_policies_judge_the_very_fields_that_go_on()
    {
        const string onlyVia = """
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: no-laptop, namespace: default}
            spec: {action: DENY, rules: [{when: [{key: "request.headers[x-forwarded-client-cert]", values: ["*laptop"]}]}]}
            """;
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict + "---\n" + onlyVia, change: config => config with { Inbound = [config.Inbound[0] with { ForwardClientCert = new() { Mode = ForwardClientCertMode.ForwardOnly } }] });
        await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));

        Assert.Equal(403, (await client.AskAsync($"GET / HTTP/1.1\r\nHost: orders\r\nX-Forwarded-Client-Cert: {Edge}\r\n\r\n")).Status);
        Assert.Equal(200, (await client.AskAsync("GET / HTTP/1.1\r\nHost: orders\r\nX-Forwarded-Client-Cert: URI=spiffe://example.org/other\r\n\r\n")).Status);
    }

    [Theory]
    [InlineData("Client_Cert: :AAAA:")]
    [InlineData("client_cert-chain: :AAAA:")]
    [InlineData("Connection: client-cert")]
    public async Task Refuses_what_could_be_taken_for_a_certificate(string line)
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);

        Assert.Equal(400, (await client.AskAsync($"GET / HTTP/1.1\r\nHost: orders\r\n{line}\r\n\r\n")).Status);
        Assert.Empty(app.Heads);
    }

    [Fact]
    public async Task Answers_a_refusal_in_the_form_that_the_client_reads()
    {
        const string denyAll = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: secret-name, namespace: default}\nspec: {action: DENY, rules: [{}]}\n";
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive + "---\n" + denyAll);
        await using var client = await Wire.PlainAsync(world.Inbound);

        var (status, head, body) = await client.AskAsync("GET / HTTP/1.1\r\nHost: orders\r\nX-Request-ID: one\r\nAccept: application/json\r\n\r\n");
        var problem = JsonDocument.Parse(body).RootElement;
        Assert.Equal((403, "application/problem+json", "denied", "refusals#denied", "one"), (
            status, App.Field(head, "content-type"), problem.GetProperty("code").GetString(), problem.GetProperty("type").GetString(), problem.GetProperty("requestId").GetString()));
        (_, head, body) = await client.AskAsync("GET / HTTP/1.1\r\nHost: orders\r\nX-Request-ID: two\r\nAccept: text/plain\r\n\r\n");
        Assert.Equal("text/plain; charset=utf-8", App.Field(head, "content-type"));
        Assert.Equal("403 Forbidden: The service does not allow this request.\ncode: denied\nrequest: two\n", body);
        Assert.DoesNotContain("secret-name", problem.GetRawText() + head + body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Writes_access_lines_by_a_template_and_only_those_that_are_wanted()
    {
        Assert.True(Signet.Proxy.Telemetry.AccessTemplate.TryParse("%REQ(:PATH)%", out var path, out _) & Signet.Proxy.Telemetry.AccessTemplate.TryParse("%REQ(X-Who)% %RESPONSE_CODE% %RESP(x-shard)% %RESP(content-length)%", out var who, out _));
        await using var app = App.Http((head, _) => head.Contains("/bad", StringComparison.Ordinal) ? "HTTP/1.1 500 No\r\nX-Shard: seven\r\nContent-Length: 0\r\n\r\n" : App.Ok("x"));
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Permissive, change: config => config with { AccessLog = config.AccessLog with { Only = AccessLogFilter.Errors, Json = [new("path", path!), new("who", who!)] } });
        await using var client = await Wire.PlainAsync(world.Inbound);

        await client.AskAsync("GET /good HTTP/1.1\r\nHost: orders\r\nX-Who: a\r\n\r\n");
        await client.AskAsync("GET /bad HTTP/1.1\r\nHost: orders\r\nX-Who: \"b\r\n\r\n");

        var line = await world.LoggedAsync(_ => true, "a line");
        Assert.Equal("""{"path":"/bad","who":"\"b 500 seven 0"}""", line.GetRawText());
    }
}
