using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Proxy.Handover;
using Signet.Proxy.Handover.Wire;
using Signet.Proxy.Listeners;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>
/// One proxy takes the place of another: what each does, and that whatever goes wrong leaves the old one serving. Both are in this process, where
/// a world can hand over once; processes that follow each other again and again, under load, are in the tests with real processes.
/// </summary>
public sealed class HotRestartTests
{
    private const string Get = "GET /a HTTP/1.1\r\nHost: orders\r\n\r\n";

    [Fact]
    public async Task A_new_proxy_takes_the_place_of_the_old_one_at_every_port()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app, config => config with { Ready = new IPEndPoint(IPAddress.Loopback, 0) });
        var (inbound, admin, ready) = (world.Inbound, world.Proxy.AdminEndPoint, world.Proxy.ReadyEndPoint);

        var (before, drained) = await world.SucceedAsync();
        await drained.WaitAsync(TimeSpan.FromSeconds(30));

        Assert.NotSame(before, world.Proxy);
        Assert.Equal((inbound, admin, ready), (world.Inbound, world.Proxy.AdminEndPoint, world.Proxy.ReadyEndPoint));
        await AskAsync(world);
        Assert.Equal(HttpStatusCode.OK, (await world.Admin.GetAsync(new Uri($"http://{admin}/ready"))).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await world.Admin.GetAsync(new Uri($"http://{ready}/ready"))).StatusCode);
        Assert.Contains("signet_proxy_handovers_total{result=\"taken\"} 1", await world.Admin.GetStringAsync(new Uri($"http://{admin}/metrics")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(AppProtocol.Tcp)]
    [InlineData(AppProtocol.Http)]
    public async Task A_connection_lives_on_in_the_old_proxy_until_it_ends(AppProtocol protocol)
    {
        await using var app = App.Serving(async (stream, _) =>
        {
            if (protocol == AppProtocol.Http)
            {
                await new App.ByteReader(stream).HeadAsync();
                await stream.WriteAsync("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"u8.ToArray());
            }

            await stream.CopyToAsync(stream);
        });
        await using var world = await StartAsync(app, protocol: protocol);
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), ["istio"]);
        if (protocol == AppProtocol.Http)
        {
            await web.SendAsync("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
            await web.ReadUntilAsync("\r\n\r\n");
        }

        await EchoedAsync(web);
        var (before, drained) = await world.SucceedAsync();
        await EchoedAsync(web);
        Assert.False(drained.IsCompleted);
        Assert.Equal((1, 0), (before.Connections.Count, world.Proxy.Connections.Count));

        await web.DisposeAsync();
        await drained.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task A_connection_in_a_tunnel_lives_on_and_the_next_goes_to_the_new_proxy()
    {
        await using var app = App.Echo();
        await using var orders = await StartAsync(app, protocol: AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        await using var first = await EchoedAsync(await Wire.PlainAsync(web.Outbound));

        var (_, drained) = await orders.SucceedAsync();
        await EchoedAsync(first);
        await Eventually.IsTrueAsync(
            async () =>
            {
                await using var next = await EchoedAsync(await Wire.PlainAsync(web.Outbound));
                return orders.Proxy.Connections.Count > 0;
            },
            "connections go to the new proxy");

        await EchoedAsync(first);
        await first.DisposeAsync();
        await drained.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task A_connection_that_waits_for_its_request_is_answered_by_the_old_proxy_and_then_ends()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app);
        await using var used = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        await using var fresh = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        Assert.Equal(200, (await used.AskAsync(Get)).Status);

        var (_, drained) = await world.SucceedAsync();

        foreach (var wire in new[] { used, fresh })
        {
            await Eventually.IsTrueAsync(
                async () =>
                {
                    var (status, head, _) = await wire.AskAsync(Get);
                    Assert.Equal(200, status);
                    return head.Contains("connection: close", StringComparison.OrdinalIgnoreCase);
                },
                "an answer says that it is the last");
            Assert.Equal("", await wire.ReadToEndAsync());
        }

        await drained.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task A_connection_that_waits_for_its_request_ends_at_once_when_nobody_follows()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app);
        await using var used = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        Assert.Equal(200, (await used.AskAsync(Get)).Status);

        await world.Proxy.StopAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));

        Assert.Equal("", await used.ReadToEndAsync());
        Assert.False(File.Exists(world.HandoverPath), "its socket is gone");
    }

    [Fact]
    public async Task A_port_that_is_no_longer_configured_closes_and_a_new_one_opens()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app);
        var old = world.Inbound;

        var (_, drained) = await world.SucceedAsync(config => config with { Inbound = [config.Inbound[0] with { Listen = new IPEndPoint(IPAddress.Loopback, 0) }] });
        await drained.WaitAsync(TimeSpan.FromSeconds(30));

        await AskAsync(world);
        await Assert.ThrowsAsync<SocketException>(() => Wire.PlainAsync(old));
    }

    [Fact]
    public async Task A_new_proxy_that_does_not_become_ready_leaves_the_old_one_serving()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app);
        var late = world.Next(config => config with { Timeouts = config.Timeouts with { Handover = TimeSpan.FromMilliseconds(100) } }, identity: new TestIdentity());

        var problem = await Assert.ThrowsAsync<HandoverException>(() => late.StartAsync(CancellationToken.None));

        Assert.Contains("was not ready within 100ms", problem.Message, StringComparison.Ordinal);
        await late.DisposeAsync();
        await AskAsync(world);
        await (await world.SucceedAsync()).Drained.WaitAsync(TimeSpan.FromSeconds(30));
        await AskAsync(world);
    }

    [Fact]
    public async Task An_old_proxy_that_waited_long_enough_says_so_and_goes_on()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app, config => config with { Timeouts = config.Timeouts with { Handover = TimeSpan.FromMilliseconds(100) } });
        var late = world.Next(config => config with { Timeouts = new ProxyTimeouts() }, identity: new TestIdentity());

        var problem = await Assert.ThrowsAsync<HandoverException>(() => late.StartAsync(CancellationToken.None));

        Assert.Contains("did not become ready within 100ms", problem.Message, StringComparison.Ordinal);
        await AskAsync(world);
    }

    [Fact]
    public async Task A_new_proxy_that_cannot_have_its_places_leaves_the_old_one_serving()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app);
        var broken = world.Next(config => config with { Inbound = [config.Inbound[0], config.Inbound[0] with { Name = "inbound-1", Listen = app.EndPoint }] });

        await Assert.ThrowsAsync<Signet.Hosting.Daemons.CannotListenException>(() => broken.StartAsync(CancellationToken.None));

        await broken.DisposeAsync();
        await AskAsync(world);
        await (await world.SucceedAsync()).Drained.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task Of_two_new_proxies_one_wins_and_the_other_is_told_why()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app);
        var identity = new TestIdentity();
        var first = world.Next(identity: identity);
        var starting = first.StartAsync(CancellationToken.None);
        await Eventually.IsTrueAsync(() => world.Events.Contains("SuccessorComes"), "the first is on its way");

        var problem = await Assert.ThrowsAsync<HandoverException>(() => world.Next().StartAsync(CancellationToken.None));
        Assert.Contains($"process {Environment.ProcessId} is already taking over", problem.Message, StringComparison.Ordinal);

        identity.Publish(world.Identity.Current);
        await starting.WaitAsync(TimeSpan.FromSeconds(30));
        await world.Proxy.Succeeded!.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task A_successor_that_dies_after_it_was_given_way_leaves_the_old_one_serving()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app);
        using (var channel = await ConnectAsync(world))
        {
            channel.Send(new HandoverFrame.Hello(HandoverFrame.Version));
            var (frame, sockets) = await channel.ReceiveAsync(CancellationToken.None);
            Assert.IsType<HandoverFrame.Offer>(frame);
            Assert.NotEmpty(sockets);
            channel.Send(new HandoverFrame.TakeOver());
            Assert.IsType<HandoverFrame.Yours>((await channel.ReceiveAsync(CancellationToken.None)).Frame);

            // Whoever connects now waits for whoever accepts next.
            var waiting = AskAsync(world);
            foreach (var socket in sockets)
            {
                socket.Dispose();
            }

            channel.Dispose();
            await waiting;
        }

        await AskAsync(world);
        await (await world.SucceedAsync()).Drained.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task A_predecessor_that_dies_leaves_its_sockets_and_whoever_waits_there()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app);
        var path = world.HandoverPath + ".dying";
        using var dying = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        dying.Bind(new UnixDomainSocketEndPoint(path));
        dying.Listen();
        using var listening = new ListeningSockets();
        var place = listening.Open(new IPEndPoint(IPAddress.Loopback, 0), "test", isTransparent: false);
        var endPoint = (IPEndPoint)place.Place;
        var next = world.Next(config => config with
        {
            Handover = path,
            Admin = new IPEndPoint(IPAddress.Loopback, 0),
            Inbound = [config.Inbound[0] with { Listen = endPoint }],
        });

        var starting = next.StartAsync(CancellationToken.None);
        using (var channel = new HandoverChannel(await dying.AcceptAsync()))
        {
            Assert.Equal(new HandoverFrame.Hello(HandoverFrame.Version), (await channel.ReceiveAsync(CancellationToken.None)).Frame);
            channel.Send(new HandoverFrame.Offer(IsLast: true, 4711), [place]);
            dying.Dispose();
            listening.Dispose();
        }

        await using var waiting = await Wire.TlsAsync(endPoint, world.Authority.Svid("/ns/default/sa/web"));
        await starting.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(200, (await waiting.AskAsync(Get)).Status);
        Assert.Contains("PredecessorGone", world.Events);
    }

    [Fact]
    public async Task A_socket_that_a_dead_proxy_left_is_in_nobodys_way()
    {
        await using var app = App.Http();
        using (var folder = new TestFolder())
        {
            var path = folder.File("stale.sock");
            using (var beside = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
            {
                beside.Bind(new UnixDomainSocketEndPoint(path + "2"));
                beside.Listen();
                File.Move(path + "2", path);
            }

            Assert.True(File.Exists(path));
            await using var world = await StartAsync(app, config => config with { Handover = path });
            await AskAsync(world);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            await (await world.SucceedAsync()).Drained.WaitAsync(TimeSpan.FromSeconds(30));
            Assert.True(File.Exists(path), "the path leads to the new proxy");
        }
    }

    [Fact]
    public async Task Something_else_at_the_path_stops_the_start_and_stays()
    {
        await using var app = App.Http();
        using var folder = new TestFolder();
        File.WriteAllText(folder.File("precious"), "data");

        var problem = await Assert.ThrowsAnyAsync<IOException>(() => StartAsync(app, config => config with { Handover = folder.File("precious") }));

        Assert.Contains("precious", problem.Message, StringComparison.Ordinal);
        Assert.Equal("data", File.ReadAllText(folder.File("precious")));
    }

    [Fact]
    public async Task A_successor_of_another_version_is_told_which_one_is_spoken()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app);
        using var channel = await ConnectAsync(world);

        channel.Send(new HandoverFrame.Hello(2));

        var refusal = Assert.IsType<HandoverFrame.Refusal>((await channel.ReceiveAsync(CancellationToken.None)).Frame);
        Assert.Contains("version 1", refusal.Reason, StringComparison.Ordinal);
        await AskAsync(world);
    }

    [Fact]
    public async Task Whatever_is_said_at_the_socket_disturbs_neither_traffic_nor_a_later_handover()
    {
        await using var app = App.Http();
        await using var world = await StartAsync(app);
        var descriptors = Directory.GetFileSystemEntries("/proc/self/fd").Length;
        var random = new Random(20);
        for (var i = 0; i < 100; i++)
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(world.HandoverPath));
            var hello = new HandoverFrame.Hello(HandoverFrame.Version).Write();
            var garbage = RandomNumberGenerator.GetBytes(random.Next(0, 700));
            byte[] said = random.Next(3) switch { 0 => garbage, 1 => [.. hello, .. garbage], _ => [.. hello, .. new HandoverFrame.Serving().Write()] };
            await socket.SendAsync(said);
            if (random.Next(2) == 0)
            {
                // With descriptors that nobody asked for.
                using var channel = new HandoverChannel(socket);
                using var sockets = new ListeningSockets();
                try
                {
                    channel.Send(new HandoverFrame.TakeOver(), [sockets.Open(new IPEndPoint(IPAddress.Loopback, 0), "test", isTransparent: false)]);
                }
                catch (HandoverException)
                {
                    // Already refused.
                }
            }
        }

        await AskAsync(world);
        await Eventually.IsTrueAsync(() => Directory.GetFileSystemEntries("/proc/self/fd").Length <= descriptors + 50, "what came is closed");
        await (await world.SucceedAsync()).Drained.WaitAsync(TimeSpan.FromSeconds(30));
        await AskAsync(world);
    }

    private static Task<ProxyWorld> StartAsync(App app, Func<ProxyConfig, ProxyConfig>? change = null, AppProtocol protocol = AppProtocol.Http) =>
        ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, protocol, change: config => (change ?? (c => c))(WithHandover(config)));

    private static ProxyConfig WithHandover(ProxyConfig config) => config with { Handover = Path.GetDirectoryName(config.PolicyFolder) + "/handover.sock" };

    private static async Task AskAsync(ProxyWorld world)
    {
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        var (status, _, body) = await web.AskAsync(Get);
        Assert.Equal((200, "hello"), (status, body));
    }

    private static async Task<Wire> EchoedAsync(Wire wire)
    {
        await wire.SendAsync("ping");
        Assert.Equal("ping", await wire.ReadUntilAsync("ping"));
        return wire;
    }

    private static async Task<HandoverChannel> ConnectAsync(ProxyWorld world)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(world.HandoverPath));
        return new HandoverChannel(socket);
    }
}
