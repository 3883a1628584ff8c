using Signet.Client;
using Signet.Identity.X509;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

public sealed class LiveTests
{
    private const string Get = "GET /a HTTP/1.1\r\nHost: orders\r\n\r\n";
    private static readonly TimeSpan Span = TimeSpan.FromMinutes(20);

    private const string DenyWeb = ProxyWorld.Permissive + """
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: no-web, namespace: default}
        spec:
          action: DENY
          rules: [{from: [{source: {principals: ["example.org/ns/default/sa/web"]}}]}]
        """;

    [Fact]
    [Proves(RefusalReason.PolicyChanged)]
    public async Task Closes_exactly_the_connections_that_a_new_policy_forbids()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Tcp);
        await using var web = await EchoedAsync(await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), ["istio"]));
        await using var other = await EchoedAsync(await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/other"), ["istio"]));
        await using var plain = await EchoedAsync(await Wire.PlainAsync(world.Inbound));

        world.SetPolicy(DenyWeb);
        Assert.Equal("", await web.ReadToEndAsync());
        Assert.Contains("default/no-web", (await world.RefusedAsync(RefusalReason.PolicyChanged)).GetProperty("reason").GetString(), StringComparison.Ordinal);
        await EchoedAsync(other);
        await EchoedAsync(plain);

        world.SetPolicy(ProxyWorld.Strict);
        Assert.Equal("", await plain.ReadToEndAsync());
        await EchoedAsync(other);
    }

    [Fact]
    public async Task Closes_an_upgraded_connection_that_a_new_policy_forbids()
    {
        await using var app = App.Serving(async (stream, _) =>
        {
            await new App.ByteReader(stream).HeadAsync();
            await stream.WriteAsync("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"u8.ToArray());
            await stream.CopyToAsync(stream);
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        await web.SendAsync("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
        await web.ReadUntilAsync("\r\n\r\n");
        await EchoedAsync(web);

        world.SetPolicy(DenyWeb);

        Assert.Equal("", await web.ReadToEndAsync());
        await world.RefusedAsync(RefusalReason.PolicyChanged);
    }

    [Fact]
    public async Task Decides_anew_about_each_request_of_a_connection()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        Assert.Equal(200, (await web.AskAsync(Get)).Status);

        world.SetPolicy(DenyWeb);
        await Eventually.IsTrueAsync(async () => (await web.AskAsync(Get)).Status == 403, "the same connection is denied");
        world.SetPolicy(ProxyWorld.Permissive);
        await Eventually.IsTrueAsync(async () => (await web.AskAsync(Get)).Status == 200, "and allowed again");
    }

    [Theory]
    [InlineData(AppProtocol.Tcp)]
    [InlineData(AppProtocol.Http)]
    [Proves(RefusalReason.PeerNoLongerTrusted)]
    public async Task Closes_connections_of_peers_whose_authority_left_the_bundle(AppProtocol protocol)
    {
        await using var app = protocol == AppProtocol.Http ? App.Http() : App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, protocol);
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        await (protocol == AppProtocol.Http ? web.AskAsync(Get) : (Task)EchoedAsync(web));
        var next = new TestAuthority(DateTimeOffset.UtcNow);

        world.Identity.Publish(new X509Context([world.Authority.Svid("/ns/default/sa/orders")], TrustBundles.Of(next.Bundle)));

        Assert.Equal("", await web.ReadToEndAsync());
        await world.RefusedAsync(RefusalReason.PeerNoLongerTrusted);
    }

    [Theory]
    [InlineData(AppProtocol.Tcp)]
    [InlineData(AppProtocol.Http)]
    [Proves(RefusalReason.PeerExpired)]
    public async Task Closes_a_connection_when_the_peers_certificate_expires(AppProtocol protocol)
    {
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        await using var app = protocol == AppProtocol.Http ? App.Http() : App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, protocol, time: time);
        var end = time.GetUtcNow() + Span;
        await using var web = await UsedAsync(await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web", end.AddHours(-1), end)), protocol);
        await using var other = await UsedAsync(await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/other")), protocol);

        time.Jump(end.AddSeconds(-30));
        await UsedAsync(web, protocol);
        time.Jump(end);
        time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal("", await web.ReadToEndAsync());
        await world.RefusedAsync(RefusalReason.PeerExpired);
        await UsedAsync(other, protocol);
    }

    [Theory]
    [InlineData(AppProtocol.Tcp)]
    [InlineData(AppProtocol.Http)]
    public async Task Closes_a_connection_when_the_own_certificate_that_it_began_with_expires(AppProtocol protocol)
    {
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        var authority = new TestAuthority(time.GetUtcNow());
        var end = time.GetUtcNow() + Span;
        await using var app = protocol == AppProtocol.Http ? App.Http() : App.Echo();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict, protocol, authority, authority.Context(authority.Svid("/ns/default/sa/orders", end.AddHours(-1), end)), time: time);
        await using var old = await UsedAsync(await Wire.TlsAsync(world.Inbound, authority.Svid("/ns/default/sa/web")), protocol);
        world.Identity.Publish(authority.Context("/ns/default/sa/orders"));
        await using var young = await UsedAsync(await Wire.TlsAsync(world.Inbound, authority.Svid("/ns/default/sa/web")), protocol);

        time.Jump(end);
        time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal("", await old.ReadToEndAsync());
        Assert.Contains("of that session expired", (await world.RefusedAsync(RefusalReason.OwnSvidExpired)).GetProperty("reason").GetString(), StringComparison.Ordinal);
        await UsedAsync(young, protocol);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Closes_a_connection_to_a_service_when_the_own_certificate_that_it_began_with_expires(bool tunnel)
    {
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        var end = time.GetUtcNow() + Span;
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync(
            [orders.Inbound], orders.Authority, AppProtocol.Tcp, identity: orders.Authority.Context(orders.Authority.Svid("/ns/default/sa/web", end.AddHours(-1), end)), time: time,
            change: config => config with { Tls = new TlsConfig { Tunnel = tunnel } });
        await using var old = await EchoedAsync(await Wire.PlainAsync(web.Outbound));
        web.Identity.Publish(orders.Authority.Context("/ns/default/sa/web"));
        await using var young = await EchoedAsync(await Wire.PlainAsync(web.Outbound));

        time.Jump(end);
        time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal("", await old.ReadToEndAsync());
        await web.RefusedAsync(RefusalReason.OwnSvidExpired);
        await EchoedAsync(young);
    }

    [Fact]
    public async Task Lets_what_is_under_way_finish_and_takes_nothing_new_when_a_certificate_is_about_to_expire()
    {
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        var go = new TaskCompletionSource();
        await using var app = App.Http((head, _) =>
        {
            if (head.StartsWith("GET /slow", StringComparison.Ordinal))
            {
                go.Task.Wait(TimeSpan.FromSeconds(30));
            }

            return App.Ok("done");
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, time: time);
        var end = time.GetUtcNow() + Span;
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web", end.AddHours(-1), end));
        Assert.DoesNotContain("connection: close", (await web.AskAsync(Get)).Head, StringComparison.Ordinal);
        await web.SendAsync("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
        await Eventually.IsTrueAsync(() => app.Heads.Count == 2, "the slow request is under way");

        time.Jump(end.AddSeconds(-4));
        time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.IsTrueAsync(() => world.Proxy.Connections.All.Any(live => live.IsEnding), "it is about to end");
        go.SetResult();

        var (status, head, _) = await web.ReadResponseAsync();
        Assert.Equal(200, status);
        Assert.Contains("connection: close", head, StringComparison.Ordinal);
        Assert.Equal("", await web.ReadToEndAsync());
        Assert.All(world.Log(), line => Assert.Equal("allow", line.GetProperty("verdict").GetString()));
    }

    [Fact]
    public async Task Closes_exactly_the_connections_of_those_who_were_revoked()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var sidecar = await ProxyWorld.OutboundAsync([world.Inbound], world.Authority, AppProtocol.Tcp);
        var revoked = world.Authority.Svid("/ns/default/sa/web");
        await using var web = await EchoedAsync(await Wire.TlsAsync(world.Inbound, revoked, ["istio"]));
        await using var inTunnel = await EchoedAsync(await Wire.PlainAsync(sidecar.Outbound));
        await using var other = await EchoedAsync(await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/other"), ["istio"]));

        world.Identity.Publish(world.Revoking(revoked.Leaf, sidecar.Identity.Current!.Default.Leaf));

        Assert.Equal("", await web.ReadToEndAsync());
        Assert.Equal("", await inTunnel.ReadToEndAsync());
        Assert.Contains("was revoked", (await world.RefusedAsync(RefusalReason.PeerNoLongerTrusted)).GetProperty("reason").GetString(), StringComparison.Ordinal);
        await EchoedAsync(other);
    }

    [Fact]
    [Proves(RefusalReason.Draining)]
    public async Task Drains_lets_what_is_under_way_finish_and_closes_the_rest_at_the_deadline()
    {
        var go = new TaskCompletionSource();
        await using var app = App.Http((head, _) =>
        {
            if (head.StartsWith("GET /slow", StringComparison.Ordinal))
            {
                go.Task.Wait(TimeSpan.FromSeconds(30));
            }

            return App.Ok("done");
        });
        await using var tcp = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, change: config => config with
        {
            Inbound = [.. config.Inbound, new InboundConfig("tcp", new(System.Net.IPAddress.Loopback, 0), 9000, AppProtocol.Tcp, tcp.EndPoint)],
        });
        await using var idle = await Wire.PlainAsync(world.Inbound);
        Assert.Equal(200, (await idle.AskAsync(Get)).Status);
        await using var slow = await Wire.PlainAsync(world.Inbound);
        await slow.SendAsync("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
        await using var stream = await EchoedAsync(await Wire.PlainAsync(world.Proxy.Listening["tcp"]));
        await Eventually.IsTrueAsync(() => app.Heads.Count == 2, "the slow request is under way");
        var inbound = world.Inbound;

        Assert.Equal(System.Net.HttpStatusCode.Accepted, (await world.Admin.PostAsync(new Uri($"http://{world.Proxy.AdminEndPoint}/drain"), null)).StatusCode);

        Assert.Equal("", await idle.ReadToEndAsync());
        await Assert.ThrowsAsync<System.Net.Sockets.SocketException>(async () => await Wire.PlainAsync(inbound));
        Assert.Contains("draining", (await world.AdminAsync("/ready")).ToString(), StringComparison.Ordinal);
        go.SetResult();
        var (status, head, _) = await slow.ReadResponseAsync();
        Assert.Equal(200, status);
        Assert.Contains("connection: close", head, StringComparison.Ordinal);
        await EchoedAsync(stream);

        await world.Proxy.StopAsync(new CancellationToken(canceled: true));
        Assert.Equal("", await stream.ReadToEndAsync());
        await world.RefusedAsync(RefusalReason.Draining);
        Assert.Equal(0, world.Proxy.Connections.Count);
    }

    [Fact]
    public async Task Keeps_the_last_policy_when_the_folder_is_gone_and_denies_what_a_broken_file_covers()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);
        Assert.Equal(200, (await client.AskAsync(Get)).Status);

        world.SetPolicy("kind: [broken");
        await Eventually.IsTrueAsync(async () => (await client.AskAsync(Get)).Status == 403, "an unreadable policy denies");
        await Eventually.IsTrueAsync(async () => (await world.AdminAsync("/ready")).ToString().Contains("policy.yaml", StringComparison.Ordinal), "/ready names the file");

        world.SetPolicy(ProxyWorld.Permissive);
        await Eventually.IsTrueAsync(async () => (await client.AskAsync(Get)).Status == 200, "a repaired one allows");

        world.RemovePolicyFolder();
        await Eventually.IsTrueAsync(async () => (await world.AdminAsync("/ready")).ToString().Contains("cannot be read", StringComparison.Ordinal), "/ready says that the folder is gone");
        Assert.Equal(200, (await client.AskAsync(Get)).Status);
    }

    [Fact]
    public async Task Survives_garbage_and_half_open_connections_on_every_port()
    {
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Auto, change: config => config with
        {
            Timeouts = new ProxyTimeouts { Detection = TimeSpan.FromMilliseconds(200), Handshake = TimeSpan.FromMilliseconds(200), RequestHead = TimeSpan.FromMilliseconds(200) },
        });
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority);
        var random = new Random(7);
        var half = new List<Wire>();
        for (var i = 0; i < 60; i++)
        {
            foreach (var port in new[] { orders.Inbound, web.Outbound, orders.Proxy.AdminEndPoint })
            {
                var client = await Wire.PlainAsync(port);
                half.Add(client);
                var bytes = new byte[random.Next(0, 600)];
                random.NextBytes(bytes);
                if (bytes.Length > 3 && i % 3 == 0)
                {
                    (bytes[0], bytes[1], bytes[2]) = (22, 3, 1);
                }

                await Record.ExceptionAsync(async () => await client.Stream.WriteAsync(bytes));
                if (i % 4 == 0)
                {
                    client.Reset();
                }
            }
        }

        // A handshake may take longer than 200 ms on a machine that has other things to do.
        await Eventually.IsTrueAsync(
            async () =>
            {
                await using var good = await Wire.PlainAsync(web.Outbound);
                return (await good.AskAsync(Get)).Status == 200;
            },
            "a good request is answered");
        foreach (var client in half)
        {
            await client.DisposeAsync();
        }

        await Eventually.IsTrueAsync(() => web.Proxy.Connections.Count == 0, "nothing is left outbound");
    }

    [Fact]
    public void Every_refusal_reason_has_a_functional_test()
    {
        var proven = typeof(LiveTests).Assembly.GetTypes().SelectMany(type => type.GetMethods())
            .SelectMany(method => method.GetCustomAttributes(typeof(ProvesAttribute), false).Cast<ProvesAttribute>())
            .Select(proof => proof.Reason);

        Assert.Empty(Enum.GetValues<RefusalReason>().Except(proven));
    }

    private static async Task<Wire> UsedAsync(Wire wire, AppProtocol protocol)
    {
        if (protocol == AppProtocol.Http)
        {
            Assert.Equal(200, (await wire.AskAsync(Get)).Status);
            return wire;
        }

        return await EchoedAsync(wire);
    }

    private static async Task<Wire> EchoedAsync(Wire wire)
    {
        await wire.SendAsync("hello");
        await wire.ReadUntilAsync("hello");
        return wire;
    }
}
