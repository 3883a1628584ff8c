using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

public sealed class InboundHttpTests
{
    private const string Get = "GET /a HTTP/1.1\r\nHost: orders\r\n\r\n";

    private const string OnlyWebMayPost = ProxyWorld.Strict + """
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: only-web, namespace: default}
        spec:
          action: ALLOW
          rules:
          - from: [{source: {principals: ["example.org/ns/default/sa/batch"]}}]
            to: [{operation: {methods: [GET]}}]
          - from: [{source: {principals: ["example.org/ns/default/sa/web"]}}]
            to: [{operation: {methods: [POST], paths: ["/api/*"]}}]
        """;

    [Fact]
    [Proves(RefusalReason.PolicyDenied)]
    public async Task Lets_through_what_a_policy_allows_and_answers_403_to_the_rest_naming_policy_and_rule_in_the_log_only()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, OnlyWebMayPost);
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        await using var other = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/other"));

        Assert.Equal(200, (await web.AskAsync("POST /api/x HTTP/1.1\r\nHost: orders\r\nContent-Length: 2\r\n\r\nhi")).Status);
        var denied = await other.AskAsync("GET /api/x HTTP/1.1\r\nHost: orders\r\nX-Request-Id: id-1\r\n\r\n");

        Assert.Equal(403, denied.Status);
        var problem = JsonDocument.Parse(denied.Body).RootElement;
        Assert.Equal(("denied", "id-1"), (problem.GetProperty("code").GetString(), problem.GetProperty("requestId").GetString()));
        Assert.DoesNotContain("only-web", denied.Head + denied.Body, StringComparison.Ordinal);
        var no = await world.RefusedAsync(RefusalReason.PolicyDenied);
        Assert.Equal(("deny", "default"), (no.GetProperty("verdict").GetString(), no.GetProperty("stage").GetString()));
        var yes = await world.LoggedAsync(line => line.GetProperty("verdict").GetString() == "allow", "the allowed one");
        Assert.Equal(("default/only-web", 1), (yes.GetProperty("policy").GetString(), yes.GetProperty("rule").GetInt32()));
        Assert.Single(app.Heads);
    }

    [Fact]
    public async Task Goes_on_with_the_connection_after_a_denial()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, OnlyWebMayPost);
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));

        Assert.Equal(403, (await web.AskAsync(Get)).Status);
        Assert.Equal(200, (await web.AskAsync("POST /api/x HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n")).Status);
        Assert.Equal(403, (await web.AskAsync(Get)).Status);
    }

    [Fact]
    public async Task Forwards_the_path_that_was_judged_and_not_another_spelling_of_it()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, OnlyWebMayPost);
        await using var web = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));

        Assert.Equal(403, (await web.AskAsync("POST /api/../admin HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n")).Status);
        Assert.Equal(200, (await web.AskAsync("POST /x/%2e%2e/%61pi/y?q=%2e%2e HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n")).Status);

        Assert.StartsWith("POST /api/y?q=%2e%2e HTTP/1.1\r\n", Assert.Single(app.Heads), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Drops_forged_peer_headers_and_adds_a_request_ID()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);

        await client.AskAsync("GET / HTTP/1.1\r\nHost: orders\r\nX-Forwarded-Client-Cert: URI=spiffe://example.org/admin\r\nConnection: x-private\r\nx-private: 1\r\n\r\n");

        Assert.True(app.Heads.TryDequeue(out var head));
        Assert.Equal("", App.Field(head, "x-forwarded-client-cert"));
        Assert.Equal("", App.Field(head, "x-private"));
        Assert.NotEqual("", App.Field(head, "x-request-id"));
    }

    [Fact]
    public async Task Serves_pipelined_requests_in_order_over_one_connection_to_the_application()
    {
        await using var app = App.Http((head, _) => App.Ok(head.Split(' ')[1]));
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);

        await client.SendAsync(string.Concat(Enumerable.Range(0, 20).Select(i => $"GET /{i} HTTP/1.1\r\nHost: orders\r\n\r\n")));
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal($"/{i}", (await client.ReadResponseAsync()).Body);
        }

        Assert.Equal(1, app.Count);
    }

    [Fact]
    public async Task Passes_on_chunks_both_ways_and_trailers_of_responses_only()
    {
        await using var app = App.Http((_, body) =>
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n" + $"{body.Length:x}\r\n{System.Text.Encoding.Latin1.GetString(body)}\r\n0\r\nx-sum: 7\r\n\r\n");
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);

        await client.SendAsync("POST / HTTP/1.1\r\nHost: orders\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nx-in: 1\r\n\r\n");
        var response = await client.ReadUntilAsync("x-sum: 7\r\n\r\n");

        Assert.Contains("abcde", response, StringComparison.Ordinal);
        Assert.DoesNotContain("x-in", response, StringComparison.Ordinal);
        Assert.Equal(App.Ok("").Length > 0 ? 200 : 0, (await client.AskAsync("HEAD / HTTP/1.1\r\nHost: orders\r\n\r\n")).Status);
    }

    [Fact]
    public async Task Never_takes_the_rest_of_a_body_for_a_request_when_the_application_answers_early()
    {
        const string Hidden = "GET /smuggled HTTP/1.1\r\nHost: orders\r\n\r\n";
        await using var app = App.Serving(async (stream, app) =>
        {
            var reader = new App.ByteReader(stream);
            while (await reader.HeadAsync() is { } head)
            {
                app.Heads.Enqueue(head);
                await stream.WriteAsync("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
                await Task.Delay(Timeout.InfiniteTimeSpan, new CancellationTokenSource(TimeSpan.FromSeconds(2)).Token).ContinueWith(_ => { });
                return;
            }
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);

        // Somewhere among these sizes the sockets are full just when the last piece is to be written.
        foreach (var kibibytes in new[] { 64, 512, 2048, 2560, 3072, 4096, 5120, 6144 })
        {
            await using var client = await Wire.PlainAsync(world.Inbound);
            var body = string.Concat(Enumerable.Repeat(Hidden, kibibytes * 1024 / Hidden.Length));
            await client.SendAsync($"POST /upload HTTP/1.1\r\nHost: orders\r\nContent-Length: {body.Length}\r\n\r\n");
            var sending = client.SendAsync(body);

            // Its answer, or the proxy's when it had hung up before that was read.
            Assert.Contains((await client.ReadResponseAsync()).Status, new[] { 413, 502 });
            client.Reset();
            await sending.ContinueWith(_ => { });
        }

        await Eventually.IsTrueAsync(() => world.Log().Count >= 8, "a line for each");
        Assert.DoesNotContain(world.Log(), line => line.TryGetProperty("request", out var request) && request.GetProperty("path").GetString() == "/smuggled");
        Assert.DoesNotContain(app.Heads, head => head.Contains("smuggled", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Passes_on_an_expectation_and_the_interim_answer_to_it()
    {
        await using var app = App.Serving(async (stream, _) =>
        {
            var reader = new App.ByteReader(stream);
            var head = await reader.HeadAsync();
            await stream.WriteAsync("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"u8.ToArray());
            var body = await reader.BodyAsync(head!);
            await stream.WriteAsync(System.Text.Encoding.Latin1.GetBytes(App.Ok($"got {body.Length}")));
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);

        await client.SendAsync("POST / HTTP/1.1\r\nHost: orders\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        Assert.Contains("103 Early Hints", await client.ReadUntilAsync("HTTP/1.1 100 Continue\r\n\r\n"), StringComparison.Ordinal);
        await client.SendAsync("12345");
        Assert.Equal("got 5", (await client.ReadResponseAsync()).Body);
    }

    [Theory]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")]
    [InlineData("GET", "HTTP/1.1 204 No Content\r\n\r\n")]
    [InlineData("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n")]
    public async Task Waits_for_no_body_where_there_is_none(string method, string response)
    {
        await using var app = App.Http((_, _) => response);
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);
        for (var i = 0; i < 3; i++)
        {
            await client.SendAsync($"{method} / HTTP/1.1\r\nHost: orders\r\n\r\n");
            Assert.StartsWith(response[..12], await client.ReadUntilAsync("\r\n\r\n"), StringComparison.Ordinal);
        }

        Assert.Equal(1, app.Count);
    }

    [Fact]
    public async Task Marks_the_end_of_a_response_that_only_the_connections_end_delimits()
    {
        await using var app = App.Serving(async (stream, _) =>
        {
            await new App.ByteReader(stream).HeadAsync();
            await stream.WriteAsync("HTTP/1.0 200 OK\r\n\r\nuntil the end"u8.ToArray());
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);

        await client.SendAsync(Get);
        Assert.EndsWith("d\r\nuntil the end\r\n0\r\n\r\n", await client.ReadUntilAsync("\r\n0\r\n\r\n"), StringComparison.Ordinal);
        await client.SendAsync(Get);
        await client.ReadUntilAsync("\r\n0\r\n\r\n");

        await using var old = await Wire.PlainAsync(world.Inbound);
        await old.SendAsync("GET / HTTP/1.0\r\nHost: orders\r\n\r\n");
        Assert.EndsWith("\r\n\r\nuntil the end", await old.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tunnels_WebSocket_after_101_and_offers_no_other_upgrade()
    {
        await using var app = App.Serving(async (stream, app) =>
        {
            var head = (await new App.ByteReader(stream).HeadAsync())!;
            app.Heads.Enqueue(head);
            if (App.Field(head, "upgrade") != "websocket")
            {
                await stream.WriteAsync(System.Text.Encoding.Latin1.GetBytes(App.Ok("plain")));
                return;
            }

            await stream.WriteAsync("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nwelcome"u8.ToArray());
            await stream.CopyToAsync(stream);
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));

        await client.SendAsync("GET /ws HTTP/1.1\r\nHost: orders\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n");
        var head = await client.ReadUntilAsync("\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 101", head, StringComparison.Ordinal);
        Assert.Contains("upgrade: websocket", head, StringComparison.OrdinalIgnoreCase);
        await client.ReadUntilAsync("welcome");
        await client.SendAsync("ping");
        await client.ReadUntilAsync("ping");
        await client.EndAsync();
        Assert.Equal("", await client.ReadToEndAsync());
        Assert.Equal(101, (await world.LoggedAsync(line => line.TryGetProperty("request", out _), "the upgrade")).GetProperty("response").GetProperty("code").GetInt32());

        await using var other = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        Assert.Equal("plain", (await other.AskAsync("GET / HTTP/1.1\r\nHost: orders\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n")).Body);
    }

    [Fact]
    [Proves(RefusalReason.MalformedRequest)]
    public async Task Lets_no_hostile_request_reach_the_application()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        string[] hostile =
        [
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nx_forwarded_client_cert: URI=spiffe://x/y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-forwarded-client-cert\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
            "PRI * HTTP/2.0\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n" + string.Concat(Enumerable.Range(0, 200).Select(i => $"x{i}: y\r\n")) + "\r\n",
            "GET /" + new string('a', 70_000),
            "\0\0\0\0\r\n\r\n",
            "garbage\r\n\r\n",
        ];
        foreach (var request in hostile)
        {
            await using var client = await Wire.PlainAsync(world.Inbound);
            await client.SendAsync(request);
            var response = await client.ReadToEndAsync();
            Assert.Matches("^HTTP/1.1 (400|417|431|501|505) ", response);
            Assert.Contains("connection: close", response, StringComparison.Ordinal);
            Assert.Equal(1, response.Split("HTTP/1.1 ").Length - 1);
        }

        Assert.Empty(app.Heads);
        await Eventually.IsTrueAsync(() => world.Log().Count(line => ProxyWorld.Flag(line) == nameof(RefusalReason.MalformedRequest)) == hostile.Length, "a line for each");
    }

    [Fact]
    public async Task Lets_the_application_see_no_end_of_a_body_that_turns_out_malformed()
    {
        var body = new TaskCompletionSource<string>();
        await using var app = App.Serving(async (stream, _) =>
        {
            var reader = new App.ByteReader(stream);
            try
            {
                // Not even the head may have left before the fault was found.
                body.SetResult(await reader.HeadAsync() is { } head && await reader.BodyAsync(head) is not null ? "ended" : "broke");
            }
            catch (Exception e) when (e is IOException or EndOfStreamException)
            {
                body.SetResult("broke");
            }
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);

        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 400 ", await client.ReadToEndAsync(), StringComparison.Ordinal);
        Assert.Equal("broke", await body.Task.WaitAsync(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task An_application_that_resets_its_connection_once_it_has_answered_has_answered()
    {
        const int Requests = 100;
        await using var app = App.Serving(async (stream, _) =>
        {
            await new App.ByteReader(stream).HeadAsync();

            // The answer and the reset are to be there before the proxy looks.
            stream.Socket.Send(Encoding.Latin1.GetBytes(App.Ok("hello")));
            stream.Socket.Close(0);
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);
        for (var i = 0; i < Requests; i++)
        {
            Assert.Equal(200, (await client.AskAsync(Get)).Status);
        }

        await Eventually.IsTrueAsync(() => world.Log().Count >= Requests, "every request has its line");
        Assert.All(world.Log(), line => Assert.Null(ProxyWorld.Flag(line)));
    }

    [Theory]
    [Proves(RefusalReason.RequestHeadTimeout)]
    [InlineData(false)]
    [InlineData(true)]
    [InlineData(true, "\r", "\n")]
    public async Task Ends_a_head_that_drips_with_408_while_others_are_served(bool isSecond, params string[] emptyLine)
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Permissive, change: config => config with { Timeouts = new ProxyTimeouts { RequestHead = TimeSpan.FromMilliseconds(500) } });
        await using var slow = await Wire.PlainAsync(world.Inbound);
        await using var other = await Wire.PlainAsync(world.Inbound);
        Assert.Equal(200, isSecond ? (await slow.AskAsync(Get)).Status : 200);
        foreach (var piece in emptyLine)
        {
            await slow.SendAsync(piece);
            Assert.Equal(200, (await other.AskAsync(Get)).Status);
        }

        await slow.SendAsync("GET / HTTP/1.1\r\nHost: a\r\nX: ");

        Assert.Equal(200, (await other.AskAsync(Get)).Status);
        Assert.StartsWith("HTTP/1.1 408 ", await slow.ReadToEndAsync(), StringComparison.Ordinal);
        await world.RefusedAsync(RefusalReason.RequestHeadTimeout);
    }

    [Fact]
    [Proves(RefusalReason.UpstreamConnectFailed)]
    public async Task Answers_503_when_the_application_does_not_listen_and_goes_on()
    {
        var gone = new IPEndPoint(IPAddress.Loopback, FreePort());
        await using var world = await ProxyWorld.InboundAsync(gone, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);

        Assert.Equal((503, 503), ((await client.AskAsync(Get)).Status, (await client.AskAsync(Get)).Status));
        var line = await world.RefusedAsync(RefusalReason.UpstreamConnectFailed);
        Assert.Contains(gone.ToString(), line.GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Equal(("allow", "upstream"), (line.GetProperty("verdict").GetString(), line.GetProperty("stage").GetString()));
    }

    [Fact]
    [Proves(RefusalReason.UpstreamConnectTimeout)]
    public async Task Answers_504_when_the_application_does_not_take_the_connection()
    {
        using var deaf = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        deaf.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        deaf.Listen(1);
        var fillers = new List<Socket>();
        for (var i = 0; i < 3; i++)
        {
            fillers.Add(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false });
            Assert.NotNull(Record.Exception(() => fillers[i].Connect(deaf.LocalEndPoint!)) ?? new object());
        }

        await using var world = await ProxyWorld.InboundAsync(
            deaf.LocalEndPoint!, ProxyWorld.Permissive, change: config => config with { Timeouts = new ProxyTimeouts { Connect = TimeSpan.FromMilliseconds(300) } });
        await using var client = await Wire.PlainAsync(world.Inbound);

        Assert.Equal(504, (await client.AskAsync(Get)).Status);
        await world.RefusedAsync(RefusalReason.UpstreamConnectTimeout);
        fillers.ForEach(filler => filler.Dispose());
    }

    [Fact]
    [Proves(RefusalReason.UpstreamClosed)]
    public async Task Answers_502_when_the_application_ends_before_it_answers()
    {
        await using var app = App.Serving(async (stream, _) => await new App.ByteReader(stream).HeadAsync());
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);

        Assert.Equal(502, (await client.AskAsync(Get)).Status);
        await world.RefusedAsync(RefusalReason.UpstreamClosed);
        Assert.Equal(1, app.Count);
    }

    [Theory]
    [InlineData("SSH-2.0-x\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")]
    [InlineData("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")]
    [Proves(RefusalReason.UpstreamMalformed)]
    public async Task Answers_502_when_the_application_does_not_speak_HTTP(string response)
    {
        await using var app = App.Http((_, _) => response);
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);

        Assert.Equal(502, (await client.AskAsync(Get)).Status);
        await world.RefusedAsync(RefusalReason.UpstreamMalformed);
    }

    [Fact]
    public async Task Breaks_the_clients_connection_when_a_response_is_cut_short()
    {
        await using var app = App.Serving(async (stream, _) =>
        {
            await new App.ByteReader(stream).HeadAsync();
            await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"u8.ToArray());
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);
        await client.SendAsync(Get);

        await Assert.ThrowsAsync<IOException>(async () =>
        {
            while (await client.Stream.ReadAsync(new byte[1000]) > 0)
            {
            }
        });
    }

    [Fact]
    public async Task Tries_again_when_an_unused_connection_to_the_application_had_died_and_never_repeats_a_POST()
    {
        await using var app = App.Serving(async (stream, app) =>
        {
            var reader = new App.ByteReader(stream);
            var head = await reader.HeadAsync();
            app.Heads.Enqueue(head!);
            await reader.BodyAsync(head!);
            await stream.WriteAsync(System.Text.Encoding.Latin1.GetBytes(App.Ok("once")));
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive);
        await using var client = await Wire.PlainAsync(world.Inbound);
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal("once", (await client.AskAsync(Get)).Body);
        }

        Assert.Equal(10, app.Heads.Count);
    }

    [Fact]
    public async Task Tells_HTTP_from_other_protocols_on_an_auto_port()
    {
        await using var app = App.Serving(async (stream, app) =>
        {
            var first = new byte[4];
            await stream.ReadExactlyAsync(first);
            app.Heads.Enqueue(System.Text.Encoding.Latin1.GetString(first));
            await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Auto);
        foreach (var (text, protocol, alpn) in new (string, string, string[]?)[]
        {
            (Get, "http", null), ("PING\r\n", "tcp", null), ("PING\r\n", "tcp", ["istio"]), (Get, "http", ["istio"]), (Get, "http", ["istio-http/1.1", "istio"]),
        })
        {
            await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), alpn);
            var before = world.Log().Count;
            await client.SendAsync(text);
            await client.ReadUntilAsync("\r\n\r\n");
            await client.EndAsync();
            await client.ReadToEndAsync();
            await Eventually.IsTrueAsync(() => world.Log().Count > before, "a line");
            Assert.Equal(protocol, world.Log()[before].GetProperty("protocol").GetString());
        }
    }

    [Fact]
    public async Task More_connections_than_allowed_wait_outside_until_one_has_ended()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, change: config => config with { Limits = new ProxyLimits { Connections = 2 } });
        await using var first = await Wire.PlainAsync(world.Inbound);
        var second = await Wire.PlainAsync(world.Inbound);
        Assert.Equal((200, 200), ((await first.AskAsync(Get)).Status, (await second.AskAsync(Get)).Status));
        var waiting = new List<Wire>();
        for (var i = 0; i < 5; i++)
        {
            waiting.Add(await Wire.PlainAsync(world.Inbound));
            await waiting[i].SendAsync(Get);
        }

        // Whoever is in is served all the while.
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(200, (await first.AskAsync(Get)).Status);
            Assert.Equal(2, world.Proxy.Connections.Count);
        }

        Assert.Equal(22, app.Heads.Count);
        await second.DisposeAsync();
        foreach (var one in waiting)
        {
            Assert.Equal(200, (await one.ReadResponseAsync()).Status);
            Assert.InRange(world.Proxy.Connections.Count, 1, 2);
            await one.DisposeAsync();
        }
    }

    [Fact]
    public async Task Keeps_no_more_unused_connections_to_the_application_than_allowed()
    {
        const int AtOnce = 6;
        var arrived = 0;
        var all = new TaskCompletionSource();
        await using var app = App.Serving(async (stream, _) =>
        {
            var reader = new App.ByteReader(stream);
            while (await reader.HeadAsync() is not null)
            {
                if (Interlocked.Increment(ref arrived) == AtOnce)
                {
                    all.SetResult();
                }

                await all.Task;
                await stream.WriteAsync(System.Text.Encoding.Latin1.GetBytes(App.Ok("x")));
            }
        });
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, change: config => config with
        {
            Limits = new ProxyLimits { IdleUpstreams = 2 },
            Timeouts = new ProxyTimeouts { UpstreamIdle = TimeSpan.FromMinutes(5) },
        });
        await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(async _ =>
        {
            await using var client = await Wire.PlainAsync(world.Inbound);
            Assert.Equal("x", (await client.AskAsync(Get)).Body);
        }));

        Assert.Equal(AtOnce, app.Count);
        await Eventually.IsTrueAsync(() => world.Proxy.Connections.Count == 0, "all is over");
        Assert.Equal(2, (await world.AdminAsync("/upstreams")).GetProperty("upstreams")[0].GetProperty("keptConnections").GetInt32());
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
