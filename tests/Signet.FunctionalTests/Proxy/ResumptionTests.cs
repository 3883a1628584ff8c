using Signet.Identity.X509;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>Resumption saves work and nothing else: never beyond what let the peer in the first time, and the decision is made again.</summary>
public sealed class ResumptionTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;

    private const string NoWeb = ProxyWorld.Strict + """
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: no-web, namespace: default}
        spec:
          action: DENY
          rules: [{from: [{source: {principals: ["example.org/ns/default/sa/web"]}}]}]
        """;

    [Theory]
    [InlineData(OpenSslClient.Tls13)]
    [InlineData(OpenSslClient.Tls12)]
    public async Task Takes_up_the_session_of_a_peers_earlier_connection_and_says_so(int version)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        var svid = world.Authority.Svid("/ns/default/sa/web");
        using var session = await FirstAsync(world, svid, version);

        using (var second = await OpenSslClient.ConnectAsync(world.Inbound, svid, version, session: session))
        {
            Assert.Equal("again", await second.EchoAsync("again"));
            Assert.True(second.IsResumed);
        }

        var full = await world.LoggedAsync(line => !IsResumed(line), "the first connection");
        var resumed = await world.LoggedAsync(IsResumed, "the second connection");
        Assert.Equal("example.org/ns/default/sa/web", resumed.GetProperty("source").GetProperty("principal").GetString());
        Assert.Equal(svid.Leaf.SerialHex, resumed.GetProperty("source").GetProperty("serial").GetString());
        Assert.Equal(full.GetProperty("tls").GetProperty("version").GetString(), resumed.GetProperty("tls").GetProperty("version").GetString());
        var metrics = await world.Admin.GetStringAsync(new Uri($"http://{world.Proxy.AdminEndPoint}/metrics"));
        Assert.Matches("""signet_proxy_handshakes_total\{[^}]*kind="full"[^}]*\} [1-9]""", metrics);
        Assert.Matches("""signet_proxy_handshakes_total\{[^}]*kind="resumed"[^}]*\} [1-9]""", metrics);
    }

    [Fact]
    public async Task Two_proxies_resume_between_each_other()
    {
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp, change: config => config with { Tls = new() { Tunnel = false } });
        for (var i = 0; i < 3; i++)
        {
            await using var client = await Wire.PlainAsync(web.Outbound);
            await client.SendAsync("hello");
            await client.ReadUntilAsync("hello");
            await client.EndAsync();
            await client.ReadToEndAsync();
        }

        await Eventually.IsTrueAsync(() => web.Log().Count == 3 && orders.Log().Count == 3, "three connections are logged");
        Assert.Equal(2, web.Log().Count(IsResumed));
        Assert.Equal(2, orders.Log().Count(IsResumed));
        Assert.All(orders.Log(), line => Assert.Equal("example.org/ns/default/sa/web", line.GetProperty("source").GetProperty("principal").GetString()));
        Assert.All(web.Log(), line => Assert.Equal("example.org/ns/default/sa/orders", line.GetProperty("destination").GetProperty("principal").GetString()));
    }

    [Fact]
    public async Task Does_not_when_it_is_switched_off()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, change: config => config with { Tls = new TlsConfig { Resumption = false } });
        await FullAgainAsync(world, world);
    }

    [Theory]
    [InlineData(OpenSslClient.Tls13)]
    [InlineData(OpenSslClient.Tls12)]
    public async Task Does_not_on_a_port_where_it_is_switched_off_not_even_a_session_of_another_port(int version)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp,
            change: config => config with { Inbound = [config.Inbound[0], config.Inbound[0] with { Name = "off", Resumption = false }] });
        var svid = world.Authority.Svid("/ns/default/sa/web");
        using var session = await FirstAsync(world, svid, version);
        var off = world.Proxy.Listening["off"];
        OpenSslSession? own = null;
        for (var i = 0; i < 3; i++)
        {
            using var client = await OpenSslClient.ConnectAsync(off, svid, version, session: i == 0 ? session : own);
            Assert.Equal("again", await client.EchoAsync("again"));
            Assert.False(client.IsResumed);
            own ??= client.Session();
        }

        own?.Dispose();
        await Eventually.IsTrueAsync(() => world.Log().Count == 4, "four lines");
        Assert.DoesNotContain(world.Log(), IsResumed);
    }

    [Theory]
    [InlineData(OpenSslClient.Tls13, "spiffe://example.org/ns/default/sa/web")]
    [InlineData(OpenSslClient.Tls12, "spiffe://example.org/ns/default/sa/web")]
    [InlineData(OpenSslClient.Tls12, "spiffe://example.org/ns/*")]
    public async Task Does_not_for_a_peer_who_never_may_while_others_do(int version, string never)
    {
        Assert.True(PeerPattern.TryParse(never, out var pattern, out _));
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, change: config => config with { Tls = new TlsConfig { NeverResumed = [pattern] } });
        await FullAgainAsync(world, world, version);

        var other = world.Authority.Svid("/other/web");
        using var session = await FirstAsync(world, other, version);
        using var second = await OpenSslClient.ConnectAsync(world.Inbound, other, version, session: session);
        Assert.Equal("again", await second.EchoAsync("again"));
        Assert.True(second.IsResumed);
    }

    [Theory]
    [InlineData(OpenSslClient.Tls13)]
    [InlineData(OpenSslClient.Tls12)]
    public async Task Does_not_after_the_own_identity_was_rotated(int version)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await FullAgainAsync(world, world, version, () => world.Identity.Publish(world.Authority.Context("/ns/default/sa/orders")));
    }

    [Fact]
    public async Task Does_not_after_the_bundles_changed_and_judges_the_peer_anew()
    {
        var own = new TestAuthority(Now);
        var other = new TestAuthority(Now, "elsewhere.example");
        await using var app = App.Echo();
        var orders = own.Svid("/ns/default/sa/orders");
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, authority: own, identity: own.Context(orders, other));
        var svid = other.Svid("/ns/default/sa/web");
        using var session = await FirstAsync(world, svid);

        world.Identity.Publish(own.Context(orders));

        using var second = await OpenSslClient.ConnectAsync(world.Inbound, svid, session: session);
        Assert.Equal("", await second.EchoAsync("again"));
        Assert.False(second.IsResumed);
        await world.RefusedAsync(RefusalReason.PeerTrustDomainUnknown);
    }

    [Theory]
    [InlineData(OpenSslClient.Tls13)]
    [InlineData(OpenSslClient.Tls12)]
    public async Task Never_lets_a_peer_in_after_its_certificate_has_expired(int version)
    {
        var time = new ManualTimeProvider(Now);
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, time: time, change: config => config with { Timeouts = new ProxyTimeouts { TcpIdle = TimeSpan.FromDays(1) } });
        var svid = world.Authority.Svid("/ns/default/sa/web", Now.AddHours(-1), Now.AddMinutes(20));
        using var session = await FirstAsync(world, svid, version);

        time.Jump(Now.AddMinutes(21));

        using (var second = await OpenSslClient.ConnectAsync(world.Inbound, svid, version, session: session))
        {
            Assert.Equal("", await second.EchoAsync("again"));
        }

        await world.RefusedAsync(RefusalReason.PeerCertificateExpired);
        Assert.Equal(1, app.Count);
    }

    [Theory]
    [InlineData(OpenSslClient.Tls13, false)]
    [InlineData(OpenSslClient.Tls13, true)]
    [InlineData(OpenSslClient.Tls12, false)]
    public async Task A_peer_that_has_renewed_its_certificate_is_not_held_to_the_one_of_an_old_session(int version, bool isNewEachTime)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        var ends = DateTimeOffset.UtcNow.AddSeconds(5);
        using var session = await FirstAsync(world, world.Authority.Svid("/ns/default/sa/web", Now.AddHours(-1), ends), version);
        var renewed = world.Authority.Svid("/ns/default/sa/web");
        var sessions = new Stack<OpenSslSession>([session]);

        await Eventually.IsTrueAsync(
            async () =>
            {
                using var client = await OpenSslClient.ConnectAsync(world.Inbound, renewed, version, session: sessions.Peek());
                Assert.Equal("again", await client.EchoAsync("again"));
                if (client.IsResumed && isNewEachTime)
                {
                    sessions.Push(client.Session());
                }

                return !client.IsResumed;
            },
            "the old session is not taken any more");
        Assert.Equal(isNewEachTime, sessions.Count > 1);
        foreach (var later in sessions)
        {
            later.Dispose();
        }
    }

    [Fact]
    public async Task Decides_again_by_the_policy_of_now()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        var svid = world.Authority.Svid("/ns/default/sa/web");
        using var session = await FirstAsync(world, svid);

        world.SetPolicy(NoWeb);

        await Eventually.IsTrueAsync(
            async () =>
            {
                using var client = await OpenSslClient.ConnectAsync(world.Inbound, svid, session: session);
                return await client.EchoAsync("again") == "" && world.Log().Any(line => ProxyWorld.Flag(line) == nameof(RefusalReason.PolicyDenied));
            },
            "the new policy holds");
        var denied = await world.RefusedAsync(RefusalReason.PolicyDenied);
        Assert.True(IsResumed(denied));
        Assert.Equal("default/no-web", denied.GetProperty("policy").GetString());
    }

    [Fact]
    public async Task Does_not_between_two_servers()
    {
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var other = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, authority: orders.Authority, identity: orders.Authority.Context("/ns/default/sa/payments"));
        await FullAgainAsync(orders, other);
    }

    [Theory]
    [InlineData(OpenSslClient.Tls13)]
    [InlineData(OpenSslClient.Tls12)]
    public async Task Nobody_takes_up_a_session_of_another_key(int version)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        using var session = await FirstAsync(world, world.Authority.Svid("/ns/default/sa/web"), version);

        // The number of the session was seen by everybody on the path; its key was not. Only a changed record shows the difference.
        await using var meddler = Meddler.Records(world.Inbound, (toServer, number, record) =>
        {
            if (toServer && number == 0)
            {
                record[^1] ^= 1;
            }

            return Task.FromResult<byte[]?>(record);
        });
        using var second = await OpenSslClient.ConnectAsync(meddler.EndPoint, null, version, session: session);
        Assert.Equal("", await second.EchoAsync("again"));
        Assert.Equal(1, app.Count);
    }

    [Fact]
    public async Task Takes_no_early_data()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        var svid = world.Authority.Svid("/ns/default/sa/web");
        using var session = await FirstAsync(world, svid);
        OpenSslClient.AllowEarlyData(session);

        using var second = await OpenSslClient.ConnectAsync(world.Inbound, svid, session: session, earlyData: "early");

        Assert.False(second.WasEarlyDataTaken);
        Assert.Equal(second.IsConnected ? "late" : "", await second.EchoAsync("late"));
    }

    private static bool IsResumed(System.Text.Json.JsonElement line) => line.GetProperty("tls").GetProperty("resumed").GetBoolean();

    private static async Task<OpenSslSession> FirstAsync(ProxyWorld world, X509Svid svid, int? version = null)
    {
        using var first = await OpenSslClient.ConnectAsync(world.Inbound, svid, version);
        Assert.Equal("hello", await first.EchoAsync("hello"));
        Assert.False(first.IsResumed);
        return first.Session();
    }

    /// <summary>After the change, the session leads to a full handshake, and that to the same service as ever.</summary>
    private static async Task FullAgainAsync(ProxyWorld first, ProxyWorld then, int? version = null, Action? change = null)
    {
        var svid = first.Authority.Svid("/ns/default/sa/web");
        using var session = await FirstAsync(first, svid, version);
        change?.Invoke();
        using var second = await OpenSslClient.ConnectAsync(then.Inbound, svid, version, session: session);
        Assert.Equal("again", await second.EchoAsync("again"));
        Assert.False(second.IsResumed);
    }
}
