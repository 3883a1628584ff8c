using System.Net.Security;
using System.Security.Cryptography;
using System.Text;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

public sealed class TcpTests
{
    private const string OnlyWeb = ProxyWorld.Strict + """
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: only-web, namespace: default}
        spec:
          rules: [{from: [{source: {principals: ["example.org/ns/default/sa/web"]}}]}]
        """;

    [Fact]
    public async Task Passes_on_the_end_of_one_direction_while_the_other_goes_on()
    {
        await using var app = App.Serving(async (stream, _) =>
        {
            using var all = new MemoryStream();
            await stream.CopyToAsync(all);
            await stream.WriteAsync(Encoding.Latin1.GetBytes(Convert.ToHexString(SHA256.HashData(all.ToArray()))));
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        await using var client = await Wire.PlainAsync(web.Outbound);
        var bytes = RandomNumberGenerator.GetBytes(3_000_000);

        await client.Stream.WriteAsync(bytes);
        await client.EndAsync();

        Assert.Equal(Convert.ToHexString(SHA256.HashData(bytes)), await client.ReadToEndAsync());
        var line = await orders.LoggedAsync(line => line.GetProperty("protocol").GetString() == "tcp", "the connection");
        Assert.Equal((3_000_000, 64), (line.GetProperty("bytes").GetProperty("in").GetInt32(), line.GetProperty("bytes").GetProperty("out").GetInt32()));
        Assert.Empty(app.Broken);
    }

    [Fact]
    public async Task Lets_the_server_end_first()
    {
        await using var app = App.Serving(async (stream, app) =>
        {
            await stream.WriteAsync("bye"u8.ToArray());
            stream.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
            using var reader = new StreamReader(stream);
            app.Heads.Enqueue(await reader.ReadToEndAsync());
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        await using var client = await Wire.PlainAsync(web.Outbound);

        Assert.Equal("bye", await client.ReadToEndAsync());
        await client.SendAsync("and a last word");
        await client.EndAsync();

        await Eventually.IsTrueAsync(() => app.Heads.Contains("and a last word"), "the last word arrives");
    }

    [Fact]
    public async Task Waits_shortly_for_a_client_that_waits_for_the_server_and_then_lets_the_server_speak()
    {
        await using var app = App.Serving(async (stream, _) =>
        {
            await stream.WriteAsync("220 ready\r\n"u8.ToArray());
            await stream.CopyToAsync(stream);
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Auto);
        await using var client = await Wire.PlainAsync(world.Inbound);

        await client.ReadUntilAsync("220 ready\r\n");
        await client.SendAsync("EHLO x\r\n");
        await client.ReadUntilAsync("EHLO x\r\n");
    }

    [Fact]
    public async Task Lets_the_applications_own_TLS_through_untouched_under_PERMISSIVE()
    {
        var theirs = new TestAuthority(DateTimeOffset.UtcNow, "app.example").Svid("/app");
        await using var app = App.Serving(async (stream, _) =>
        {
            await using var tls = new SslStream(stream);
            await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificateContext = new Signet.Client.Tls.TlsCredential(theirs).Context });
            await tls.CopyToAsync(tls);
        });
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Permissive, AppProtocol.Auto, change: config => config with { Timeouts = config.Timeouts with { ServerFirst = TimeSpan.FromSeconds(20) } });
        await using var client = await Wire.TlsAsync(world.Inbound, null, sni: "app.example");

        await client.SendAsync("hello\n");
        await client.ReadUntilAsync("hello\n");
        Assert.Equal(theirs.Leaf.SerialHex, client.Tls.RemoteCertificate!.GetSerialNumberString().ToLowerInvariant());
        await client.EndAsync();
        await client.ReadToEndAsync();
        var line = await world.LoggedAsync(line => line.GetProperty("protocol").GetString() == "tcp", "the connection");
        Assert.Equal("app.example", line.GetProperty("tls").GetProperty("sni").GetString());
        Assert.False(line.GetProperty("tls").GetProperty("mutual").GetBoolean());
        Assert.Contains("application's", line.GetProperty("reason").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Terminates_nothing_under_DISABLE()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Disable, AppProtocol.Tcp);
        await using var client = await Wire.PlainAsync(world.Inbound);

        await client.SendAsync("\x16\x03\x01 not TLS");
        await client.ReadUntilAsync("\x16\x03\x01 not TLS");
    }

    [Fact]
    public async Task Denies_a_connection_by_policy_before_the_application_sees_it()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, OnlyWeb, AppProtocol.Tcp);
        await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/other"), ["istio"]);

        Assert.Equal("", await client.ReadToEndAsync());
        var line = await world.RefusedAsync(RefusalReason.PolicyDenied);
        Assert.Equal(("deny", "default"), (line.GetProperty("verdict").GetString(), line.GetProperty("stage").GetString()));
        Assert.Equal(0, app.Count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Breaks_the_other_side_when_one_side_breaks(bool tunnel)
    {
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp, change: config => config with { Tls = new() { Tunnel = tunnel } });
        var client = await Wire.PlainAsync(web.Outbound);
        await client.SendAsync("hello");
        await client.ReadUntilAsync("hello");

        client.Reset();

        await Eventually.IsTrueAsync(() => app.Broken.Count == 1, "the application sees a broken connection");
        await Eventually.IsTrueAsync(() => orders.Proxy.Connections.Count + web.Proxy.Connections.Count == (tunnel ? 1 : 0), "nothing is left but the tunnel itself");
    }

    [Fact]
    public async Task Breaks_the_applications_side_when_a_peer_ends_without_saying_so_in_TLS()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), ["istio"]);
        await client.SendAsync("half a mess");
        await client.ReadUntilAsync("half a mess");

        await client.DisposeAsync();

        Assert.Contains("close_notify", (await world.LoggedAsync(line => line.GetProperty("protocol").GetString() == "tcp", "the connection")).GetProperty("reason").GetString(), StringComparison.Ordinal);
        await Eventually.IsTrueAsync(() => app.Broken.Count == 1, "the application sees a broken connection");
    }

    [Fact]
    [Proves(RefusalReason.IdleTimeout)]
    public async Task Closes_a_connection_on_which_nothing_moves()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Permissive, AppProtocol.Tcp, change: config => config with { Timeouts = new ProxyTimeouts { TcpIdle = TimeSpan.FromMilliseconds(100) } });
        await using var client = await Wire.PlainAsync(world.Inbound);
        await client.SendAsync("x");

        Assert.Equal("x", await client.ReadToEndAsync());
        Assert.Equal("allow", (await world.RefusedAsync(RefusalReason.IdleTimeout)).GetProperty("verdict").GetString());
    }

    [Fact]
    public async Task Beyond_the_limit_connections_wait_and_are_served_when_one_has_ended()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Tcp, change: config => config with { Limits = new ProxyLimits { Connections = 2 } });
        await using var first = await Wire.PlainAsync(world.Inbound);
        await using var second = await Wire.PlainAsync(world.Inbound);
        foreach (var wire in new[] { first, second })
        {
            await wire.SendAsync("hello");
            await wire.ReadUntilAsync("hello");
        }

        await using var third = await Wire.PlainAsync(world.Inbound);
        await third.SendAsync("patient");
        await first.SendAsync("still here");
        await first.ReadUntilAsync("still here");
        Assert.Equal((2, 2), (world.Proxy.Connections.Count, app.Count));

        await first.EndAsync();
        await first.ReadToEndAsync();
        Assert.Equal("patient", await third.ReadUntilAsync("patient"));
    }

    [Fact]
    public async Task Reads_no_faster_than_the_other_side_takes()
    {
        var go = new TaskCompletionSource();
        await using var app = App.Serving(async (stream, _) =>
        {
            await go.Task;
            await stream.CopyToAsync(Stream.Null);
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        await using var client = await Wire.PlainAsync(web.Outbound);
        var block = new byte[1_000_000];
        var sending = Task.Run(async () =>
        {
            for (var i = 0; i < 200; i++)
            {
                await client.Stream.WriteAsync(block);
            }
        });

        long last = -1;
        await Eventually.IsTrueAsync(
            async () =>
            {
                await Task.Delay(200);
                var now = web.Proxy.Connections.All.Sum(live => live.Received);
                var isStill = now == last;
                last = now;
                return isStill && now > 0;
            },
            "the flow stops");
        Assert.False(sending.IsCompleted);
        Assert.True(last < 100_000_000, $"{last} bytes are under way");
        go.SetResult();
        await sending.WaitAsync(TimeSpan.FromSeconds(60));
    }
}
