using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Signet.InteropTests.Rpc;
using Signet.Proxy.Http2;
using Signet.Testing;

namespace Signet.InteropTests.Http2;

/// <summary>Servers that others wrote, against the client's role.</summary>
public sealed class ForeignServerTests
{
    private const long Large = 100L * 1024 * 1024;

    [Fact]
    public async Task Kestrel_takes_and_gives_a_hundred_megabytes_at_once()
    {
        await using var kestrel = await KestrelAsync();
        await using var client = await OwnClient.ConnectAsync(Address(kestrel));
        await using var stream = client.Open("POST", "/echo", endStream: false);
        var receiving = OwnClient.ReceiveAsync(stream);
        await OwnClient.SendAsync(stream, Large);
        Assert.Equal((Large, Content.HashOf(Large)), await receiving);
    }

    [Fact]
    public async Task Kestrel_answers_a_thousand_streams()
    {
        await using var kestrel = await KestrelAsync();
        await using var client = await OwnClient.ConnectAsync(Address(kestrel));
        await using (var first = client.Open("GET", "/bytes/1"))
        {
            await first.ReadHeadAsync(default);
        }

        var gate = new SemaphoreSlim(100);
        await Task.WhenAll(Enumerable.Range(0, 1000).Select(async i =>
        {
            await gate.WaitAsync();
            await using (var stream = client.Open("GET", $"/bytes/{i * 30}"))
            {
                Assert.Equal(200, (await stream.ReadHeadAsync(default)).Status);
                Assert.Equal((i * 30, Content.HashOf(i * 30)), await OwnClient.ReceiveAsync(stream));
            }

            gate.Release();
        }));
        client.Connection.Drain();
        Assert.True((await client.End).IsOrderly);
    }

    [Fact]
    public async Task Kestrel_sees_an_abort_and_ours_is_seen_at_every_stage()
    {
        await using var kestrel = await KestrelAsync();
        await using var client = await OwnClient.ConnectAsync(Address(kestrel));
        for (var i = 1; i <= 20; i++)
        {
            var stream = client.Open("POST", "/echo", endStream: false);
            await stream.WriteAsync(new byte[i * 1000], default);
            if (i % 2 == 0)
            {
                await stream.ReadHeadAsync(default);
            }

            if (i % 3 == 0)
            {
                await stream.ReadAsync(new byte[10], default);
            }

            stream.Abort();
            await stream.DisposeAsync();
        }

        await using var aborted = client.Open("GET", "/abort");
        await Assert.ThrowsAsync<Http2StreamException>(async () => await aborted.ReadHeadAsync(default));
        await using var last = client.Open("GET", "/bytes/100");
        Assert.Equal(100, (await OwnClient.ReceiveAsync(last)).Length);
    }

    [Fact]
    public async Task A_slow_reader_holds_up_nobody_else_at_kestrel()
    {
        await using var kestrel = await KestrelAsync();
        await using var client = await OwnClient.ConnectAsync(Address(kestrel));
        var slow = Enumerable.Range(0, 20).Select(_ => client.Open("GET", "/bytes/2000000")).ToList();
        foreach (var stream in slow)
        {
            await stream.ReadHeadAsync(default);
        }

        await using (var quick = client.Open("GET", "/bytes/5000000"))
        {
            Assert.Equal((5_000_000, Content.HashOf(5_000_000)), await OwnClient.ReceiveAsync(quick));
        }

        foreach (var stream in slow)
        {
            Assert.Equal((2_000_000, Content.HashOf(2_000_000)), await OwnClient.ReceiveAsync(stream));
            await stream.DisposeAsync();
        }
    }

    [Fact]
    public async Task Kestrel_that_stops_drains_this_client()
    {
        await using var kestrel = await KestrelAsync();
        await using var client = await OwnClient.ConnectAsync(Address(kestrel));
        await using var stream = client.Open("POST", "/echo", endStream: false);
        await stream.WriteAsync(new byte[10], default);
        await stream.ReadHeadAsync(default);
        var stopping = kestrel.StopAsync();
        await Eventually.IsTrueAsync(() => client.Connection.Refusal == OpenRefusal.Draining, "the server said that it goes");
        await stream.EndWritesAsync(default);
        Assert.Equal(10, (await OwnClient.ReceiveAsync(stream)).Length);
        Assert.True((await client.End).IsOrderly);
        await stopping;
    }

    [Fact]
    public async Task Nghttpd_serves_files()
    {
        var nghttpd = Peer.Require("/usr/sbin/nghttpd", "nghttp2-server");
        using var folder = new TestFolder();
        Content.WriteFile(Path.Combine(folder.Path, "large"), Large);
        Content.WriteFile(Path.Combine(folder.Path, "small"), 1000);
        var port = FreePort();
        using var process = Peer.Start(nghttpd, folder.Path, "-a", "127.0.0.1", "--no-tls", "-d", folder.Path, "--echo-upload", "--trailer", "x-sum: 1", "--padding=100", port.ToString());
        try
        {
            await Eventually.IsTrueAsync(() => IsListening(port), "nghttpd listens");
            await using var client = await OwnClient.ConnectAsync($"127.0.0.1:{port}");
            await using (var large = client.Open("GET", "/large"))
            {
                Assert.Equal((Large, Content.HashOf(Large)), await OwnClient.ReceiveAsync(large));
                Assert.Contains(large.Trailers, field => field is { Key: "x-sum", Value: "1" });
            }

            await using (var echo = client.Open("POST", "/small", endStream: false))
            {
                var receiving = OwnClient.ReceiveAsync(echo);
                await OwnClient.SendAsync(echo, 2_000_000);
                Assert.Equal((2_000_000, Content.HashOf(2_000_000)), await receiving);
            }

            var many = Enumerable.Range(0, 90).Select(async _ =>
            {
                await using var stream = client.Open("GET", "/small");
                return (await OwnClient.ReceiveAsync(stream)).Length;
            });
            Assert.All(await Task.WhenAll(many), length => Assert.Equal(1000, length));
        }
        finally
        {
            Peer.Kill(process);
        }
    }

    private static string Address(WebApplication kestrel) => new Uri(kestrel.Urls.Single()).Authority;

    private static async Task<WebApplication> KestrelAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
        });
        var app = builder.Build();
        app.Run(async context =>
        {
            var path = context.Request.Path.Value ?? "";
            if (path.StartsWith("/bytes/"))
            {
                await new Content.Source(long.Parse(path[7..])).CopyToAsync(context.Response.Body);
                return;
            }

            if (path == "/abort")
            {
                context.Abort();
                return;
            }

            await context.Response.StartAsync();
            await context.Request.Body.CopyToAsync(context.Response.Body);
        });
        await app.StartAsync();
        return app;
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private static bool IsListening(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Connect(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
