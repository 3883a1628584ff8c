using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Proxy.Http2;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>
/// What a client of HTTP/2 may try so that the application behind, which is told about it in HTTP/1.1 or HTTP/2, reads another request than the one
/// that was judged. Nothing of it arrives, and the log says why.
/// </summary>
public sealed class Http2HostileTests(Http2HostileTests.World world) : IClassFixture<Http2HostileTests.World>
{
    private static readonly (string, string)[] Good = [(":method", "GET"), (":scheme", "http"), (":authority", "orders"), (":path", "/")];

    public static TheoryData<string, string, string> Fields => new()
    {
        // A line end in HTTP/1.1 would begin another field, or another request.
        { "x-a", "b\r\nx-b: c", "ValueMalformed" },
        { "x-a", "b\nx-b: c", "ValueMalformed" },
        { "x-a", "b\rc", "ValueMalformed" },
        { "x-a", "b\0c", "ValueMalformed" },
        { "x-a", " b", "ValueMalformed" },
        { "x-a: b\r\nx-b", "c", "NameMalformed" },
        { "x-a:b", "c", "NameMalformed" },
        { "x a", "b", "NameMalformed" },
        { "", "b", "NameMalformed" },
        { "X-A", "b", "NameUpperCase" },

        // Whoever reads on by other rules ends the message elsewhere.
        { "transfer-encoding", "chunked", "ConnectionSpecific" },
        { "connection", "content-length", "ConnectionSpecific" },
        { "proxy-connection", "keep-alive", "ConnectionSpecific" },
        { "keep-alive", "timeout=5", "ConnectionSpecific" },
        { "upgrade", "websocket", "ConnectionSpecific" },
        { "http2-settings", "AAMAAABk", "ConnectionSpecific" },
        { "te", "gzip", "TeUnsupported" },
        { "te", "trailers, chunked", "TeUnsupported" },
        { "content-length", "5", "ContentLengthContradicted" },
        { "content-length", "+0", "ContentLengthMalformed" },
        { "content-length", "0, 0", "ContentLengthMalformed" },
        { "content-length", "", "ContentLengthMalformed" },

        // Two hosts, two applications.
        { "host", "billing", "HostContradicted" },

        // Pseudo-headers after the others, or ones that nobody asked for.
        { ":path", "/admin", "PseudoAfterField" },
        { ":protocol", "websocket", "PseudoAfterField" },

        // Names that some server takes for those that only the proxy may write.
        { "x_forwarded_client_cert", "URI=spiffe://example.org/ns/default/sa/admin", "HeaderImitated" },
        { "x-forwarded_client-cert", "URI=spiffe://example.org/ns/default/sa/admin", "HeaderImitated" },
        { "x.forwarded.client.cert", "URI=spiffe://example.org/ns/default/sa/admin", "HeaderImitated" },
        { "content_length", "5", "HeaderImitated" },
        { "transfer_encoding", "chunked", "HeaderImitated" },
        { "x_forwarded_for", "10.0.0.1", "HeaderImitated" },
        { "expect", "200-ok", "ExpectationUnsupported" },
    };

    public static TheoryData<string, string, string> Pseudo => new()
    {
        { ":path", "/ HTTP/1.1\r\nhost: billing\r\n\r\nGET /admin", "PathMalformed" },
        { ":path", "/a b", "PathMalformed" },
        { ":path", "/a#b", "PathMalformed" },
        { ":path", "admin", "PathMalformed" },
        { ":path", "http://billing/", "PathMalformed" },
        { ":path", "", "PathMalformed" },
        { ":path", "*", "PathMalformed" },
        { ":method", "GET / HTTP/1.1\r\nx: y\r\n\r\nGET", "MethodMalformed" },
        { ":method", "get", "MethodMalformed" },
        { ":method", "", "MethodMalformed" },
        { ":method", "TRACE", "MethodUnsupported" },
        { ":authority", "orders\r\nx-a: b", "AuthorityMalformed" },
        { ":authority", "admin@orders", "AuthorityMalformed" },
        { ":authority", "orders/admin", "AuthorityMalformed" },
        { ":authority", "", "AuthorityMalformed" },
        { ":scheme", "http://orders/?", "SchemeMalformed" },
        { ":scheme", "file", "SchemeMalformed" },
    };

    [Theory]
    [MemberData(nameof(Fields))]
    public Task No_field_with_two_readings_reaches_the_application(string name, string value, string reason) => ExpectRefusedAsync([.. Good, ("x-first", "1"), (name, value)], reason);

    [Theory]
    [MemberData(nameof(Pseudo))]
    public Task No_request_line_with_two_readings_reaches_the_application(string name, string value, string reason) =>
        ExpectRefusedAsync([.. Good.Select(field => field.Item1 == name ? (name, value) : field)], reason);

    private static ((string, string)[] Fields, string Reason)[] Parts =>
    [
        ([.. Good, (":path", "/admin")], "PseudoRepeated"),
        ([(":path", "/admin"), .. Good], "PseudoRepeated"),
        ([.. Good, (":status", "200")], "PseudoUnknown"),
        ([.. Good, (":protocol", "websocket")], "PseudoUnknown"),
        ([.. Good[..3]], "PseudoMissing"),
        ([Good[0], ("x-a", "b"), .. Good[1..]], "PseudoAfterField"),
        ([(":method", "CONNECT"), (":authority", "orders:8080")], "MethodUnsupported"),
        ([.. Good, ("host", "orders"), ("host", "orders")], "HostRepeated"),
        ([.. Good, ("content-length", "0"), ("content-length", "0")], "ContentLengthRepeated"),
        ([.. Good, ("x-request-id", "a"), ("x-request-id", "b")], "HeaderRepeated"),
        ([.. Good, .. Enumerable.Range(0, 101).Select(i => ($"x-{i}", "y"))], "TooLarge"),
    ];

    [Fact]
    public async Task No_request_with_a_part_too_many_or_too_few_reaches_the_application()
    {
        foreach (var (fields, reason) in Parts)
        {
            await ExpectRefusedAsync(fields, reason);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Nothing_of_all_that_reaches_an_application_of_HTTP_2_either_not_by_way_of_the_callers_own_proxy(bool isOutbound)
    {
        var corpus = Parts
            .Concat(Fields.Select(row => (((string, string)[])[.. Good, ("x-first", "1"), (row.Data.Item1, row.Data.Item2)], row.Data.Item3)))
            .Concat(Pseudo.Select(row => (((string, string)[])[.. Good.Select(field => field.Item1 == row.Data.Item1 ? (row.Data.Item1, row.Data.Item2) : field)], row.Data.Item3)));
        await using var app = new Http2Recorder();
        await using var orders = isOutbound
            ? await ProxyWorld.OutboundAsync([app.EndPoint], new TestAuthority(DateTimeOffset.UtcNow), AppProtocol.Http2, policy: ProxyWorld.PlaintextToOrders)
            : await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http2);
        await using var peer = await Http2Wire.PlainAsync(isOutbound ? orders.Outbound : orders.Inbound);
        var (id, expected) = (1, new List<string>());
        foreach (var (fields, reason) in corpus)
        {
            await peer.RequestAsync(id, true, fields);
            await peer.RequestAsync(id + 2, true, [.. Good, ("x-request-id", $"{id}")]);
            Assert.Equal("200", (await peer.HeadAsync(id + 2))[":status"]);
            expected.Add(reason);
            Assert.True(app.Arrived.TryDequeue(out var arrived));
            Assert.Equal($":method: GET\n:scheme: http\n:authority: orders\n:path: /\nx-request-id: {id}\n", arrived);
            Assert.Empty(app.Arrived);
            id += 4;
        }

        await Eventually.IsTrueAsync(() => orders.Log().Count == 2 * expected.Count, "a line for each");
        Assert.Equal(expected.Order(), orders.Log().Where(line => ProxyWorld.Flag(line) == nameof(RefusalReason.MalformedRequest)).Select(line => line.GetProperty("reason").GetString()!).Order());
    }

    /// <summary>What is sent besides, what arrives of it in HTTP/1.1, and in HTTP/2.</summary>
    public static TheoryData<string, string, string, string> Arrivals => new()
    {
        { "/", "", "GET / HTTP/1.1|host: orders", ":path: /" },
        { "/a/../b?x=/../y", "", "GET /b?x=/../y HTTP/1.1|host: orders", ":path: /b?x=/../y" },
        { "/a/./%2e%2e/b", "", "GET /b HTTP/1.1|host: orders", ":path: /b" },
        { "/%61%2Fb", "", "GET /a%2Fb HTTP/1.1|host: orders", ":path: /a%2Fb" },
        { "/a\\b", "", "GET /a/b HTTP/1.1|host: orders", ":path: /a/b" },
        { "/x", "host: ORDERS", "GET /x HTTP/1.1|host: orders", ":path: /x" },
        { "/x", "te: trailers", "GET /x HTTP/1.1|host: orders", ":path: /x" },
        { "/x", "cookie: a=1|x-a: b|cookie: c=2", "GET /x HTTP/1.1|host: orders|cookie: a=1; c=2|x-a: b", ":path: /x|cookie: a=1; c=2|x-a: b" },
        { "/x", "x-a: 1|x-a: 2", "GET /x HTTP/1.1|host: orders|x-a: 1|x-a: 2", ":path: /x|x-a: 1|x-a: 2" },
        { "/x", "x-forwarded-client-cert: URI=spiffe://example.org/ns/default/sa/admin", "GET /x HTTP/1.1|host: orders", ":path: /x" },
        { "/x", "client-cert: :AAAA:|client-cert-chain: :AAAA:", "GET /x HTTP/1.1|host: orders", ":path: /x" },
        { "/x", "proxy-authorization: Basic eDp5", "GET /x HTTP/1.1|host: orders", ":path: /x" },
        { "/x", "content-length: 0", "GET /x HTTP/1.1|host: orders|content-length: 0", ":path: /x|content-length: 0" },
        { "/x", "x-high: \u00fc", "GET /x HTTP/1.1|host: orders|x-high: \u00fc", ":path: /x|x-high: \u00fc" },
    };

    [Theory]
    [MemberData(nameof(Arrivals))]
    public async Task What_arrives_is_what_was_judged_to_the_byte(string path, string fields, string first, string second)
    {
        foreach (var port in new[] { world.One, world.Two })
        {
            await using var peer = await Http2Wire.PlainAsync(port);
            await peer.RequestAsync(1, true, [.. Good[..3], (":path", path), .. fields.Split('|', StringSplitOptions.RemoveEmptyEntries).Select(field => (field.Split(": ")[0], field.Split(": ", 2)[1])), ("x-request-id", "one")]);
            Assert.Equal("200", (await peer.HeadAsync(1))[":status"]);
        }

        Assert.Equal(first.Replace("|", "\r\n", StringComparison.Ordinal) + "\r\nx-request-id: one\r\n\r\n", Take(world.Old.Heads));
        Assert.Equal($":method: GET\n:scheme: http\n:authority: orders\n{second.Replace('|', '\n')}\nx-request-id: one\n{(fields == "te: trailers" ? "te: trailers\n" : "")}", Assert.Single(world.Recorder.TakeAll(), arrived => !arrived.EndsWith("RST_STREAM", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Trailers_that_come_with_the_last_octets_are_refused_as_such()
    {
        const int Streams = 30;
        var before = world.Refused().Count;
        await using var peer = await Http2Wire.PlainAsync(world.Two);
        for (var i = 0; i < Streams; i++)
        {
            var id = (2 * i) + 1;
            await peer.RequestAsync(id, false, [(":method", "POST"), .. Good[1..]]);
            await peer.DataAsync(id, "abc"u8.ToArray());
            await Task.Yield();
            await peer.BytesAsync([.. Http2Wire.Frame(FrameType.Data, 0, id, "def"u8.ToArray()), .. Http2Wire.Frame(FrameType.Headers, FrameFlags.EndHeaders | FrameFlags.EndStream, id, Http2Wire.Literal(":path", "/admin"))]);
            Assert.Equal(Http2Error.ProtocolError, await peer.ResetAsync(id));
        }

        await Eventually.IsTrueAsync(() => world.Refused().Count == before + Streams, "each is refused as malformed");
        world.Recorder.TakeAll();
    }

    [Theory]
    [InlineData("5", "abc", "ContentLengthContradicted")]
    [InlineData("3", "abcde", "ContentLengthContradicted")]
    public async Task A_body_of_another_length_than_was_said_is_never_a_whole_request_to_an_application_of_HTTP_2(string length, string body, string reason)
    {
        var before = world.Refused().Count;
        await using var peer = await Http2Wire.PlainAsync(world.Two);
        await peer.RequestAsync(1, false, [(":method", "POST"), .. Good[1..], ("content-length", length)]);
        await Eventually.IsTrueAsync(() => world.Orders.Proxy.Connections.All.Any(live => live.Protocol == "http"), "it is under way");
        await peer.DataAsync(1, Encoding.ASCII.GetBytes(body), endStream: true);

        Assert.Equal(Http2Error.ProtocolError, await peer.ResetAsync(1));
        Assert.Contains(reason, await world.RefusedAsync(before), StringComparison.Ordinal);
        await peer.RequestAsync(3, true, [.. Good, ("x-request-id", "two")]);
        Assert.Equal("200", (await peer.HeadAsync(3))[":status"]);
        Assert.All(world.Recorder.TakeAll(), arrived => Assert.True(arrived.EndsWith("RST_STREAM", StringComparison.Ordinal) || arrived.Contains("x-request-id: two", StringComparison.Ordinal), arrived));
    }

    [Theory]
    [InlineData(":path", "/admin")]
    [InlineData("x-forwarded-client-cert", "URI=spiffe://example.org/ns/default/sa/admin")]
    [InlineData("x_forwarded_client_cert", "URI=spiffe://example.org/ns/default/sa/admin")]
    [InlineData("authorization", "Bearer x")]
    [InlineData("x-sum", "three octets")]
    public async Task Trailers_of_requests_reach_no_application_of_HTTP_2(string name, string value)
    {
        var before = world.Refused().Count;
        await using var peer = await Http2Wire.PlainAsync(world.Two);
        await peer.RequestAsync(1, false, [(":method", "POST"), .. Good[1..]]);
        await peer.DataAsync(1, "abc"u8.ToArray());
        await peer.RequestAsync(1, true, (name, value));
        await Eventually.IsTrueAsync(() => !world.Recorder.Arrived.IsEmpty || world.Refused().Count > before, "it is over");
        await peer.RequestAsync(3, true, [.. Good, ("x-request-id", "two")]);
        Assert.Equal("200", (await peer.HeadAsync(3))[":status"]);

        if (name != "x-sum")
        {
            await world.RefusedAsync(before);
        }

        var arrivals = world.Recorder.TakeAll();
        Assert.All(arrivals, arrived => Assert.DoesNotContain(value, arrived, StringComparison.Ordinal));
        Assert.DoesNotContain(arrivals, arrived => arrived.Contains("trailers", StringComparison.Ordinal));
        Assert.Equal(name == "x-sum" ? 2 : 1, arrivals.Count(arrived => !arrived.EndsWith("RST_STREAM", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("5", "abc", "ContentLengthContradicted")]
    [InlineData("3", "abcde", "ContentLengthContradicted")]
    public async Task A_body_of_another_length_than_was_said_is_never_a_whole_request_to_the_application(string length, string body, string reason)
    {
        var (before, arrived, broken) = (world.Refused().Count, world.Once.Count, world.Once.Broken.Count);
        await using var peer = await Http2Wire.PlainAsync(world.First);
        await peer.RequestAsync(1, false, [(":method", "POST"), .. Good[1..], ("content-length", length)]);
        await Eventually.IsTrueAsync(() => world.Once.Count == arrived + 1, "it arrived");
        await peer.DataAsync(1, Encoding.ASCII.GetBytes(body), endStream: true);

        Assert.Equal(Http2Error.ProtocolError, await peer.ResetAsync(1));
        Assert.Contains(reason, await world.RefusedAsync(before), StringComparison.Ordinal);
        await Eventually.IsTrueAsync(() => world.Once.Broken.Count == broken + 1, "the application's connection broke");
        Assert.Empty(world.Once.Heads);
    }

    [Theory]
    [InlineData(":path", "/admin")]
    [InlineData("content-length", "5")]
    [InlineData("x-forwarded-client-cert", "URI=spiffe://example.org/ns/default/sa/admin")]
    [InlineData("x_forwarded_client_cert", "URI=spiffe://example.org/ns/default/sa/admin")]
    [InlineData("transfer-encoding", "chunked")]
    [InlineData("authorization", "Bearer x")]
    public async Task Trailers_that_nobody_judged_end_no_request(string name, string value)
    {
        var (before, arrived, broken) = (world.Refused().Count, world.Once.Count, world.Once.Broken.Count);
        await using var peer = await Http2Wire.PlainAsync(world.First);
        await peer.RequestAsync(1, false, [(":method", "POST"), .. Good[1..]]);
        await peer.DataAsync(1, "abc"u8.ToArray());
        await Eventually.IsTrueAsync(() => world.Once.Count == arrived + 1, "it arrived");
        await peer.RequestAsync(1, true, (name, value));

        await world.RefusedAsync(before);
        await Eventually.IsTrueAsync(() => world.Once.Broken.Count == broken + 1, "the application's connection broke");
        Assert.Empty(world.Once.Heads);
    }

    [Fact]
    public async Task Harmless_trailers_of_a_request_end_at_the_proxy_and_the_request_passes()
    {
        await using var app = App.Http((_, body) => App.Ok(Encoding.Latin1.GetString(body)));
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http);
        await using var peer = await Http2Wire.PlainAsync(orders.Inbound);
        await peer.RequestAsync(1, false, [(":method", "POST"), .. Good[1..]]);
        await peer.DataAsync(1, "abc"u8.ToArray());
        await peer.RequestAsync(1, true, ("x-sum", "3"));

        Assert.Equal("200", (await peer.HeadAsync(1))[":status"]);
        Assert.Equal("abc", Encoding.ASCII.GetString(await peer.ReadDataAsync(1)));
    }

    [Fact]
    public async Task Streams_that_are_opened_and_reset_again_and_again_end_the_connection()
    {
        await using var app = await KestrelApp.StartAsync(Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http2);
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http2);
        await using var peer = await Http2Wire.PlainAsync(orders.Inbound);
        var head = Good.SelectMany(field => Http2Wire.Literal(field.Item1, field.Item2)).ToArray();
        try
        {
            for (var i = 0; i < 50; i++)
            {
                await peer.BytesAsync([.. Enumerable.Range(i * 100, 100).SelectMany(n => (byte[])
                [
                    .. Http2Wire.Frame(FrameType.Headers, FrameFlags.EndHeaders | FrameFlags.EndStream, (2 * n) + 1, head), .. Http2Wire.Frame(FrameType.ResetStream, 0, (2 * n) + 1, [0, 0, 0, (byte)Http2Error.Cancel]),
                ])]);
            }
        }
        catch (IOException)
        {
            // It is over.
        }

        Assert.StartsWith("too many resets", (await orders.RefusedAsync(RefusalReason.MalformedRequest)).GetProperty("reason").GetString(), StringComparison.Ordinal);

        await using var other = await Http2Wire.PlainAsync(orders.Inbound);
        await other.RequestAsync(1, true, Good);
        Assert.Equal("200", (await other.HeadAsync(1))[":status"]);
        await Eventually.IsTrueAsync(() => orders.Proxy.Connections.All.Count(live => live.Protocol == "http") == 0, "no stream is left");
    }

    /// <summary>Below what a proxy puts up with, and above what many servers do: nghttp2 ends a session for a thousand resets, others for a few hundred.</summary>
    [Fact]
    public async Task A_client_that_resets_its_streams_costs_nobody_else_the_session_at_the_application()
    {
        const int Enough = 300, AtOnce = 50, Rounds = 20;
        var (seen, resets, most) = (0, 0, 0);
        var goOn = new TaskCompletionSource();
        await using var app = App.Serving(async (stream, _) =>
        {
            await using var wire = await Http2Wire.ServerAsync(stream);
            var (here, answering) = (0, new List<Task>());
            while (here < Enough)
            {
                var frame = await wire.AnyAsync();
                switch (frame.Header.Type)
                {
                    case FrameType.Headers when frame.Fields.Contains(new(":path", "/held")):
                        await wire.RequestAsync(frame.Header.StreamId, false, (":status", "200"));
                        answering.Add(AnswerAsync(frame.Header.StreamId));
                        break;
                    case FrameType.Headers when frame.Fields.Contains(new(":path", "/good")):
                        await wire.RequestAsync(frame.Header.StreamId, true, (":status", "200"));
                        break;
                    case FrameType.Headers:
                        Interlocked.Increment(ref seen);
                        break;
                    case FrameType.ResetStream:
                        most = Math.Max(most, ++here);
                        Interlocked.Increment(ref resets);
                        break;
                }
            }

            async Task AnswerAsync(int id)
            {
                await goOn.Task;
                await wire.DataAsync(id, "x"u8.ToArray(), endStream: true);
            }
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http2);

        // Several, so that some of them live on the same loop as the one that resets.
        var others = new List<Http2Wire>();
        for (var i = 0; i < 6; i++)
        {
            others.Add(await Http2Wire.PlainAsync(orders.Inbound));
            await others[i].RequestAsync(1, true, [.. Good[..3], (":path", "/held")]);
            Assert.Equal("200", (await others[i].HeadAsync(1))[":status"]);
        }

        await using var peer = await Http2Wire.PlainAsync(orders.Inbound);
        var id = 1;
        for (var round = 1; round <= Rounds; round++)
        {
            for (var i = 0; i < AtOnce; i++)
            {
                await peer.RequestAsync(id + (2 * i), true, Good);
            }

            await Eventually.IsTrueAsync(() => Volatile.Read(ref seen) == round * AtOnce, "they arrived");
            for (var i = 0; i < AtOnce; i++)
            {
                await peer.ResetAsync(id + (2 * i), Http2Error.Cancel);
            }

            await Eventually.IsTrueAsync(() => Volatile.Read(ref resets) == round * AtOnce, "their resets arrived");
            foreach (var other in others)
            {
                await other.RequestAsync(1 + (2 * round), true, [.. Good[..3], (":path", "/good")]);
                Assert.Equal("200", (await other.HeadAsync(1 + (2 * round)))[":status"]);
            }

            id += 2 * AtOnce;
        }

        Assert.InRange(most, 1, 100 + AtOnce);
        goOn.SetResult();
        foreach (var other in others)
        {
            Assert.Equal("x"u8.ToArray(), await other.ReadDataAsync(1));
            await other.DisposeAsync();
        }
    }

    [Fact]
    public async Task More_streams_than_allowed_are_refused_and_may_be_sent_again()
    {
        await using var app = await KestrelApp.StartAsync(
            Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http2, context => Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted));
        await using var orders = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http2, change: config => config with { Limits = config.Limits with { Streams = 3 } });
        await using var peer = await Http2Wire.PlainAsync(orders.Inbound);
        for (var i = 0; i < 4; i++)
        {
            await peer.RequestAsync((2 * i) + 1, true, Good);
        }

        Assert.Equal(Http2Error.RefusedStream, await peer.ResetAsync(7));
        await Eventually.IsTrueAsync(() => app.Requests.Count == 3, "the others arrived");
    }

    private async Task ExpectRefusedAsync((string Name, string Value)[] fields, string reason)
    {
        var before = world.Refused().Count;
        await using var peer = await Http2Wire.PlainAsync(world.One);
        await peer.RequestAsync(1, true, fields);

        Assert.Equal(reason, await world.RefusedAsync(before));
        await peer.RequestAsync(3, true, [.. Good[..3], (":path", "/good")]);
        Assert.Equal("200", (await peer.HeadAsync(3))[":status"]);
        Assert.StartsWith("GET /good HTTP/1.1\r\nhost: orders\r\n", Take(world.Old.Heads), StringComparison.Ordinal);
    }

    /// <summary>The only thing that has arrived since the last look.</summary>
    private static string Take(ConcurrentQueue<string> arrived)
    {
        Assert.True(arrived.TryDequeue(out var one));
        Assert.Empty(arrived);
        return one;
    }

    /// <summary>A proxy before applications of HTTP/1.1 and of HTTP/2 that trust it, and before one that serves each connection once; shared by tests that run one after the other.</summary>
    public sealed class World : IAsyncLifetime
    {
        internal App Old { get; } = App.Http();

        internal Http2Recorder Recorder { get; } = new();

        internal App Once { get; } = App.Serving(async (stream, app) =>
        {
            var reader = new App.ByteReader(stream);
            var head = await reader.HeadAsync();
            await reader.BodyAsync(head!);
            app.Heads.Enqueue(head!);
        });

        internal ProxyWorld Orders { get; private set; } = null!;

        internal IPEndPoint One => Orders.Inbound;

        internal IPEndPoint Two => Orders.Proxy.Listening["two"];

        internal IPEndPoint First => Orders.Proxy.Listening["once"];

        public async ValueTask InitializeAsync() => Orders = await ProxyWorld.InboundAsync(Old.EndPoint, ProxyWorld.Permissive, AppProtocol.Http, change: config => config with
        {
            Inbound =
            [
                .. config.Inbound,
                new InboundConfig("two", new(IPAddress.Loopback, 0), 9000, AppProtocol.Http2, Recorder.EndPoint),
                new InboundConfig("once", new(IPAddress.Loopback, 0), 9001, AppProtocol.Http, Once.EndPoint),
            ],
        });

        public async ValueTask DisposeAsync()
        {
            await Orders.DisposeAsync();
            await Old.DisposeAsync();
            await Recorder.DisposeAsync();
            await Once.DisposeAsync();
        }

        /// <summary>Why requests were refused as malformed, so far.</summary>
        internal IReadOnlyList<string> Refused() =>
            [.. Orders.Log().Where(line => ProxyWorld.Flag(line) == nameof(RefusalReason.MalformedRequest)).Select(line => line.GetProperty("reason").GetString()!)];

        /// <summary>Why the next one is, after so many before.</summary>
        internal async Task<string> RefusedAsync(int before)
        {
            await Eventually.IsTrueAsync(() => Refused().Count > before, "a line about a malformed request");
            return Refused()[before];
        }
    }
}
