using System.Net.Sockets;
using System.Text.Json;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

public sealed class TunnelTests
{
    private const string DenyWeb = """
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: no-web, namespace: default}
        spec:
          action: DENY
          rules: [{from: [{source: {principals: ["example.org/ns/default/sa/web"]}}]}]
        """;

    private const string DenyAdmin = """
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: no-admin, namespace: default}
        spec:
          action: DENY
          rules: [{to: [{operation: {paths: [/admin]}}]}]
        """;

    [Fact]
    public async Task Many_connections_share_a_session_and_each_has_its_own_line()
    {
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        var clients = new List<Wire>();
        for (var i = 0; i < 40; i++)
        {
            clients.Add(await EchoedAsync(await Wire.PlainAsync(web.Outbound), $"client {i}"));
        }

        Assert.Equal(40, app.Count);
        Assert.True(Tunnels(orders) <= Environment.ProcessorCount, $"{Tunnels(orders)} sessions for {Environment.ProcessorCount} loops");
        foreach (var client in clients)
        {
            await client.EndAsync();
            Assert.Equal("", await client.ReadToEndAsync());
            await client.DisposeAsync();
        }

        await Eventually.IsTrueAsync(() => Lines(orders).Count == 40 && Lines(web).Count == 40, "every connection is logged on both sides");
        Assert.All(Lines(orders), line => Assert.Equal("example.org/ns/default/sa/web", line.GetProperty("source").GetProperty("principal").GetString()));
        Assert.All(Lines(web), line => Assert.Equal("example.org/ns/default/sa/orders", line.GetProperty("destination").GetProperty("principal").GetString()));
        Assert.All(Lines(orders), line => Assert.Equal("signet-tunnel", line.GetProperty("tls").GetProperty("alpn").GetString()));
    }

    [Fact]
    public async Task A_new_policy_ends_the_connections_in_a_tunnel_and_refuses_the_next()
    {
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        await using var client = await EchoedAsync(await Wire.PlainAsync(web.Outbound), "before");

        orders.SetPolicy(DenyWeb);

        Assert.Equal("", await client.ReadToEndAsync());
        Assert.Contains("default/no-web", (await orders.RefusedAsync(RefusalReason.PolicyChanged)).GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Equal("", await RefusedAsync(web));
        Assert.Equal("default/no-web", (await orders.RefusedAsync(RefusalReason.PolicyDenied)).GetProperty("policy").GetString());
        Assert.Contains("policy does not allow", (await web.RefusedAsync(RefusalReason.UpstreamClosed)).GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Equal(1, app.Count);
    }

    [Theory]
    [InlineData(AppProtocol.Http)]
    [InlineData(AppProtocol.Auto)]
    public async Task Requests_of_http_share_a_session_and_are_judged_one_by_one(AppProtocol protocol)
    {
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict + "---\n" + DenyAdmin, protocol);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority);
        await using var one = await Wire.PlainAsync(web.Outbound);
        await using var two = await Wire.PlainAsync(web.Outbound);
        foreach (var wire in new[] { one, two, one, two })
        {
            Assert.Equal(200, (await wire.AskAsync("GET /open HTTP/1.1\r\nHost: orders.default.svc.cluster.local\r\n\r\n")).Status);
            Assert.Equal(403, (await wire.AskAsync("GET /admin HTTP/1.1\r\nHost: orders.default.svc.cluster.local\r\n\r\n")).Status);
        }

        await Eventually.IsTrueAsync(() => Lines(orders, "http").Count == 8, "every request is logged");
        Assert.All(Lines(orders, "http"), line => Assert.Equal("signet-tunnel", line.GetProperty("tls").GetProperty("alpn").GetString()));
        Assert.Equal(4, Lines(orders, "http").Count(line => line.TryGetProperty("policy", out var policy) && policy.GetString() == "default/no-admin"));
        Assert.True(Tunnels(orders) <= Environment.ProcessorCount, $"{Tunnels(orders)} sessions for {Environment.ProcessorCount} loops");
    }

    [Fact]
    public async Task A_peer_without_tunnels_gets_a_connection_each()
    {
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, change: config => config with { Tls = new() { Tunnel = false } });
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        await using var one = await EchoedAsync(await Wire.PlainAsync(web.Outbound), "one");
        await using var two = await EchoedAsync(await Wire.PlainAsync(web.Outbound), "two");

        Assert.Equal(0, Tunnels(orders));
        Assert.Equal(2, orders.Proxy.Connections.Count);
    }

    [Fact]
    public async Task A_new_identity_gets_a_new_tunnel_and_the_connections_in_the_old_one_live_on()
    {
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        await using var old = await EchoedAsync(await Wire.PlainAsync(web.Outbound), "old");

        web.Identity.Publish(orders.Authority.Context("/ns/default/sa/web"));
        await using var young = await EchoedAsync(await Wire.PlainAsync(web.Outbound), "young");

        await EchoedAsync(old, "still here");
        Assert.Equal(2, Tunnels(orders));
        await old.EndAsync();
        await old.ReadToEndAsync();
        await Eventually.IsTrueAsync(() => Tunnels(orders) == 1, "the old tunnel ends with its last connection");
    }

    [Fact]
    public async Task A_tunnel_takes_no_more_connections_when_a_certificate_is_about_to_expire_and_those_in_it_go_on_until_it_has()
    {
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        var authority = new TestAuthority(time.GetUtcNow());
        var end = time.GetUtcNow().AddMinutes(20);
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, authority, authority.Context(authority.Svid("/ns/default/sa/orders", end.AddHours(-1), end)), time: time);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        await using var old = await EchoedAsync(await Wire.PlainAsync(web.Outbound), "old");
        orders.Identity.Publish(authority.Context("/ns/default/sa/orders"));

        time.Jump(end.AddSeconds(-4));
        time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.IsTrueAsync(() => orders.Proxy.Connections.All.Any(live => live is { Protocol: "tunnel", IsEnding: true }), "the tunnel is about to end");
        await EchoedAsync(old, "still here");
        var young = new List<Wire>();
        await Eventually.IsTrueAsync(
            async () =>
            {
                young.Add(await EchoedAsync(await Wire.PlainAsync(web.Outbound), "young"));
                return Tunnels(orders) == 2;
            },
            "another tunnel");

        time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal("", await old.ReadToEndAsync());
        await orders.RefusedAsync(RefusalReason.OwnSvidExpired);
        await EchoedAsync(young[^1], "lives on");
        foreach (var wire in young)
        {
            await wire.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_proxy_that_stops_lets_the_connections_in_a_tunnel_end()
    {
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        await using var client = await EchoedAsync(await Wire.PlainAsync(web.Outbound), "before");

        var stopping = orders.Proxy.StopAsync(TestContext.Current.CancellationToken);
        await EchoedAsync(client, "while it drains");
        Assert.False(stopping.IsCompleted);
        await client.EndAsync();
        Assert.Equal("", await client.ReadToEndAsync());
        await stopping;
    }

    /// <summary>What a refused client hears; the reset may be there before its own side has noticed that it is connected.</summary>
    private static async Task<string> RefusedAsync(ProxyWorld web)
    {
        try
        {
            await using var client = await Wire.PlainAsync(web.Outbound);
            return await client.ReadToEndAsync();
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            return "";
        }
    }

    private static async Task<Wire> EchoedAsync(Wire wire, string text)
    {
        await wire.SendAsync(text);
        Assert.Equal(text, await wire.ReadUntilAsync(text));
        return wire;
    }

    private static int Tunnels(ProxyWorld world) => world.Proxy.Connections.All.Count(live => live.Protocol == "tunnel");

    private static IReadOnlyList<JsonElement> Lines(ProxyWorld world, string protocol = "tcp") => [.. world.Log().Where(line => line.GetProperty("protocol").GetString() == protocol)];
}
