using System.Globalization;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Signet.Proxy.Config;
using Signet.Proxy.Http2;

namespace Signet.FunctionalTests.Proxy;

/// <summary>
/// What a proxy does as a server of HTTP/2, section by section: what a client may send, and what it may not and hears then. After each of them another
/// client is served.
/// </summary>
public sealed class Http2ServerConformanceTests(Http2ServerConformanceTests.World world) : IClassFixture<Http2ServerConformanceTests.World>
{
    private static readonly (string, string)[] Get = [(":method", "GET"), (":scheme", "http"), (":authority", "orders"), (":path", "/x")];
    private static readonly (string, string)[] Post = [(":method", "POST"), .. Get[1..]];

    /// <summary>By name: what is done, and what the client hears: a code that ends the connection, one that ends a stream, or the answer.</summary>
    private static readonly Dictionary<string, (Func<Http2Wire, Task> Play, Func<Http2Wire, Task> Expect)> Cases = new()
    {
        ["RFC 9113 3.4: a preface that ends otherwise"] = (wire => wire.BytesAsync("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"u8.ToArray()), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 3.4: the first frame is not SETTINGS"] = (
            async wire =>
            {
                await wire.BytesAsync(FrameHeader.Preface.ToArray());
                await wire.FrameAsync(FrameType.Ping, 0, 0, new byte[8]);
            },
            GoesAway(Http2Error.ProtocolError)),

        ["RFC 9113 4.1: a frame of an unknown type"] = (Greeted(wire => wire.FrameAsync((FrameType)0x16, (FrameFlags)0xff, 0, [1, 2, 3])), Serves()),
        ["RFC 9113 4.1: flags that mean nothing"] = (Greeted(wire => wire.FrameAsync(FrameType.Ping, (FrameFlags)0xfe, 0, new byte[8])), Pongs()),
        ["RFC 9113 4.1: the reserved bit"] = (Greeted(wire => wire.BytesAsync(0, 0, 8, 6, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)), Pongs()),

        ["RFC 9113 4.2: DATA of 16,384 octets"] = (Open(wire => wire.DataAsync(1, new byte[16_384], endStream: true)), Answers()),
        ["RFC 9113 4.2: DATA of one octet more"] = (Open(wire => wire.DataAsync(1, new byte[16_385])), GoesAway(Http2Error.FrameSizeError)),
        ["RFC 9113 4.2: HEADERS of one octet more"] = (Greeted(wire => wire.FrameAsync(FrameType.Headers, FrameFlags.EndHeaders, 1, new byte[16_385])), GoesAway(Http2Error.FrameSizeError)),

        ["RFC 9113 4.3: a header block that cannot be decoded"] = (Greeted(wire => wire.FrameAsync(FrameType.Headers, FrameFlags.EndHeaders, 1, [0xff])), GoesAway(Http2Error.CompressionError)),
        ["RFC 9113 4.3: PRIORITY inside a header block"] = (Inside(FrameType.Priority, 1, new byte[5]), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 4.3: HEADERS of another stream inside a header block"] = (Inside(FrameType.Headers, 3, Block(Get)), GoesAway(Http2Error.ProtocolError)),

        ["RFC 9113 5.1: idle: DATA"] = (Greeted(wire => wire.DataAsync(1, [1])), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 5.1: idle: RST_STREAM"] = (Greeted(wire => wire.ResetAsync(1, Http2Error.Cancel)), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 5.1: idle: WINDOW_UPDATE"] = (Greeted(wire => wire.FrameAsync(FrameType.WindowUpdate, 0, 1, [0, 0, 0, 1])), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 5.1: idle: CONTINUATION"] = (Greeted(wire => wire.FrameAsync(FrameType.Continuation, FrameFlags.EndHeaders, 1, Block(Get))), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 5.1: half-closed: DATA"] = (Ended(wire => wire.DataAsync(1, [1])), Breaks(1, Http2Error.StreamClosed)),
        ["RFC 9113 5.1: half-closed: HEADERS"] = (Ended(wire => wire.RequestAsync(1, true, Get)), Breaks(1, Http2Error.StreamClosed)),
        ["RFC 9113 5.1: half-closed: CONTINUATION"] = (Ended(wire => wire.FrameAsync(FrameType.Continuation, FrameFlags.EndHeaders, 1, Block(Get))), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 5.1: closed by RST_STREAM: DATA"] = (Open(Reset(wire => wire.DataAsync(1, [1]))), GoesAway(Http2Error.StreamClosed)),
        ["RFC 9113 5.1: closed by RST_STREAM: HEADERS"] = (Open(Reset(wire => wire.RequestAsync(1, true, Get))), GoesAway(Http2Error.StreamClosed)),
        ["RFC 9113 5.1: closed by END_STREAM: DATA"] = (Answered(wire => wire.DataAsync(1, [1])), GoesAway(Http2Error.StreamClosed)),
        ["RFC 9113 5.1: closed by END_STREAM: HEADERS"] = (Answered(wire => wire.RequestAsync(1, true, Get)), GoesAway(Http2Error.StreamClosed)),
        ["RFC 9113 5.1: closed: PRIORITY, WINDOW_UPDATE and RST_STREAM"] = (
            Answered(async wire =>
            {
                await wire.FrameAsync(FrameType.Priority, 0, 1, new byte[5]);
                await wire.FrameAsync(FrameType.WindowUpdate, 0, 1, [0, 0, 0, 1]);
                await wire.ResetAsync(1, Http2Error.Cancel);
            }),
            Serves()),

        ["RFC 9113 5.1.1: an even stream"] = (Greeted(wire => wire.RequestAsync(2, true, Get)), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 5.1.1: a stream below one that was opened"] = (
            Greeted(async wire =>
            {
                await wire.RequestAsync(5, true, Get);
                await wire.RequestAsync(3, true, Get);
            }),
            GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 5.1.1: streams that were left out"] = (Greeted(wire => wire.RequestAsync(101, true, Get)), Serves(103)),
        ["RFC 9113 5.5: an unknown frame inside a header block"] = (Inside((FrameType)0x16, 0, []), GoesAway(Http2Error.ProtocolError)),

        ["RFC 9113 6.1: DATA without a stream"] = (Greeted(wire => wire.DataAsync(0, [1])), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.1: more padding than DATA"] = (Open(wire => wire.FrameAsync(FrameType.Data, FrameFlags.Padded, 1, [2, 0])), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.1: nothing but padding"] = (Open(wire => wire.FrameAsync(FrameType.Data, FrameFlags.Padded | FrameFlags.EndStream, 1, [2, 0, 0])), Answers()),
        ["RFC 9113 6.2: HEADERS without a stream"] = (Greeted(wire => wire.RequestAsync(0, true, Get)), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.2: more padding than HEADERS"] = (Greeted(wire => wire.FrameAsync(FrameType.Headers, FrameFlags.Padded | FrameFlags.EndHeaders, 1, [9, 0x82])), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.2: HEADERS with padding and a priority"] = (
            Greeted(wire => wire.FrameAsync(FrameType.Headers, FrameFlags.Padded | FrameFlags.Priority | FrameFlags.EndHeaders | FrameFlags.EndStream, 1, [3, 0, 0, 0, 0, 16, .. Block(Get), 0, 0, 0])), Answers()),
        ["RFC 9113 6.3: PRIORITY without a stream"] = (Greeted(wire => wire.FrameAsync(FrameType.Priority, 0, 0, new byte[5])), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.3: PRIORITY of four octets"] = (Greeted(wire => wire.FrameAsync(FrameType.Priority, 0, 1, new byte[4])), GoesAway(Http2Error.FrameSizeError)),
        ["RFC 9113 6.4: RST_STREAM without a stream"] = (Greeted(wire => wire.ResetAsync(0, Http2Error.Cancel)), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.4: RST_STREAM of three octets"] = (Open(wire => wire.FrameAsync(FrameType.ResetStream, 0, 1, new byte[3])), GoesAway(Http2Error.FrameSizeError)),

        ["RFC 9113 6.5: an acknowledgement with settings"] = (Greeted(wire => wire.FrameAsync(FrameType.Settings, FrameFlags.Ack, 0, Setting(4, 1))), GoesAway(Http2Error.FrameSizeError)),
        ["RFC 9113 6.5: SETTINGS on a stream"] = (Greeted(wire => wire.FrameAsync(FrameType.Settings, 0, 1, [])), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.5: SETTINGS of five octets"] = (Greeted(wire => wire.FrameAsync(FrameType.Settings, 0, 0, new byte[5])), GoesAway(Http2Error.FrameSizeError)),
        ["RFC 9113 6.5.2: ENABLE_PUSH of 2"] = (Greeted(wire => wire.FrameAsync(FrameType.Settings, 0, 0, Setting(2, 2))), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.5.2: a window over its limit"] = (Greeted(wire => wire.FrameAsync(FrameType.Settings, 0, 0, Setting(4, 0x8000_0000))), GoesAway(Http2Error.FlowControlError)),
        ["RFC 9113 6.5.2: frames below their limit"] = (Greeted(wire => wire.FrameAsync(FrameType.Settings, 0, 0, Setting(5, 16_383))), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.5.2: frames above their limit"] = (Greeted(wire => wire.FrameAsync(FrameType.Settings, 0, 0, Setting(5, 16_777_216))), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.5.2: a setting that nobody knows"] = (Greeted(wire => wire.FrameAsync(FrameType.Settings, 0, 0, Setting(0xff, 1))), Serves()),
        ["RFC 9113 6.5.3: SETTINGS are acknowledged"] = (Greeted(wire => wire.FrameAsync(FrameType.Settings, 0, 0, Setting(3, 10))), Acknowledges(2)),

        ["RFC 9113 6.6: PUSH_PROMISE of a client"] = (Open(wire => wire.FrameAsync(FrameType.PushPromise, FrameFlags.EndHeaders, 1, [0, 0, 0, 2, .. Block(Get)])), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.7: PING"] = (Greeted(wire => wire.FrameAsync(FrameType.Ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8])), Pongs(1, 2, 3, 4, 5, 6, 7, 8)),
        ["RFC 9113 6.7: PING on a stream"] = (Greeted(wire => wire.FrameAsync(FrameType.Ping, 0, 1, new byte[8])), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.7: PING of seven octets"] = (Greeted(wire => wire.FrameAsync(FrameType.Ping, 0, 0, new byte[7])), GoesAway(Http2Error.FrameSizeError)),
        ["RFC 9113 6.7: an acknowledgement is not acknowledged"] = (
            Greeted(async wire =>
            {
                await wire.FrameAsync(FrameType.Ping, FrameFlags.Ack, 0, [9, 9, 9, 9, 9, 9, 9, 9]);
                await wire.FrameAsync(FrameType.Ping, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]);
            }),
            Pongs(1, 2, 3, 4, 5, 6, 7, 8)),
        ["RFC 9113 6.8: GOAWAY on a stream"] = (Greeted(wire => wire.FrameAsync(FrameType.GoAway, 0, 1, new byte[8])), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.8: GOAWAY of a client with a request under way"] = (
            Greeted(async wire =>
            {
                await wire.RequestAsync(1, false, Post);
                await wire.FrameAsync(FrameType.GoAway, 0, 0, new byte[8]);
                await wire.DataAsync(1, [1], endStream: true);
            }),
            Answers()),

        ["RFC 9113 6.9: WINDOW_UPDATE by nothing"] = (Greeted(wire => wire.FrameAsync(FrameType.WindowUpdate, 0, 0, new byte[4])), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.9: WINDOW_UPDATE by nothing on a stream"] = (Open(wire => wire.FrameAsync(FrameType.WindowUpdate, 0, 1, new byte[4])), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 6.9: WINDOW_UPDATE of three octets"] = (Greeted(wire => wire.FrameAsync(FrameType.WindowUpdate, 0, 0, new byte[3])), GoesAway(Http2Error.FrameSizeError)),
        ["RFC 9113 6.9.1: a window over its limit"] = (Greeted(wire => wire.FrameAsync(FrameType.WindowUpdate, 0, 0, [0x7f, 0xff, 0xff, 0xff])), GoesAway(Http2Error.FlowControlError)),
        ["RFC 9113 6.9.1: a stream's window over its limit"] = (Open(wire => wire.FrameAsync(FrameType.WindowUpdate, 0, 1, [0x7f, 0xff, 0xff, 0xff])), Breaks(1, Http2Error.FlowControlError)),
        ["RFC 9113 6.9.1: no more DATA than the window allows"] = (
            Greeted(async wire =>
            {
                await wire.FrameAsync(FrameType.Settings, 0, 0, Setting(4, 1));
                await wire.RequestAsync(1, false, Post);
                await wire.DataAsync(1, "abc"u8.ToArray(), endStream: true);
            }),
            Hears("a")),
        ["RFC 9113 6.9.2: a window that is taken back below nothing"] = (
            Greeted(async wire =>
            {
                await wire.FrameAsync(FrameType.Settings, 0, 0, Setting(4, 2));
                await wire.RequestAsync(1, false, Post);
                await wire.DataAsync(1, "abcd"u8.ToArray(), endStream: true);
                await Hears("ab")(wire);
                await wire.FrameAsync(FrameType.Settings, 0, 0, Setting(4, 0));
                await wire.FrameAsync(FrameType.WindowUpdate, 0, 1, [0, 0, 0, 3]);
            }),
            Hears("c")),

        ["RFC 9113 6.10: a block in several pieces"] = (
            Greeted(async wire =>
            {
                var block = Block(Get);
                await wire.FrameAsync(FrameType.Headers, FrameFlags.EndStream, 1, block[..1]);
                await wire.FrameAsync(FrameType.Continuation, 0, 1, block[1..9]);
                await wire.FrameAsync(FrameType.Continuation, FrameFlags.EndHeaders, 1, block[9..]);
            }),
            Answers()),
        ["RFC 9113 6.10: CONTINUATION without a stream"] = (Inside(FrameType.Continuation, 0, []), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.10: CONTINUATION behind a whole block"] = (Open(wire => wire.FrameAsync(FrameType.Continuation, FrameFlags.EndHeaders, 1, [])), GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 6.10: CONTINUATION behind DATA"] = (
            Open(async wire =>
            {
                await wire.DataAsync(1, [1]);
                await wire.FrameAsync(FrameType.Continuation, FrameFlags.EndHeaders, 1, []);
            }),
            GoesAway(Http2Error.ProtocolError)),
        ["RFC 9113 7: RST_STREAM with a code that nobody knows"] = (Open(wire => wire.ResetAsync(1, (Http2Error)0xff)), Serves(3)),

        ["RFC 9113 8.1: trailers that do not end the stream"] = (Open(wire => wire.RequestAsync(1, false, ("x-a", "b"))), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.1: trailers"] = (
            Open(async wire =>
            {
                await wire.DataAsync(1, [1]);
                await wire.RequestAsync(1, true, ("x-a", "b"));
            }),
            Answers()),
        ["RFC 9113 8.1.1: less DATA than content-length says"] = (Long(wire => wire.DataAsync(1, [1], endStream: true)), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.1.1: more DATA than content-length says"] = (
            Long(async wire =>
            {
                await wire.DataAsync(1, [1, 2]);
                await wire.DataAsync(1, [3, 4], endStream: true);
            }),
            Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.2: upper case in a name"] = (Asks([.. Get, ("X-A", "b")]), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.2.2: a connection field"] = (Asks([.. Get, ("connection", "keep-alive")]), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.2.2: te other than trailers"] = (Asks([.. Get, ("te", "trailers, deflate")]), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.3: a pseudo-header that nobody knows"] = (Asks([.. Get, (":x", "b")]), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.3: a pseudo-header of responses"] = (Asks([.. Get, (":status", "200")]), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.3: a pseudo-header behind a field"] = (Asks([.. Get[..3], ("x-a", "b"), Get[3]]), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.3: a pseudo-header in trailers"] = (Open(wire => wire.RequestAsync(1, true, (":path", "/"))), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.3.1: an empty path"] = (Asks([.. Get[..3], (":path", "")]), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.3.1: no method"] = (Asks(Get[1..]), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.3.1: no scheme"] = (Asks([Get[0], .. Get[2..]]), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.3.1: no path"] = (Asks(Get[..3]), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.3.1: two methods"] = (Asks([Get[0], .. Get]), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.3.1: two schemes"] = (Asks([Get[1], .. Get]), Breaks(1, Http2Error.ProtocolError)),
        ["RFC 9113 8.3.1: two paths"] = (Asks([Get[3], .. Get]), Breaks(1, Http2Error.ProtocolError)),

        ["RFC 9113 10.5: PINGs without end"] = (Flood(600, wire => wire.FrameAsync(FrameType.Ping, 0, 0, new byte[8])), GoesAway(Http2Error.EnhanceYourCalm)),
        ["RFC 9113 10.5: SETTINGS without end"] = (Flood(600, wire => wire.FrameAsync(FrameType.Settings, 0, 0, [])), GoesAway(Http2Error.EnhanceYourCalm)),
        ["RFC 9113 10.5: a header block without end"] = (
            Greeted(async wire =>
            {
                await wire.FrameAsync(FrameType.Headers, FrameFlags.EndStream, 1, []);
                for (var i = 0; i < 20; i++)
                {
                    await wire.FrameAsync(FrameType.Continuation, 0, 1, []);
                }
            }),
            GoesAway(Http2Error.EnhanceYourCalm)),

        ["RFC 7541 2.3.3: an index that nothing has"] = (Sends(0xff, 0x7f), GoesAway(Http2Error.CompressionError)),
        ["RFC 7541 4.2: a table size at the end of a block"] = (Sends([.. Block(Get), 0x20]), GoesAway(Http2Error.CompressionError)),
        ["RFC 7541 5.1: an integer without end"] = (Sends(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), GoesAway(Http2Error.CompressionError)),
        ["RFC 7541 5.2: padding of eight bits"] = (Sends([.. Block(Get), 0x00, 0x01, (byte)'a', 0x83, 0xff, 0xff, 0xff]), GoesAway(Http2Error.CompressionError)),
        ["RFC 7541 5.2: padding of zeros"] = (Sends([.. Block(Get), 0x00, 0x01, (byte)'a', 0x81, 0x18]), GoesAway(Http2Error.CompressionError)),
        ["RFC 7541 5.2: a text that is longer than the block"] = (Sends([.. Block(Get), 0x00, 0x01, (byte)'a', 0x7e, 0x00]), GoesAway(Http2Error.CompressionError)),
        ["RFC 7541 6.1: the index 0"] = (Sends(0x80), GoesAway(Http2Error.CompressionError)),
        ["RFC 7541 6.3: a table larger than allowed"] = (Sends([0x3f, 0xe2, 0x1f, .. Block(Get)]), GoesAway(Http2Error.CompressionError)),
        ["RFC 7541 6.3: a table of nothing"] = (Sends([0x20, .. Block(Get)]), Answers()),
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Does_as(string section)
    {
        var (play, expect) = Cases[section];
        await using (var wire = await Http2Wire.PlainAsync(world.Proxy.Inbound, greets: false))
        {
            try
            {
                await play(wire);
            }
            catch (IOException)
            {
                // It had heard enough, and what it said is there to be read.
            }

            await expect(wire);
        }

        await using var other = await Http2Wire.PlainAsync(world.Proxy.Inbound);
        await other.RequestAsync(1, true, Get);
        Assert.Equal("200", (await other.HeadAsync(1))[":status"]);
    }

    /// <summary>One proxy before an application that sends back what it gets.</summary>
    public sealed class World : IAsyncLifetime
    {
        private KestrelApp _app = null!;

        internal ProxyWorld Proxy { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            _app = await KestrelApp.StartAsync(HttpProtocols.Http2);
            Proxy = await ProxyWorld.InboundAsync(_app.EndPoint, ProxyWorld.Permissive, AppProtocol.Http2);
        }

        public async ValueTask DisposeAsync()
        {
            await Proxy.DisposeAsync();
            await _app.DisposeAsync();
        }
    }

    private static Func<Http2Wire, Task> Greeted(Func<Http2Wire, Task> then) => async wire =>
    {
        await wire.BytesAsync(FrameHeader.Preface.ToArray());
        await wire.FrameAsync(FrameType.Settings, FrameFlags.None, 0, []);
        await then(wire);
    };

    /// <summary>With a request on stream 1 whose body is not over.</summary>
    private static Func<Http2Wire, Task> Open(Func<Http2Wire, Task> then) => Greeted(async wire =>
    {
        await wire.RequestAsync(1, false, Post);
        await then(wire);
    });

    /// <summary>The same, announced with three octets.</summary>
    private static Func<Http2Wire, Task> Long(Func<Http2Wire, Task> then) => Greeted(async wire =>
    {
        await wire.RequestAsync(1, false, [.. Post, ("content-length", "3")]);
        await then(wire);
    });

    /// <summary>With a request on stream 1 that is over, while its answer cannot be: nothing of it may be sent.</summary>
    private static Func<Http2Wire, Task> Ended(Func<Http2Wire, Task> then) => Greeted(async wire =>
    {
        await wire.FrameAsync(FrameType.Settings, 0, 0, Setting(4, 0));
        await wire.RequestAsync(1, false, Post);
        await wire.DataAsync(1, [1], endStream: true);
        await then(wire);
    });

    private static Func<Http2Wire, Task> Answered(Func<Http2Wire, Task> then) => Greeted(async wire =>
    {
        await wire.RequestAsync(1, true, [.. Get[..3], (":path", "/204")]);
        await wire.HeadAsync(1);
        await then(wire);
    });

    private static Func<Http2Wire, Task> Reset(Func<Http2Wire, Task> then) => async wire =>
    {
        await wire.ResetAsync(1, Http2Error.Cancel);
        await then(wire);
    };

    private static Func<Http2Wire, Task> Inside(FrameType type, int streamId, byte[] payload) => Greeted(async wire =>
    {
        await wire.FrameAsync(FrameType.Headers, FrameFlags.EndStream, 1, Block(Get)[..5]);
        await wire.FrameAsync(type, FrameFlags.EndHeaders, streamId, payload);
    });

    private static Func<Http2Wire, Task> Asks((string, string)[] fields) => Greeted(wire => wire.RequestAsync(1, true, fields));

    private static Func<Http2Wire, Task> Sends(params byte[] block) => Greeted(wire => wire.FrameAsync(FrameType.Headers, FrameFlags.EndHeaders | FrameFlags.EndStream, 1, block));

    private static Func<Http2Wire, Task> Flood(int count, Func<Http2Wire, Task> once) => Greeted(async wire =>
    {
        for (var i = 0; i < count; i++)
        {
            await once(wire);
        }
    });

    /// <summary>GOAWAY with the code, and the connection ends.</summary>
    private static Func<Http2Wire, Task> GoesAway(Http2Error code) => async wire =>
    {
        Assert.Equal(code, await wire.GoAwayAsync());
        await wire.EndAsync();
    };

    /// <summary>The stream is reset with the code, and the next one is served.</summary>
    private static Func<Http2Wire, Task> Breaks(int streamId, Http2Error code) => async wire =>
    {
        Assert.Equal(code, await wire.ResetAsync(streamId));
        await wire.FrameAsync(FrameType.Settings, 0, 0, Setting(4, 65_535));
        await Serves(streamId + 2)(wire);
    };

    private static Func<Http2Wire, Task> Answers() => async wire => Assert.Equal("200", (await wire.HeadAsync(1))[":status"]);

    private static Func<Http2Wire, Task> Serves(int streamId = 3) => async wire =>
    {
        await wire.RequestAsync(streamId, true, Get);
        Assert.Equal("200", (await wire.HeadAsync(streamId))[":status"]);
    };

    private static Func<Http2Wire, Task> Acknowledges(int count) => async wire =>
    {
        for (var acknowledged = 0; acknowledged < count;)
        {
            acknowledged += (await wire.FrameAsync(FrameType.Settings)).Header.Has(FrameFlags.Ack) ? 1 : 0;
        }
    };

    private static Func<Http2Wire, Task> Hears(string text) => async wire => Assert.Equal(text, System.Text.Encoding.ASCII.GetString((await wire.FrameAsync(FrameType.Data)).Payload));

    private static Func<Http2Wire, Task> Pongs(params byte[] opaque) => async wire =>
    {
        var (header, payload) = await wire.FrameAsync(FrameType.Ping);
        Assert.True(header.Has(FrameFlags.Ack));
        Assert.Equal(opaque.Length > 0 ? opaque : new byte[8], payload);
    };

    private static byte[] Block((string Name, string Value)[] fields) => [.. fields.SelectMany(field => Http2Wire.Literal(field.Name, field.Value))];

    private static byte[] Setting(ushort id, uint value) => Convert.FromHexString(string.Create(CultureInfo.InvariantCulture, $"{id:x4}{value:x8}"));
}
