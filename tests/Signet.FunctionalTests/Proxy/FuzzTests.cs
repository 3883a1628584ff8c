using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>Bytes that nobody meant to send. Whatever they are: no crash, nobody let in, and the next peer is served.</summary>
public sealed class FuzzTests
{
    private const int Seed = 20261126;

    private static readonly ProxyTimeouts Short = new() { Detection = TimeSpan.FromMilliseconds(500), Handshake = TimeSpan.FromMilliseconds(500), ServerFirst = TimeSpan.FromMilliseconds(100) };

    [Theory]
    [InlineData(AppProtocol.Tcp)]
    [InlineData(AppProtocol.Http)]
    [InlineData(AppProtocol.Auto)]
    public async Task Random_bytes_at_the_door_let_nobody_in(AppProtocol protocol)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, protocol, change: config => config with { Timeouts = Short });
        var random = new Random(Seed);
        var inputs = Enumerable.Range(0, 300).Select(i =>
        {
            var bytes = new byte[random.Next(1, 3_000)];
            random.NextBytes(bytes);
            if (i % 2 == 0)
            {
                // Half of them begin like TLS, so that they get further.
                byte[] header = [22, 3, (byte)random.Next(5), (byte)(bytes.Length >> 8), (byte)bytes.Length, 1, 0];
                header.AsSpan(0, Math.Min(header.Length, bytes.Length)).CopyTo(bytes);
            }

            return bytes;
        }).ToList();

        await SendAllAsync(world.Inbound, inputs);

        await StillServesAsync(world, app, protocol);
    }

    [Fact]
    public async Task Changed_ClientHellos_let_nobody_in()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, change: config => config with { Timeouts = Short });
        var hellos = new[] { await RecordHelloAsync(OpenSslClient.Tls13), await RecordHelloAsync(OpenSslClient.Tls12) };
        var random = new Random(Seed);

        await SendAllAsync(world.Inbound, [.. Enumerable.Range(0, 600).Select(i => Mutate(hellos[i % 2], random))]);

        await StillServesAsync(world, app, AppProtocol.Tcp);
    }

    [Theory]
    [InlineData(OpenSslClient.Tls13, true)]
    [InlineData(OpenSslClient.Tls12, true)]
    [InlineData(OpenSslClient.Tls13, false)]
    [InlineData(OpenSslClient.Tls12, false)]
    public async Task A_changed_bit_anywhere_in_the_handshake_lets_nothing_through(int version, bool towardServer)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, change: config => config with { Timeouts = Short });
        var svid = world.Authority.Svid("/ns/default/sa/web");
        var random = new Random(Seed + version);
        for (var i = 0; i < 100; i++)
        {
            var (at, bit, hasChanged) = (random.Next(6), random.Next(), false);
            await using var meddler = Meddler.Records(world.Inbound, (toServer, number, record) =>
            {
                // The compatibility message "change cipher spec" is not covered by anything.
                if (toServer == towardServer && !hasChanged && number >= at && record[0] != 20)
                {
                    hasChanged = true;
                    record[5 + ((bit >> 3) % (record.Length - 5))] ^= (byte)(1 << (bit & 7));
                }

                return Task.FromResult<byte[]?>(record);
            });
            using var client = await OpenSslClient.ConnectAsync(meddler.EndPoint, svid, version);
            client.Socket.ReceiveTimeout = 3_000;
            var back = await client.EchoAsync("hello");
            Assert.True(!hasChanged || back == "", $"round {i}: record {at}, bit {bit}");
        }

        await StillServesAsync(world, app: null, AppProtocol.Tcp);
    }

    [Fact]
    public async Task Records_cut_joined_swapped_and_repeated_break_the_connection_and_nothing_else()
    {
        await using var app = App.Serving(async (stream, app) =>
        {
            var buffer = new byte[1024];
            while (await stream.ReadAsync(buffer) is > 0 and var read)
            {
                app.Heads.Enqueue(System.Text.Encoding.Latin1.GetString(buffer, 0, read));
                await stream.WriteAsync(buffer.AsMemory(0, read));
            }
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, change: config => config with { Timeouts = Short });
        var svid = world.Authority.Svid("/ns/default/sa/web");
        await Parallel.ForEachAsync(Enumerable.Range(0, 60), new ParallelOptions { MaxDegreeOfParallelism = 12 }, async (i, _) =>
        {
            var random = new Random(Seed + i);
            var (at, kind) = (random.Next(1, 6), i % 4);
            byte[]? held = null;
            await using var meddler = Meddler.Records(world.Inbound, (toServer, number, record) => Task.FromResult<byte[]?>(
                !toServer || number < at || record[0] == 20 ? record
                : kind == 0 ? record[..random.Next(record.Length)]
                : kind == 1 ? [.. record, .. record]
                : kind == 2 && held is null ? Hold(record)
                : kind == 2 ? [.. record, .. held!]
                : [.. record[..5], .. RandomNumberGenerator.GetBytes(record.Length - 5)]));
            using var client = await OpenSslClient.ConnectAsync(meddler.EndPoint, svid, OpenSslClient.Tls13);
            client.Socket.ReceiveTimeout = 1_000;
            await client.WriteAsync("one");
            await client.WriteAsync("two");
            await client.ReadAsync();

            byte[] Hold(byte[] record)
            {
                held = record;
                return [];
            }
        });

        // What did arrive is the beginning of what was sent, never something else.
        Assert.All(app.Heads, text => Assert.Contains(text, new[] { "one", "two", "onetwo" }));
        await StillServesAsync(world, app: null, AppProtocol.Tcp);
    }

    [Fact]
    public async Task A_server_whose_answers_are_changed_gets_nothing_from_the_workload()
    {
        await using var app = App.Serving(async (stream, app) =>
        {
            await stream.ReadExactlyAsync(new byte[1]);
            app.Heads.Enqueue("got a byte");
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        var random = new Random(Seed);
        await using var meddler = Meddler.Records(orders.Inbound, (toServer, number, record) =>
        {
            if (!toServer && number < 2 && record[0] != 20)
            {
                record[random.Next(5, record.Length)] ^= (byte)(1 << random.Next(8));
            }

            return Task.FromResult<byte[]?>(record);
        });
        await using var web = await ProxyWorld.OutboundAsync([meddler.EndPoint], orders.Authority, AppProtocol.Tcp, change: config => config with { Timeouts = Short });
        for (var i = 0; i < 60; i++)
        {
            try
            {
                await using var client = await Wire.PlainAsync(web.Outbound);
                await client.SendAsync("secret");
                Assert.Equal("", await client.ReadToEndAsync());
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                // It was refused before that.
            }
        }

        Assert.Empty(app.Heads);
    }

    private static byte[] Mutate(byte[] original, Random random)
    {
        var bytes = original.ToArray();
        for (var changes = random.Next(1, 8); changes > 0; changes--)
        {
            var at = random.Next(bytes.Length);
            switch (random.Next(4))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2:
                    bytes = [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + random.Next(20))..]];
                    break;
                default:
                    bytes = [.. bytes[..at], .. RandomNumberGenerator.GetBytes(random.Next(20)), .. bytes[at..]];
                    break;
            }

            if (bytes.Length == 0)
            {
                return [22];
            }
        }

        return bytes;
    }

    private static async Task<byte[]> RecordHelloAsync(int version)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var connecting = OpenSslClient.ConnectAsync((IPEndPoint)listener.LocalEndPoint!, null, version, ["istio"]);
        using var accepted = await listener.AcceptAsync();
        var buffer = new byte[4096];
        var length = await accepted.ReceiveAsync(buffer);
        accepted.Dispose();
        (await connecting).Dispose();
        return buffer[..length];
    }

    private static async Task SendAllAsync(IPEndPoint to, List<byte[]> inputs) =>
        await Parallel.ForEachAsync(inputs, new ParallelOptions { MaxDegreeOfParallelism = 32 }, async (bytes, _) =>
        {
            try
            {
                await using var wire = await Wire.PlainAsync(to);
                await wire.Stream.WriteAsync(bytes, CancellationToken.None);
                await wire.ReadToEndAsync();
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                // Refused in the middle of it, or, where this side was slow, before it began.
            }
        });

    private static async Task StillServesAsync(ProxyWorld world, App? app, AppProtocol protocol)
    {
        if (app is not null)
        {
            Assert.Equal(0, app.Count);
        }

        await Eventually.IsTrueAsync(() => world.Proxy.Connections.Count == 0, "every connection is over");
        if (protocol != AppProtocol.Http)
        {
            using var client = await OpenSslClient.ConnectAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), alpn: ["istio"]);
            Assert.Equal("hello", await client.EchoAsync("hello"));
        }
    }
}
