using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>Peers that are slow, that leave at the worst moment, or that mean harm; the others must not notice.</summary>
public sealed class HostileTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(OpenSslClient.Tls13)]
    [InlineData(OpenSslClient.Tls12)]
    public async Task Takes_a_handshake_and_its_records_one_byte_at_a_time(int version)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var meddler = Meddler.ByteByByte(world.Inbound);
        using var client = await OpenSslClient.ConnectAsync(meddler.EndPoint, world.Authority.Svid("/ns/default/sa/web"), version);
        var text = new string('x', 3_000);

        Assert.Equal(text, await client.EchoAsync(text));
    }

    [Fact]
    public async Task Speaks_with_a_server_whose_bytes_come_one_at_a_time()
    {
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var meddler = Meddler.ByteByByte(orders.Inbound);
        await using var web = await ProxyWorld.OutboundAsync([meddler.EndPoint], orders.Authority, AppProtocol.Tcp);
        for (var i = 0; i < 2; i++)
        {
            await using var client = await Wire.PlainAsync(web.Outbound);
            await client.SendAsync(new string('x', 2_000));
            await client.EndAsync();
            Assert.Equal(new string('x', 2_000), await client.ReadToEndAsync());
        }
    }

    [Fact]
    public async Task Holds_little_of_a_download_whose_reader_stands_still()
    {
        const int size = 100_000_000;
        var block = RandomNumberGenerator.GetBytes(1_000_000);
        await using var app = App.Serving(async (stream, _) =>
        {
            await stream.ReadExactlyAsync(new byte["go".Length]);
            for (var sent = 0; sent < size; sent += block.Length)
            {
                await stream.WriteAsync(block);
            }
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        await using var client = await Wire.PlainAsync(web.Outbound);
        await client.SendAsync("go");

        var before = GC.GetTotalMemory(forceFullCollection: true);
        await StandsStillAsync(() => orders.Proxy.Connections.All.Sum(live => live.Sent));

        // What the kernel holds in its sockets is its own business; the proxies hold a buffer or two.
        Assert.InRange(orders.Proxy.Connections.All.Sum(live => live.Sent), 1, size / 2);
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 20_000_000);

        var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var expected = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[256 * 1024];
        long total = 0;
        while (await client.Stream.ReadAsync(buffer).AsTask().WaitAsync(Deadline) is > 0 and var read)
        {
            hash.AppendData(buffer, 0, read);
            total += read;
        }

        for (var i = 0; i < size / block.Length; i++)
        {
            expected.AppendData(block);
        }

        Assert.Equal(size, total);
        Assert.Equal(expected.GetHashAndReset(), hash.GetHashAndReset());
    }

    [Fact]
    public async Task Forgets_a_peer_that_resets_at_any_stage_and_serves_the_next()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        var svid = world.Authority.Svid("/ns/default/sa/web");

        // Before a byte, and within the ClientHello.
        foreach (var start in new[] { "", "\x16", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" })
        {
            var wire = await Wire.PlainAsync(world.Inbound);
            await wire.SendAsync(start);
            wire.Reset();
        }

        // After each record of the handshake, in either direction.
        for (var stop = 0; stop < 6; stop++)
        {
            var at = stop;
            await using var meddler = Meddler.Records(world.Inbound, (toServer, number, record) =>
                toServer == at % 2 < 1 && number == at / 2 ? Task.FromException<byte[]?>(new IOException("enough")) : Task.FromResult<byte[]?>(record));
            using var client = await OpenSslClient.ConnectAsync(meddler.EndPoint, svid);
            await client.EchoAsync("hello");
        }

        // In the middle of the stream.
        var inStream = await Wire.TlsAsync(world.Inbound, svid, ["istio"]);
        await inStream.SendAsync("hello");
        await inStream.ReadUntilAsync("hello");
        inStream.Reset();

        await Eventually.IsTrueAsync(() => world.Proxy.Connections.Count == 0, "every connection is over");
        using var next = await OpenSslClient.ConnectAsync(world.Inbound, svid);
        Assert.Equal("hello", await next.EchoAsync("hello"));
    }

    [Fact]
    public async Task Forgets_an_application_that_leaves_while_its_service_is_being_dialled()
    {
        using var silent = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        silent.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        silent.Listen(0);
        using var filler = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await filler.ConnectAsync(silent.LocalEndPoint!);
        await using var web = await ProxyWorld.OutboundAsync(
            [silent.LocalEndPoint!], new TestAuthority(DateTimeOffset.UtcNow), AppProtocol.Tcp,
            change: config => config with { Timeouts = new ProxyTimeouts { Connect = TimeSpan.FromSeconds(1) } });
        var wire = await Wire.PlainAsync(web.Outbound);
        await wire.SendAsync("hello");
        await Eventually.IsTrueAsync(() => web.Proxy.Connections.Count == 1, "the connection is there");

        wire.Reset();

        await web.RefusedAsync(RefusalReason.UpstreamConnectTimeout);
        await Eventually.IsTrueAsync(() => web.Proxy.Connections.Count == 0, "the connection is over");
    }

    [Fact]
    public async Task An_end_without_close_notify_is_no_end_toward_the_application_on_the_other_side_either()
    {
        await using var app = App.Serving(async (stream, _) =>
        {
            await stream.WriteAsync("half an answ"u8.ToArray());
            await stream.ReadExactlyAsync(new byte[1]);
            await stream.WriteAsync("er"u8.ToArray());
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);

        // The path cuts the answer short with a plain FIN, behind a whole record.
        var mustCut = false;
        await using var meddler = Meddler.Records(orders.Inbound, (toServer, _, record) => Task.FromResult<byte[]?>(!toServer && Volatile.Read(ref mustCut) ? null : record));
        await using var web = await ProxyWorld.OutboundAsync([meddler.EndPoint], orders.Authority, AppProtocol.Tcp);
        await using var client = await Wire.PlainAsync(web.Outbound);
        await client.ReadUntilAsync("half an answ");
        Volatile.Write(ref mustCut, true);
        await client.SendAsync("x");

        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (await client.Stream.ReadAsync(new byte[16]).AsTask().WaitAsync(Deadline) > 0)
            {
            }

            throw new InvalidOperationException("a clean end");
        });
    }

    [Fact]
    public async Task Ends_a_peer_that_keeps_asking_for_new_keys_and_sends_nothing()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        var svid = world.Authority.Svid("/ns/default/sa/web");
        using var flood = await OpenSslClient.ConnectAsync(world.Inbound, svid, OpenSslClient.Tls13);
        Assert.Equal("hello", await flood.EchoAsync("hello"));

        const int many = 200_000;
        Assert.NotEqual(many, await flood.UpdateKeysAsync(many));

        var line = await world.LoggedAsync(line => line.GetProperty("protocol").GetString() == "tcp", "the connection");
        Assert.Contains("without payload", line.GetProperty("reason").GetString(), StringComparison.Ordinal);
        using var next = await OpenSslClient.ConnectAsync(world.Inbound, svid);
        Assert.Equal("hello", await next.EchoAsync("hello"));
    }

    [Fact]
    public async Task Goes_on_through_new_keys_between_payload_in_both_directions()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        using var client = await OpenSslClient.ConnectAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), OpenSslClient.Tls13);
        for (var i = 0; i < 200; i++)
        {
            Assert.Equal(5, await client.UpdateKeysAsync(5));
            Assert.Equal($"hello {i}", await client.EchoAsync($"hello {i}"));
        }
    }

    [Fact]
    public async Task Handshakes_that_stand_still_do_not_keep_the_workload_from_calling_others()
    {
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp, change: config => config with
        {
            Inbound = [new InboundConfig("inbound-8080", new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0), 8080, AppProtocol.Tcp, app.EndPoint)],
            Limits = new ProxyLimits { Handshakes = 2 },
            Timeouts = new ProxyTimeouts { Handshake = TimeSpan.FromMinutes(2) },
        });
        web.SetPolicy(ProxyWorld.Strict);
        var silent = new TaskCompletionSource<byte[]?>();
        var answered = 0;
        await using var meddler = Meddler.Records(web.Inbound, (toServer, number, record) =>
        {
            answered += !toServer && number == 0 ? 1 : 0;
            return toServer && number > 0 ? silent.Task : Task.FromResult<byte[]?>(record);
        });
        var stuck = Enumerable.Range(0, 2).Select(_ => OpenSslClient.ConnectAsync(meddler.EndPoint, orders.Authority.Svid("/ns/default/sa/other"))).ToList();
        await Eventually.IsTrueAsync(() => answered == 2, "two handshakes stand still");

        await using var client = await Wire.PlainAsync(web.Outbound);
        await client.SendAsync("hello");
        await client.ReadUntilAsync("hello");
        silent.SetException(new IOException("enough"));
        foreach (var one in stuck)
        {
            (await one).Dispose();
        }
    }

    [Fact]
    public async Task Peers_that_begin_a_handshake_and_fall_silent_do_not_keep_others_out()
    {
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, time: time, change: config => config with
        {
            Limits = new ProxyLimits { Handshakes = 4 },
            Timeouts = new ProxyTimeouts { Handshake = TimeSpan.FromMinutes(10) },
        });
        var answered = 0;
        var silent = new TaskCompletionSource<byte[]?>();
        await using var meddler = Meddler.Records(world.Inbound, (toServer, number, record) =>
        {
            Interlocked.Add(ref answered, !toServer && number == 0 ? 1 : 0);
            return toServer && number > 0 ? silent.Task : Task.FromResult<byte[]?>(record);
        });
        var stuck = Enumerable.Range(0, 40).Select(_ => OpenSslClient.ConnectAsync(meddler.EndPoint, world.Authority.Svid("/ns/default/sa/other"))).ToList();
        for (var turn = 1; turn <= 10; turn++)
        {
            await Eventually.IsTrueAsync(() => Volatile.Read(ref answered) == 4 * turn, "as many as may have a turn at once have begun");
            Assert.Equal(4 * turn, Volatile.Read(ref answered));
            time.Advance(TimeSpan.FromSeconds(1));
        }

        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), ["istio"]);
        await web.SendAsync("hello");
        Assert.Equal("hello", await web.ReadUntilAsync("hello"));
        silent.SetException(new IOException("enough"));
        foreach (var one in stuck)
        {
            (await one).Dispose();
        }
    }

    [Fact]
    public async Task A_handshake_that_lost_its_turn_still_ends_at_its_deadline()
    {
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, time: time, change: config => config with
        {
            Limits = new ProxyLimits { Handshakes = 1 },
            Timeouts = new ProxyTimeouts { Handshake = TimeSpan.FromSeconds(2) },
        });
        var silent = new TaskCompletionSource<byte[]?>();
        var isAnswered = false;
        await using var meddler = Meddler.Records(world.Inbound, (toServer, number, record) =>
        {
            Volatile.Write(ref isAnswered, isAnswered || !toServer);
            return toServer && number > 0 ? silent.Task : Task.FromResult<byte[]?>(record);
        });

        var connecting = OpenSslClient.ConnectAsync(meddler.EndPoint, world.Authority.Svid("/ns/default/sa/other"));
        await Eventually.IsTrueAsync(() => Volatile.Read(ref isAnswered), "the handshake has begun");
        time.Advance(TimeSpan.FromSeconds(1.5));
        Assert.Equal(1, (await world.AdminAsync("/stats")).GetProperty("handshakeTurnsFree").GetProperty("inbound").GetInt32());
        Assert.Equal(1, world.Proxy.Connections.Count);

        // The peer gets a moment more to take the alert.
        await Eventually.IsTrueAsync(
            () =>
            {
                time.Advance(TimeSpan.FromSeconds(1));
                return world.Log().Any(line => ProxyWorld.Flag(line) == nameof(RefusalReason.HandshakeTimeout));
            },
            "its deadline has passed");
        silent.SetException(new IOException("enough"));
        (await connecting).Dispose();
        Assert.Equal(1, (await world.AdminAsync("/stats")).GetProperty("handshakeTurnsFree").GetProperty("inbound").GetInt32());
    }

    [Fact]
    public async Task Writers_that_send_a_byte_now_and_then_are_served_beside_each_other()
    {
        await using var app = App.Echo();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        await Task.WhenAll(Enumerable.Range(0, 50).Select(async n =>
        {
            await using var client = await Wire.PlainAsync(web.Outbound);
            var text = $"writer {n} says something";
            foreach (var letter in text)
            {
                await client.SendAsync(letter.ToString());
                await Task.Yield();
            }

            await client.EndAsync();
            Assert.Equal(text, await client.ReadToEndAsync());
        })).WaitAsync(Deadline);
    }

    [Fact]
    public async Task Both_directions_may_be_full_at_once()
    {
        // Each side sends before it reads: whoever waited for one direction before serving the other would stand still for ever.
        const int size = 20_000_000;
        await using var app = App.Serving(async (stream, _) =>
        {
            var sending = stream.WriteAsync(new byte[size]).AsTask();
            await sending;
            await stream.ReadExactlyAsync(new byte[size]);
            await stream.WriteAsync("done"u8.ToArray());
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Tcp);
        await using var client = await Wire.PlainAsync(web.Outbound);
        var sending = client.Stream.WriteAsync(new byte[size]).AsTask();
        var received = new byte[size];
        await client.Stream.ReadExactlyAsync(received).AsTask().WaitAsync(Deadline);
        await sending.WaitAsync(Deadline);
        Assert.Equal("done", await client.ReadUntilAsync("done"));
    }

    /// <summary>Waits until a number does not change any more.</summary>
    private static async Task StandsStillAsync(Func<long> number)
    {
        long last = -1;
        await Eventually.IsTrueAsync(
            async () =>
            {
                await Task.Delay(200);
                var now = number();
                var isStill = now == last && now > 0;
                last = now;
                return isStill;
            },
            "the flow stops");
    }
}
