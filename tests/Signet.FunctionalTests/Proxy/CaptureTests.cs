using System.Net;
using System.Net.Sockets;
using Signet.Proxy;
using Signet.Proxy.Capture;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>What becomes of a captured connection, with a test in the kernel's place that says where it was going.</summary>
public sealed class CaptureTests
{
    private const string Get = "GET / HTTP/1.1\r\nHost: orders\r\n\r\n";

    [Fact]
    public async Task A_captured_connection_for_a_listed_port_goes_to_its_application()
    {
        await using var app = App.Http();
        await using var orders = await OrdersAsync(app, ProxyWorld.Strict, IPEndPoint.Parse("10.9.9.9:8080"));
        await using var client = await Wire.TlsAsync(At(orders, "captured-inbound"), Web(orders));

        Assert.Equal(200, (await client.AskAsync(Get)).Status);
        Assert.Contains("URI=spiffe://example.org/ns/default/sa/web", App.Field(app.Heads.Single(), "x-forwarded-client-cert"));
        var destination = (await orders.LoggedAsync(line => line.GetProperty("protocol").GetString() == "http", "the request")).GetProperty("destination");
        Assert.Equal(("10.9.9.9", 8080), (destination.GetProperty("ip").GetString(), destination.GetProperty("port").GetInt32()));
    }

    [Fact]
    public async Task A_port_that_nobody_listed_is_under_the_same_policies()
    {
        await using var app = App.Http();
        await using var orders = await OrdersAsync(app, ProxyWorld.Strict, app.EndPoint);
        await using var client = await Wire.TlsAsync(At(orders, "captured-inbound"), Web(orders), ["istio-http/1.1"]);
        Assert.Equal(200, (await client.AskAsync(Get)).Status);

        await GetNothingAsync(At(orders, "captured-inbound"), Get);
        await orders.RefusedAsync(RefusalReason.PlaintextRefused);

        orders.SetPolicy(ProxyWorld.Strict + $$$"""
            ---
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: not-this-port, namespace: default}
            spec: {action: DENY, rules: [{to: [{operation: {ports: ["{{{app.EndPoint.Port}}}"]}}]}]}
            """);
        await Eventually.IsTrueAsync(
            async () =>
            {
                await using var denied = await Wire.TlsAsync(At(orders, "captured-inbound"), Web(orders), ["istio-http/1.1"]);
                return (await denied.AskAsync(Get)).Status == 403;
            },
            "the policy about the port");
    }

    [Fact]
    [Proves(RefusalReason.NotCaptured)]
    public async Task Who_connects_to_the_capture_ports_directly_is_refused()
    {
        await using var app = App.Http();
        await using var orders = await OrdersAsync(app, ProxyWorld.Permissive, destination: null);
        foreach (var listener in new[] { "captured-inbound", "captured-outbound" })
        {
            await GetNothingAsync(At(orders, listener), Get);
            await orders.LoggedAsync(line => ProxyWorld.Flag(line) == nameof(RefusalReason.NotCaptured) && line.GetProperty("listener").GetString() == listener, listener);
        }

        Assert.Equal(0, app.Count);
    }

    [Fact]
    public async Task What_was_meant_for_the_proxy_itself_would_come_back_for_ever_and_is_refused()
    {
        await using var app = App.Http();
        await using var orders = await OrdersAsync(app, ProxyWorld.Permissive, destination: null);
        orders.Proxy.AskKernel = (_, _) => new IPEndPoint(IPAddress.Parse("10.9.9.9"), orders.Proxy.Listening["captured-inbound"].Port);
        await GetNothingAsync(At(orders, "captured-inbound"), Get);
        Assert.Contains("a port of the proxy itself", (await orders.RefusedAsync(RefusalReason.NotCaptured)).GetProperty("reason").GetString());
    }

    [Theory]
    [InlineData("10.96.0.10:8080")]
    [InlineData("[fd00::10]:8080")]
    public async Task A_captured_call_to_a_services_address_goes_out_by_mutual_TLS(string address)
    {
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var web = await WebAsync(orders, IPEndPoint.Parse(address), [IPEndPoint.Parse(address)]);
        await using var client = await Wire.PlainAsync(At(web, "captured-outbound"));

        Assert.Equal(200, (await client.AskAsync(Get)).Status);
        Assert.Contains("sa/web", App.Field(app.Heads.Single(), "x-forwarded-client-cert"));
    }

    [Fact]
    public async Task A_captured_call_to_an_endpoint_goes_to_that_endpoint_by_mutual_TLS()
    {
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var web = await WebAsync(orders, orders.Inbound, []);
        await using var client = await Wire.PlainAsync(At(web, "captured-outbound"));

        Assert.Equal(200, (await client.AskAsync(Get)).Status);
        Assert.Contains("sa/web", App.Field(app.Heads.Single(), "x-forwarded-client-cert"));
    }

    [Fact]
    [Proves(RefusalReason.DestinationUnknown)]
    public async Task A_captured_call_to_a_place_that_nobody_listed_is_refused()
    {
        await using var elsewhere = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(elsewhere.EndPoint, ProxyWorld.Strict);
        await using var web = await WebAsync(orders, elsewhere.EndPoint, []);
        await GetNothingAsync(At(web, "captured-outbound"), "hello");
        Assert.Contains("capture.unmatched", (await web.RefusedAsync(RefusalReason.DestinationUnknown)).GetProperty("reason").GetString());
        Assert.Equal(0, elsewhere.Count);
    }

    [Fact]
    public async Task Only_when_asked_for_it_passes_through_as_it_is_and_that_is_said()
    {
        await using var elsewhere = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(elsewhere.EndPoint, ProxyWorld.Strict);
        await using var web = await WebAsync(orders, elsewhere.EndPoint, [], passThrough: true);
        await using var client = await Wire.PlainAsync(At(web, "captured-outbound"));
        await client.SendAsync("hello");
        Assert.Equal("hello", await client.ReadUntilAsync("hello"));
        await client.EndAsync();

        var line = await web.LoggedAsync(line => line.GetProperty("reason").GetString() == "passthrough", "the connection");
        Assert.Equal(elsewhere.EndPoint.Port, line.GetProperty("destination").GetProperty("port").GetInt32());
        Assert.Contains("signet_proxy_passthrough_connections_total 1", await web.Admin.GetStringAsync(new Uri($"http://{web.Proxy.AdminEndPoint}/metrics")));
    }

    [Fact]
    public async Task Without_an_identity_nothing_passes_through_either()
    {
        await using var elsewhere = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(elsewhere.EndPoint, ProxyWorld.Strict);
        await using var web = await WebAsync(orders, elsewhere.EndPoint, [], passThrough: true);
        web.Identity.Publish(null);
        await GetNothingAsync(At(web, "captured-outbound"), "hello");
        await web.RefusedAsync(RefusalReason.WaitingForSvid);
        Assert.Equal(0, elsewhere.Count);
    }

    /// <summary>The reset may come while the client still connects or sends.</summary>
    private static async Task GetNothingAsync(IPEndPoint from, string request)
    {
        try
        {
            await using var client = await Wire.PlainAsync(from);
            await client.SendAsync(request);
            Assert.Equal("", await client.ReadToEndAsync());
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            // Reset: nothing was got.
        }
    }

    private static async Task<ProxyWorld> OrdersAsync(App app, string policy, IPEndPoint? destination)
    {
        var world = await ProxyWorld.InboundAsync(app.EndPoint, policy, change: config => config with { Capture = Capture(), Inbound = [config.Inbound[0] with { Listen = null }] });
        world.Proxy.AskKernel = destination is null ? world.Proxy.AskKernel : (_, _) => destination;
        return world;
    }

    private static async Task<ProxyWorld> WebAsync(ProxyWorld orders, IPEndPoint destination, IPEndPoint[] addresses, bool passThrough = false)
    {
        var world = await ProxyWorld.OutboundAsync(
            [orders.Inbound], orders.Authority, change: config => config with { Capture = Capture() with { PassThrough = passThrough }, Outbound = [config.Outbound[0] with { Listen = null, Addresses = addresses }] });
        world.Proxy.AskKernel = (_, _) => destination;
        return world;
    }

    private static CaptureConfig Capture() => new() { Mode = CaptureMode.Redirect, Inbound = new IPEndPoint(IPAddress.Any, 0), Outbound = new IPEndPoint(IPAddress.Loopback, 0) };

    private static IPEndPoint At(ProxyWorld world, string listener) => new(IPAddress.Loopback, world.Proxy.Listening[listener].Port);

    private static Signet.Identity.X509.X509Svid Web(ProxyWorld world) => world.Authority.Svid("/ns/default/sa/web");
}
