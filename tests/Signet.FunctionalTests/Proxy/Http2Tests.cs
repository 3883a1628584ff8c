using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Signet.Client.Tls;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>HTTP/2 through the proxies: by itself, and translated from and to HTTP/1.1.</summary>
public sealed class Http2Tests
{
    private const string OnlyGet = ProxyWorld.Strict + """
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: only-get, namespace: default}
        spec:
          action: ALLOW
          rules:
          - from: [{source: {principals: ["example.org/ns/default/sa/web"]}}]
            to: [{operation: {methods: [GET], paths: ["/open/*"]}}]
        """;

    [Theory]
    [InlineData("2.0", "2.0", AppProtocol.Http2)]
    [InlineData("2.0", "2.0", AppProtocol.Auto)]
    [InlineData("2.0", "1.1", AppProtocol.Http)]
    [InlineData("1.1", "2.0", AppProtocol.Http2)]
    public async Task Requests_and_responses_arrive_whole_whatever_version_each_side_speaks(string client, string server, AppProtocol protocol)
    {
        await using var app = await KestrelApp.StartAsync(server == "2.0" ? HttpProtocols.Http2 : HttpProtocols.Http1);
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, protocol);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, protocol);
        using var http = new HttpClient();

        // With a length, without one, empty, and larger than every window.
        foreach (var (size, isLong) in ((int, bool)[])[(10, true), (10, false), (0, true), (0, false), (3_000_000, true), (3_000_000, false)])
        {
            using var request = Message(web, HttpMethod.Post, isLong ? "/x?length" : "/x", client);
            var bytes = new byte[size];
            new Random(size).NextBytes(bytes);
            request.Content = new Flowing(bytes, isLong);
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            Assert.Equal(200, (int)response.StatusCode);
            Assert.Equal(bytes, await response.Content.ReadAsByteArrayAsync());
            if (!isLong && server == "2.0")
            {
                Assert.Equal($"{size}", response.TrailingHeaders.GetValues("x-sum").Single());
            }
        }

        // Nothing to read, whatever the fields say.
        Assert.Equal(204, (int)(await http.SendAsync(Message(web, HttpMethod.Get, "/204", client))).StatusCode);
        Assert.Equal(304, (int)(await http.SendAsync(Message(web, HttpMethod.Get, "/304", client))).StatusCode);
        Assert.Equal(404, (int)(await http.SendAsync(Message(web, HttpMethod.Head, "/404", client))).StatusCode);
        Assert.Equal(503, (int)(await http.SendAsync(Message(web, HttpMethod.Delete, "/503", client))).StatusCode);

        Assert.All(app.Requests, request => Assert.StartsWith(server == "2.0" ? "HTTP/2 " : "HTTP/1.1 ", request.Line, StringComparison.Ordinal));
        await Eventually.IsTrueAsync(() => orders.Log().Count == app.Requests.Count && web.Log().Count == app.Requests.Count, "a line for each on both sides");
        Assert.All(orders.Log(), line => Assert.Equal(("http", "example.org/ns/default/sa/web"), (line.GetProperty("protocol").GetString(), line.GetProperty("source").GetProperty("principal").GetString())));
        Assert.All(web.Log(), line => Assert.Equal(client[..^2], line.GetProperty("request").GetProperty("version").GetString()![..1]));
        Assert.All(orders.Log(), line => Assert.Null(ProxyWorld.Flag(line)));
    }

    [Fact]
    public async Task A_hundred_requests_at_once_share_a_session_on_every_leg()
    {
        await using var app = await KestrelApp.StartAsync(HttpProtocols.Http2);
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Http2);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Http2);
        using var http = new HttpClient();
        (await http.SendAsync(Message(web, HttpMethod.Get, "/200", "2.0"))).Dispose();

        await Task.WhenAll(Enumerable.Range(0, 100).Select(async i =>
        {
            using var request = Message(web, HttpMethod.Post, $"/{i}x", "2.0");
            request.Content = new StringContent(new string('a', i * 100));
            using var response = await http.SendAsync(request);
            Assert.Equal(i * 100, (await response.Content.ReadAsStringAsync()).Length);
        }));

        Assert.Single(app.Connections);
        Assert.Equal(101, app.Requests.Count);
        await Eventually.IsTrueAsync(() => orders.Log().Select(line => line.GetProperty("source").GetProperty("port").GetInt32()).ToList() is { Count: 101 } ports && ports.Distinct().Count() == 1, "one session between the proxies");
    }

    [Fact]
    public async Task Every_stream_is_decided_by_itself_and_its_own_response_says_no_more_than_HTTP_1_would()
    {
        await using var app = await KestrelApp.StartAsync(HttpProtocols.Http2);
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, OnlyGet, AppProtocol.Http2);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Http2);
        using var http = new HttpClient();

        var yes = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => http.SendAsync(Message(web, i % 2 == 0 ? HttpMethod.Get : HttpMethod.Delete, i % 3 == 0 ? "/closed/x" : "/open/x", "2.0"))));
        for (var i = 0; i < yes.Length; i++)
        {
            Assert.Equal(i % 2 == 0 && i % 3 != 0 ? 200 : 403, (int)yes[i].StatusCode);
        }

        var denied = await http.SendAsync(Message(web, HttpMethod.Get, "/open/../closed", "2.0"));
        Assert.Equal(403, (int)denied.StatusCode);
        var problem = JsonDocument.Parse(await denied.Content.ReadAsStringAsync()).RootElement;
        Assert.Equal("denied", problem.GetProperty("code").GetString());
        Assert.Equal(denied.Headers.GetValues("x-request-id").Single(), problem.GetProperty("requestId").GetString());
        Assert.DoesNotContain("only-get", problem.ToString(), StringComparison.Ordinal);
        Assert.All(app.Requests, request => Assert.EndsWith("GET /open/x", request.Line, StringComparison.Ordinal));
        var line = await orders.LoggedAsync(line => ProxyWorld.Flag(line) == nameof(RefusalReason.PolicyDenied), "the denial");
        Assert.Equal(("2", "deny"), (line.GetProperty("request").GetProperty("version").GetString(), line.GetProperty("verdict").GetString()));
    }

    [Theory]
    [InlineData(AppProtocol.Http2)]
    [InlineData(AppProtocol.Http)]
    [InlineData(AppProtocol.Auto)]
    public async Task A_client_with_a_certificate_and_ALPN_h2_is_served(AppProtocol protocol)
    {
        await using var app = await KestrelApp.StartAsync(protocol == AppProtocol.Http ? HttpProtocols.Http1 : HttpProtocols.Http2);
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, OnlyGet, protocol);
        using var http = new HttpClient(new SocketsHttpHandler
        {
            SslOptions = new SslClientAuthenticationOptions
            {
                ClientCertificateContext = new TlsCredential(orders.Authority.Svid("/ns/default/sa/web")).Context,
                RemoteCertificateValidationCallback = (_, _, _, _) => true,
            },
        });

        using var response = await http.SendAsync(Message($"https://{orders.Inbound}/open/x", HttpMethod.Get, "2.0"));
        Assert.Equal((200, new Version(2, 0)), ((int)response.StatusCode, response.Version));
        Assert.Equal(403, (int)(await http.SendAsync(Message($"https://{orders.Inbound}/closed", HttpMethod.Get, "2.0"))).StatusCode);
        var arrived = Assert.Single(app.Requests);
        Assert.StartsWith($"By=spiffe://example.org/ns/default/sa/orders;Hash=", arrived.Fields["x-forwarded-client-cert"], StringComparison.Ordinal);
        Assert.EndsWith("URI=spiffe://example.org/ns/default/sa/web", arrived.Fields["x-forwarded-client-cert"], StringComparison.Ordinal);
        Assert.Equal("h2", (await orders.LoggedAsync(_ => true, "a line")).GetProperty("tls").GetProperty("alpn").GetString());
    }

    [Fact]
    public async Task Prior_knowledge_is_known_on_a_plaintext_port_and_refused_on_a_strict_one()
    {
        await using var app = await KestrelApp.StartAsync(HttpProtocols.Http2);
        await using var open = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http2);
        await using var strict = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Http2);
        using var http = new HttpClient();

        Assert.Equal(200, (int)(await http.SendAsync(Message($"http://{open.Inbound}/x", HttpMethod.Get, "2.0"))).StatusCode);
        await Assert.ThrowsAsync<HttpRequestException>(() => http.SendAsync(Message($"http://{strict.Inbound}/x", HttpMethod.Get, "2.0")));
        Assert.DoesNotContain("x-forwarded-client-cert", Assert.Single(app.Requests).Fields.Keys);
    }

    [Fact]
    public async Task Cookies_that_came_one_by_one_arrive_as_one_field_and_forged_peer_fields_not_at_all()
    {
        await using var app = App.Http();
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http);
        await using var peer = await Http2Wire.PlainAsync(orders.Inbound);

        await peer.RequestAsync(1, true, (":method", "GET"), (":scheme", "http"), (":authority", "orders"), (":path", "/"), ("cookie", "a=1"), ("x-a", "b"), ("cookie", "b=2"), ("x-forwarded-client-cert", "URI=spiffe://x/y"), ("te", "trailers"));
        Assert.Equal("200", (await peer.HeadAsync(1))[":status"]);

        var head = Assert.Single(app.Heads);
        Assert.StartsWith("GET / HTTP/1.1\r\nhost: orders\r\n", head, StringComparison.Ordinal);
        Assert.Contains("\r\ncookie: a=1; b=2\r\n", head, StringComparison.Ordinal);
        Assert.DoesNotContain("client-cert", head, StringComparison.Ordinal);
        Assert.DoesNotContain("\r\nte:", head, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_waits_for_100_gets_it_through_both_translations()
    {
        await using var app = await KestrelApp.StartAsync(HttpProtocols.Http1, async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            await context.Response.WriteAsync(await reader.ReadToEndAsync());
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Http);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Http2);
        await using var wire = await Wire.PlainAsync(web.Outbound);

        await wire.SendAsync("POST /x?length HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 100 ", await wire.ReadUntilAsync("\r\n\r\n"), StringComparison.Ordinal);
        await wire.SendAsync("hello");
        Assert.StartsWith("HTTP/1.1 200 OK", await wire.ReadUntilAsync("\r\n\r\n"), StringComparison.Ordinal);
        Assert.Equal("5\r\nhello\r\n0\r\n\r\n", await wire.ReadUntilAsync("0\r\n\r\n"));
    }

    [Fact]
    public async Task Both_directions_flow_at_once()
    {
        await using var app = await KestrelApp.StartAsync(HttpProtocols.Http2);
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Http2);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Http2);
        await using var peer = await Http2Wire.PlainAsync(web.Outbound);

        await peer.RequestAsync(1, false, (":method", "POST"), (":scheme", "http"), (":authority", "orders"), (":path", "/x"));
        Assert.Equal("200", (await peer.HeadAsync(1))[":status"]);
        for (var i = 0; i < 50; i++)
        {
            await peer.DataAsync(1, Encoding.ASCII.GetBytes($"ping {i}"));
            Assert.Equal($"ping {i}", Encoding.ASCII.GetString(await peer.ReadDataAsync(1)));
        }

        await peer.DataAsync(1, [], endStream: true);
        Assert.Equal("340", (await peer.HeadAsync(1))["x-sum"]);
    }

    [Fact]
    public async Task A_slow_reader_holds_up_neither_the_others_nor_more_than_its_windows()
    {
        var written = 0L;
        await using var app = await KestrelApp.StartAsync(HttpProtocols.Http2, async context =>
        {
            if (context.Request.Path != "/endless")
            {
                await KestrelApp.EchoAsync(context);
                return;
            }

            await context.Response.StartAsync();
            var block = new byte[64 * 1024];
            while (!context.RequestAborted.IsCancellationRequested)
            {
                await context.Response.Body.WriteAsync(block, context.RequestAborted);
                Interlocked.Add(ref written, block.Length);
            }
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Http2);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Http2);
        await using var peer = await Http2Wire.PlainAsync(web.Outbound);

        // Ten streams that nobody reads, on the same session as one that somebody does.
        const int slow = 10;
        for (var i = 0; i < slow; i++)
        {
            await peer.RequestAsync((2 * i) + 1, true, (":method", "GET"), (":scheme", "http"), (":authority", "orders"), (":path", "/endless"));
        }

        var before = -1L;
        await Eventually.IsTrueAsync(
            async () =>
            {
                await Task.Delay(100);
                var now = Interlocked.Read(ref written);
                var isStill = now > 0 && now == before;
                before = now;
                return isStill;
            },
            "the application waits");
        Assert.InRange(before, 1, slow * 1024 * 1024);

        using var http = new HttpClient();
        for (var i = 0; i < 3; i++)
        {
            using var request = Message(web, HttpMethod.Post, "/x?length", "2.0");
            request.Content = new ByteArrayContent(new byte[1_000_000]);
            using var response = await http.SendAsync(request);
            Assert.Equal(1_000_000, (await response.Content.ReadAsByteArrayAsync()).Length);
        }

        Assert.Single(app.Connections);
    }

    [Fact]
    [Proves(RefusalReason.ClientLeft)]
    public async Task A_client_that_resets_its_stream_ends_the_request_at_the_application()
    {
        await using var app = await KestrelApp.StartAsync(HttpProtocols.Http2, context => Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted));
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Http2);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Http2);
        using var http = new HttpClient();
        using var cancel = new CancellationTokenSource();

        var sending = http.SendAsync(Message(web, HttpMethod.Get, "/hang", "2.0"), cancel.Token);
        await Eventually.IsTrueAsync(() => !app.Requests.IsEmpty, "the request arrived");
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        await Eventually.IsTrueAsync(() => app.Aborted.Contains("/hang"), "the application is told");
        Assert.Equal("allow", (await web.RefusedAsync(RefusalReason.ClientLeft)).GetProperty("verdict").GetString());
        await orders.RefusedAsync(RefusalReason.ClientLeft);
        await Eventually.IsTrueAsync(() => orders.Proxy.Connections.All.Count(live => live.Protocol == "http") == 0, "no stream is left");
    }

    [Fact]
    public async Task A_response_that_breaks_off_is_not_taken_for_a_whole_one()
    {
        await using var app = await KestrelApp.StartAsync(HttpProtocols.Http2, async context =>
        {
            await context.Response.WriteAsync("half");
            await context.Response.Body.FlushAsync();
            context.Abort();
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Http2);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Http2);
        using var http = new HttpClient();

        await Assert.ThrowsAnyAsync<HttpRequestException>(() => http.GetByteArrayAsync(new Uri($"http://{web.Outbound}/x")));
        using var two = await http.SendAsync(Message(web, HttpMethod.Get, "/x", "2.0"), HttpCompletionOption.ResponseHeadersRead);
        await Assert.ThrowsAnyAsync<Exception>(() => two.Content.ReadAsByteArrayAsync());
        await orders.RefusedAsync(RefusalReason.UpstreamClosed);
    }

    [Fact]
    public async Task A_stream_ends_when_a_new_policy_forbids_it()
    {
        await using var app = await KestrelApp.StartAsync(HttpProtocols.Http2);
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http2);
        await using var peer = await Http2Wire.PlainAsync(orders.Inbound);
        foreach (var (id, path) in ((int, string)[])[(1, "/closed"), (3, "/open/x")])
        {
            await peer.RequestAsync(id, false, (":method", "POST"), (":scheme", "http"), (":authority", "orders"), (":path", path));
            await peer.DataAsync(id, "hello"u8.ToArray());
            Assert.Equal("200", (await peer.HeadAsync(id))[":status"]);
            await peer.ReadDataAsync(id);
        }

        orders.SetPolicy(ProxyWorld.Permissive + """
            ---
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: no, namespace: default}
            spec:
              action: DENY
              rules: [{to: [{operation: {paths: ["/closed"]}}]}]
            """);
        Assert.Equal(Signet.Proxy.Http2.Http2Error.Cancel, await peer.ResetAsync(1));
        await orders.RefusedAsync(RefusalReason.PolicyChanged);
        await peer.DataAsync(3, "again"u8.ToArray());
        Assert.Equal("again", Encoding.ASCII.GetString(await peer.ReadDataAsync(3)));
    }

    [Fact]
    public async Task A_drain_loses_no_request_and_takes_no_new_one()
    {
        var letGo = new TaskCompletionSource();
        await using var app = await KestrelApp.StartAsync(HttpProtocols.Http2, async context =>
        {
            await letGo.Task;
            await context.Response.WriteAsync("done");
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http2);
        using var http = new HttpClient();
        var sending = Enumerable.Range(0, 20).Select(_ => http.SendAsync(Message($"http://{orders.Inbound}/x", HttpMethod.Get, "2.0"))).ToList();
        await Eventually.IsTrueAsync(() => app.Requests.Count == 20, "all arrived");

        var stopping = orders.Proxy.StopAsync(CancellationToken.None);
        await Eventually.IsTrueAsync(
            async () =>
            {
                try
                {
                    await using var late = await Wire.PlainAsync(orders.Inbound);
                    return false;
                }
                catch (SocketException)
                {
                    return true;
                }
            },
            "nobody else is let in");
        Assert.DoesNotContain(sending, response => response.IsCompleted);
        letGo.SetResult();
        Assert.All(await Task.WhenAll(sending), response => Assert.Equal(200, (int)response.StatusCode));
        await stopping;
    }

    [Fact]
    public async Task A_session_whose_server_goes_away_is_replaced_and_no_request_is_lost()
    {
        await using var app = await KestrelApp.StartAsync(HttpProtocols.Http2);
        var first = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Http2);
        await using var second = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Http2, authority: first.Authority);
        await using var web = await ProxyWorld.OutboundAsync([first.Inbound, second.Inbound], first.Authority, AppProtocol.Http2);
        using var http = new HttpClient();
        using var stop = new CancellationTokenSource();
        var count = 0;
        var load = Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                using var response = await http.SendAsync(Message(web, HttpMethod.Get, "/200", "2.0"));
                Assert.Equal(200, (int)response.StatusCode);
                Interlocked.Increment(ref count);
            }
        })).ToList();

        await Eventually.IsTrueAsync(() => first.Log().Count > 20 && second.Log().Count > 20, "both serve");
        await first.Proxy.StopAsync(CancellationToken.None);
        var before = Volatile.Read(ref count);
        await Eventually.IsTrueAsync(() => Volatile.Read(ref count) > before + 200, "it goes on");
        await stop.CancelAsync();
        await Task.WhenAll(load);
        await first.DisposeAsync();
    }

    [Fact]
    public async Task A_request_that_the_application_refused_unread_is_sent_again_and_refused_to_the_client_when_that_does_not_help()
    {
        var left = 2;
        await using var app = App.Serving((stream, app) => RefuseAsync(stream, app, () => Interlocked.Decrement(ref left) >= 0));
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http2);
        await using var peer = await Http2Wire.PlainAsync(orders.Inbound);
        (string, string)[] good = [(":method", "DELETE"), (":scheme", "http"), (":authority", "orders"), (":path", "/x")];

        await peer.RequestAsync(1, true, good);
        Assert.Equal("200", (await peer.HeadAsync(1))[":status"]);
        Assert.Equal(3, app.Heads.Count);

        // Its body has begun to flow: only the client can send it again.
        Volatile.Write(ref left, 1);
        await peer.RequestAsync(3, false, good);
        await peer.DataAsync(3, "abc"u8.ToArray(), endStream: true);
        Assert.Equal(Signet.Proxy.Http2.Http2Error.RefusedStream, await peer.ResetAsync(3));
        Assert.Equal(4, app.Heads.Count);

        // And no request is sent for ever.
        Volatile.Write(ref left, 100);
        await peer.RequestAsync(5, true, good);
        Assert.Equal(Signet.Proxy.Http2.Http2Error.RefusedStream, await peer.ResetAsync(5));
        Assert.Equal(7, app.Heads.Count);
        await using var old = await Wire.PlainAsync(orders.Inbound);
        Assert.Equal(502, (await old.AskAsync("GET /x HTTP/1.1\r\nHost: orders\r\n\r\n")).Status);
    }

    [Fact]
    public async Task WebSocket_stays_HTTP_1_beside_HTTP_2_on_the_same_port()
    {
        await using var app = App.Serving(async (stream, _) =>
        {
            var head = await new App.ByteReader(stream).HeadAsync();
            if (head!.StartsWith("PRI", StringComparison.Ordinal))
            {
                return;
            }

            await stream.WriteAsync("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"u8.ToArray());
            await stream.CopyToAsync(stream);
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Auto);
        await using var web = await ProxyWorld.OutboundAsync([orders.Inbound], orders.Authority, AppProtocol.Http2);
        await using var wire = await Wire.PlainAsync(web.Outbound);

        await wire.SendAsync("GET /chat HTTP/1.1\r\nHost: orders\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 101 ", await wire.ReadUntilAsync("\r\n\r\n"), StringComparison.Ordinal);
        await wire.SendAsync("hello\n");
        Assert.Equal("hello\n", await wire.ReadUntilAsync("\n"));
    }

    [Fact]
    public async Task A_destination_that_knows_only_HTTP_1_is_reached_by_that()
    {
        await using var app = App.Http();
        await using var meshless = await OlderPeer.StartAsync(app.EndPoint);
        await using var web = await ProxyWorld.OutboundAsync([meshless.EndPoint], meshless.Authority, AppProtocol.Http);
        using var http = new HttpClient();

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal("hello", await (await http.SendAsync(Message(web, HttpMethod.Get, "/x", "2.0"))).Content.ReadAsStringAsync());
        }

        Assert.All(app.Heads, head => Assert.StartsWith("GET /x HTTP/1.1\r\n", head, StringComparison.Ordinal));
        Assert.Equal(3, app.Heads.Count);
        Assert.Equal(1, app.Count);
    }

    /// <summary>A server of HTTP/2 that refuses streams, or answers them with 200 and nothing, once it has seen them whole.</summary>
    private static async Task RefuseAsync(NetworkStream stream, App app, Func<bool> mustRefuse)
    {
        await stream.ReadExactlyAsync(new byte[Signet.Proxy.Http2.FrameHeader.Preface.Length]);
        await stream.WriteAsync((byte[])[0, 0, 0, 4, 0, 0, 0, 0, 0]);
        var bytes = new byte[Signet.Proxy.Http2.FrameHeader.Size];
        while (true)
        {
            await stream.ReadExactlyAsync(bytes);
            Signet.Proxy.Http2.FrameHeader.TryRead(bytes, out var frame);
            await stream.ReadExactlyAsync(new byte[frame.Length]);
            if (frame.StreamId == 0 || frame.Type == Signet.Proxy.Http2.FrameType.ResetStream || !frame.Has(Signet.Proxy.Http2.FrameFlags.EndStream))
            {
                continue;
            }

            app.Heads.Enqueue($"{frame.StreamId}");
            await stream.WriteAsync(mustRefuse() ? (byte[])[0, 0, 4, 3, 0, 0, 0, 0, (byte)frame.StreamId, 0, 0, 0, 7] : [0, 0, 1, 1, 5, 0, 0, 0, (byte)frame.StreamId, 0x88]);
        }
    }

    private static HttpRequestMessage Message(ProxyWorld web, HttpMethod method, string path, string version) => Message($"http://{web.Outbound}{path}", method, version);

    private static HttpRequestMessage Message(string url, HttpMethod method, string version) =>
        new(method, new Uri(url, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true })) { Version = Version.Parse(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact };

    /// <summary>A body that is sent while the response is read, with its length told ahead or not.</summary>
    private sealed class Flowing(byte[] bytes, bool isLong) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            for (var at = 0; at < bytes.Length; at += 50_000)
            {
                await stream.WriteAsync(bytes.AsMemory(at, Math.Min(50_000, bytes.Length - at)));
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = bytes.Length;
            return isLong;
        }
    }
}
