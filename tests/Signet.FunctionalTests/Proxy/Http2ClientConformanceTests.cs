using System.Globalization;
using Signet.Proxy.Config;
using Signet.Proxy.Http2;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>
/// What a proxy does as a client of HTTP/2, section by section: what an application may answer, and what it may not and hears then. Whoever asked never
/// takes a part for the whole, and the next one is served.
/// </summary>
public sealed class Http2ClientConformanceTests(Http2ClientConformanceTests.World world) : IClassFixture<Http2ClientConformanceTests.World>
{
    private static readonly (string, string)[] Post = [(":method", "POST"), (":scheme", "http"), (":authority", "orders"), (":path", "/x")];
    private static readonly (string, string)[] Ok = [(":status", "200")];

    /// <summary>What whoever asked is told.</summary>
    private enum Outcome
    {
        /// <summary>The application's answer, whole.</summary>
        Whole,

        /// <summary>502 of the proxy's own.</summary>
        BadGateway,

        /// <summary>The answer's beginning, and that it breaks off.</summary>
        CutShort,
    }

    /// <summary>By name: what the application answers on the request's stream, what it hears then, and what whoever asked is told.</summary>
    private static readonly Dictionary<string, (Func<Http2Wire, int, Task> Answer, Func<Http2Wire, int, Task> Hears, Outcome Outcome)> Cases = new()
    {
        ["RFC 9113 4.1: a frame of an unknown type"] = (Then((wire, _) => wire.FrameAsync((FrameType)0x16, (FrameFlags)0xff, 0, [1]), Good), Nothing, Outcome.Whole),
        ["RFC 9113 4.2: a frame that is too large"] = ((wire, id) => wire.FrameAsync(FrameType.Headers, FrameFlags.EndHeaders, id, new byte[16_385]), GoAway(Http2Error.FrameSizeError), Outcome.BadGateway),
        ["RFC 9113 4.3: a header block that cannot be decoded"] = ((wire, id) => wire.FrameAsync(FrameType.Headers, FrameFlags.EndHeaders, id, [0xff, 0x7f]), GoAway(Http2Error.CompressionError), Outcome.BadGateway),
        ["RFC 9113 4.3: a frame inside a header block"] = (
            async (wire, id) =>
            {
                await wire.FrameAsync(FrameType.Headers, 0, id, [0x88]);
                await wire.FrameAsync(FrameType.Ping, 0, 0, new byte[8]);
            },
            GoAway(Http2Error.ProtocolError),
            Outcome.BadGateway),
        ["RFC 9113 5.1: DATA before HEADERS"] = ((wire, id) => wire.DataAsync(id, [1], endStream: true), Reset(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 5.1: DATA on a stream that nobody opened"] = ((wire, id) => wire.DataAsync(id + 100, [1]), GoAway(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 5.1: HEADERS on a stream that nobody opened"] = ((wire, id) => wire.RequestAsync(id + 100, true, Ok), GoAway(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 5.1: HEADERS on a stream of the server's own"] = ((wire, _) => wire.RequestAsync(2, true, Ok), GoAway(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 5.1: DATA behind the end"] = (Then(Good, (wire, id) => wire.DataAsync(id, [1])), GoAway(Http2Error.StreamClosed), Outcome.Whole),
        ["RFC 9113 6.1: more padding than DATA"] = (Then(Head, (wire, id) => wire.FrameAsync(FrameType.Data, FrameFlags.Padded, id, [9, 0])), GoAway(Http2Error.ProtocolError), Outcome.CutShort),
        ["RFC 9113 6.4: RST_STREAM of three octets"] = ((wire, id) => wire.FrameAsync(FrameType.ResetStream, 0, id, new byte[3]), GoAway(Http2Error.FrameSizeError), Outcome.BadGateway),
        ["RFC 9113 6.4: RST_STREAM within the answer"] = (Then(Head, (wire, id) => wire.ResetAsync(id, Http2Error.InternalError)), Nothing, Outcome.CutShort),
        ["RFC 9113 6.5: SETTINGS of five octets"] = ((wire, _) => wire.FrameAsync(FrameType.Settings, 0, 0, new byte[5]), GoAway(Http2Error.FrameSizeError), Outcome.BadGateway),
        ["RFC 9113 6.5.2: a server that wants to push"] = ((wire, _) => wire.FrameAsync(FrameType.Settings, 0, 0, Setting(2, 1)), GoAway(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 6.5.2: a window over its limit"] = ((wire, _) => wire.FrameAsync(FrameType.Settings, 0, 0, Setting(4, 0x8000_0000)), GoAway(Http2Error.FlowControlError), Outcome.BadGateway),
        ["RFC 9113 6.6: PUSH_PROMISE"] = ((wire, id) => wire.FrameAsync(FrameType.PushPromise, FrameFlags.EndHeaders, id, [0, 0, 0, 2, 0x82]), GoAway(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 6.7: PING is answered"] = (
            Then((wire, _) => wire.FrameAsync(FrameType.Ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]), Good),
            async (wire, _) => Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], (await wire.FrameAsync(FrameType.Ping)).Payload),
            Outcome.Whole),
        ["RFC 9113 6.7: PING of seven octets"] = ((wire, _) => wire.FrameAsync(FrameType.Ping, 0, 0, new byte[7]), GoAway(Http2Error.FrameSizeError), Outcome.BadGateway),
        ["RFC 9113 6.8: GOAWAY that still answers"] = (
            Then(
                async (wire, id) => await wire.FrameAsync(FrameType.GoAway, 0, 0, [0, 0, 0, (byte)id, 0, 0, 0, 0]),
                Good),
            Nothing,
            Outcome.Whole),
        ["RFC 9113 6.9: WINDOW_UPDATE by nothing"] = ((wire, _) => wire.FrameAsync(FrameType.WindowUpdate, 0, 0, new byte[4]), GoAway(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 6.9.1: a window over its limit"] = ((wire, _) => wire.FrameAsync(FrameType.WindowUpdate, 0, 0, [0x7f, 0xff, 0xff, 0xff]), GoAway(Http2Error.FlowControlError), Outcome.BadGateway),
        ["RFC 9113 6.10: CONTINUATION without a block"] = ((wire, id) => wire.FrameAsync(FrameType.Continuation, FrameFlags.EndHeaders, id, [0x88]), GoAway(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 6.10: a block in two pieces"] = (
            async (wire, id) =>
            {
                await wire.FrameAsync(FrameType.Headers, FrameFlags.EndStream, id, [0x88]);
                await wire.FrameAsync(FrameType.Continuation, FrameFlags.EndHeaders, id, Http2Wire.Literal("x-a", "b"));
            },
            Nothing,
            Outcome.Whole),

        ["RFC 9113 8.1: interim heads"] = (Then((wire, id) => wire.RequestAsync(id, false, (":status", "103"), ("link", "</a>")), Good), Nothing, Outcome.Whole),
        ["RFC 9113 8.1: an interim head that is the last"] = ((wire, id) => wire.RequestAsync(id, true, (":status", "103")), Reset(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 8.1: interim heads without end"] = (
            async (wire, id) =>
            {
                for (var i = 0; i < 30; i++)
                {
                    await wire.RequestAsync(id, false, (":status", "103"));
                }
            },
            Reset(Http2Error.ProtocolError),
            Outcome.BadGateway),
        ["RFC 9113 8.1: trailers that do not end the stream"] = (Then(Head, (wire, id) => wire.RequestAsync(id, false, ("x-a", "b"))), Reset(Http2Error.ProtocolError), Outcome.CutShort),
        ["RFC 9113 8.1: a pseudo-header in trailers"] = (Then(Head, (wire, id) => wire.RequestAsync(id, true, (":status", "200"))), Reset(Http2Error.ProtocolError), Outcome.CutShort),
        ["RFC 9113 8.1.1: less DATA than content-length says"] = (
            async (wire, id) =>
            {
                await wire.RequestAsync(id, false, [.. Ok, ("content-length", "5")]);
                await wire.DataAsync(id, [1], endStream: true);
            },
            Reset(Http2Error.ProtocolError),
            Outcome.CutShort),
        ["RFC 9113 8.1.1: more DATA than content-length says"] = (
            async (wire, id) =>
            {
                await wire.RequestAsync(id, false, [.. Ok, ("content-length", "1")]);
                await wire.DataAsync(id, [1, 2, 3]);
            },
            Reset(Http2Error.ProtocolError),
            Outcome.CutShort),
        ["RFC 9113 8.2: upper case in a name"] = ((wire, id) => wire.RequestAsync(id, true, [.. Ok, ("X-A", "b")]), Reset(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 8.2: a line end in a value"] = ((wire, id) => wire.RequestAsync(id, true, [.. Ok, ("x-a", "b\r\nset-cookie: a=b")]), Reset(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 8.2.2: a connection field"] = ((wire, id) => wire.RequestAsync(id, true, [.. Ok, ("transfer-encoding", "chunked")]), Reset(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 8.3.2: no status"] = ((wire, id) => wire.RequestAsync(id, true, ("x-a", "b")), Reset(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 8.3.2: two statuses"] = ((wire, id) => wire.RequestAsync(id, true, [.. Ok, .. Ok]), Reset(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 8.3.2: a status that is none"] = ((wire, id) => wire.RequestAsync(id, true, (":status", "20")), Reset(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 8.6: 101"] = ((wire, id) => wire.RequestAsync(id, true, (":status", "101")), Reset(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9113 8.3: a pseudo-header of requests"] = ((wire, id) => wire.RequestAsync(id, true, [.. Ok, (":path", "/")]), Reset(Http2Error.ProtocolError), Outcome.BadGateway),
        ["RFC 9110 6.4.1: a body with 204"] = (
            async (wire, id) =>
            {
                await wire.RequestAsync(id, false, (":status", "204"));
                await wire.DataAsync(id, [1], endStream: true);
            },
            Reset(Http2Error.ProtocolError),
            Outcome.Whole),
        ["RFC 9113 10.5: PINGs without end"] = (
            async (wire, _) =>
            {
                for (var i = 0; i < 600; i++)
                {
                    await wire.FrameAsync(FrameType.Ping, 0, 0, new byte[8]);
                }
            },
            GoAway(Http2Error.EnhanceYourCalm),
            Outcome.BadGateway),
        ["RFC 7541 6.3: a table larger than allowed"] = ((wire, id) => wire.FrameAsync(FrameType.Headers, FrameFlags.EndHeaders | FrameFlags.EndStream, id, [0x3f, 0xe2, 0x1f, 0x88]), GoAway(Http2Error.CompressionError), Outcome.BadGateway),
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Does_as(string section)
    {
        var (answer, hears, outcome) = Cases[section];
        var heard = world.Expect(answer, hears);
        await using var client = await Http2Wire.PlainAsync(world.Orders.Inbound);

        // Nobody repeats a POST by himself.
        await client.RequestAsync(1, true, Post);
        if (outcome == Outcome.CutShort)
        {
            Assert.Equal("200", (await client.HeadAsync(1))[":status"]);
            Assert.Equal(Http2Error.InternalError, await client.ResetAsync(1));
        }
        else
        {
            var head = await NotInterimAsync(client, 1);
            Assert.Equal(outcome == Outcome.BadGateway, head[":status"] == "502");
        }

        await heard.WaitAsync(TimeSpan.FromSeconds(30));
        var next = 3;
        await Eventually.IsTrueAsync(
            async () =>
            {
                await client.RequestAsync(next, true, [(":method", "GET"), .. Post[1..]]);
                next += 2;
                return (await NotInterimAsync(client, next - 2))[":status"] == "200";
            },
            "the next one is served");
    }

    [Fact]
    public async Task RFC_9113_3_4_A_server_that_does_not_begin_with_SETTINGS_is_no_server_of_HTTP_2()
    {
        await using var app = App.Serving(async (stream, _) =>
        {
            await using var wire = await Http2Wire.ServerAsync(stream, greets: false);
            await wire.FrameAsync(FrameType.Ping, 0, 0, new byte[8]);
            Assert.Equal(Http2Error.ProtocolError, await wire.GoAwayAsync());
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http2);
        await using var client = await Http2Wire.PlainAsync(orders.Inbound);
        await client.RequestAsync(1, true, Post);

        Assert.Contains((await client.HeadAsync(1))[":status"], new[] { "502", "503" });
    }

    [Fact]
    public async Task A_field_of_a_response_that_would_begin_another_reaches_no_client_of_HTTP_1()
    {
        await using var app = App.Serving(async (stream, _) =>
        {
            await using var wire = await Http2Wire.ServerAsync(stream);
            var (id, _, _) = await wire.AnyHeadAsync();
            await wire.RequestAsync(id, true, [.. Ok, ("x-a", "b\r\nset-cookie: session=mine")]);
            await wire.ResetAsync(id);
        });
        await using var orders = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http2);
        await using var client = await Wire.PlainAsync(orders.Inbound);

        var (status, head, _) = await client.AskAsync("POST /x HTTP/1.1\r\nHost: orders\r\nContent-Length: 0\r\n\r\n");
        Assert.Equal(502, status);
        Assert.DoesNotContain("set-cookie", head, StringComparison.Ordinal);
    }

    /// <summary>A proxy, and an application that serves every GET and does to a POST what the section wants, one section after the other.</summary>
    public sealed class World : IAsyncLifetime
    {
        private readonly App _app;
        private Func<Http2Wire, int, Task> _play = Nothing;

        public World() => _app = App.Serving(async (stream, _) =>
        {
            await using var wire = await Http2Wire.ServerAsync(stream);
            while (true)
            {
                var (id, _, fields) = await wire.AnyHeadAsync();
                await (fields.Contains(new(":method", "GET")) ? Good(wire, id) : Volatile.Read(ref _play)(wire, id));
            }
        });

        internal ProxyWorld Orders { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Orders = await ProxyWorld.InboundAsync(_app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http2);

        public async ValueTask DisposeAsync()
        {
            await Orders.DisposeAsync();
            await _app.DisposeAsync();
        }

        /// <summary>The next POST is answered so.</summary>
        /// <returns>Done when the application has heard what it was to hear.</returns>
        internal Task Expect(Func<Http2Wire, int, Task> answer, Func<Http2Wire, int, Task> hears)
        {
            var heard = new TaskCompletionSource();
            Volatile.Write(ref _play, async (wire, id) =>
            {
                try
                {
                    await answer(wire, id);
                    await hears(wire, id);
                    heard.SetResult();
                }
                catch (Exception e) when (e is not IOException)
                {
                    heard.SetException(e);
                }
            });
            return heard.Task;
        }
    }

    private static async Task<Dictionary<string, string>> NotInterimAsync(Http2Wire client, int streamId)
    {
        while (true)
        {
            var head = await client.HeadAsync(streamId);
            if (head[":status"] != "103")
            {
                return head;
            }
        }
    }

    private static Task Good(Http2Wire wire, int id) => wire.RequestAsync(id, true, Ok);

    private static Task Head(Http2Wire wire, int id) => wire.RequestAsync(id, false, Ok);

    private static Task Nothing(Http2Wire wire, int id) => Task.CompletedTask;

    private static Func<Http2Wire, int, Task> Then(Func<Http2Wire, int, Task> first, Func<Http2Wire, int, Task> second) => async (wire, id) =>
    {
        await first(wire, id);
        await second(wire, id);
    };

    private static Func<Http2Wire, int, Task> GoAway(Http2Error code) => async (wire, _) => Assert.Equal(code, await wire.GoAwayAsync());

    private static Func<Http2Wire, int, Task> Reset(Http2Error code) => async (wire, id) => Assert.Equal(code, await wire.ResetAsync(id));

    private static byte[] Setting(ushort id, uint value) => Convert.FromHexString(string.Create(CultureInfo.InvariantCulture, $"{id:x4}{value:x8}"));
}
