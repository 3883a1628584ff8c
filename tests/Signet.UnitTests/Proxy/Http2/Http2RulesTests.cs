using Signet.Proxy.Http2;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Http2;

/// <summary>What ends a stream or the connection, and what does not.</summary>
public sealed class Http2RulesTests
{
    public static TheoryData<string, FrameType, byte, int, string, Http2Error> ConnectionErrors => new()
    {
        { "DATA without a stream", FrameType.Data, 0, 0, "00", Http2Error.ProtocolError },
        { "DATA on an idle stream", FrameType.Data, 0, 5, "00", Http2Error.ProtocolError },
        { "DATA on an even stream", FrameType.Data, 0, 2, "00", Http2Error.ProtocolError },
        { "padding that is too long", FrameType.Data, 8, 1, "0500", Http2Error.ProtocolError },
        { "HEADERS without a stream", FrameType.Headers, 4, 0, "82", Http2Error.ProtocolError },
        { "HEADERS on an even stream", FrameType.Headers, 4, 4, "82", Http2Error.ProtocolError },
        { "HEADERS that cannot be decoded", FrameType.Headers, 4, 3, "80", Http2Error.CompressionError },
        { "CONTINUATION without HEADERS", FrameType.Continuation, 4, 1, "82", Http2Error.ProtocolError },
        { "RST_STREAM on an idle stream", FrameType.ResetStream, 0, 5, "00000008", Http2Error.ProtocolError },
        { "RST_STREAM without a stream", FrameType.ResetStream, 0, 0, "00000008", Http2Error.ProtocolError },
        { "RST_STREAM of three octets", FrameType.ResetStream, 0, 1, "000000", Http2Error.FrameSizeError },
        { "SETTINGS on a stream", FrameType.Settings, 0, 1, "", Http2Error.ProtocolError },
        { "SETTINGS of five octets", FrameType.Settings, 0, 0, "0001000000", Http2Error.FrameSizeError },
        { "an acknowledgement with settings", FrameType.Settings, 1, 0, "000100000000", Http2Error.FrameSizeError },
        { "a window over its limit", FrameType.Settings, 0, 0, "000480000000", Http2Error.FlowControlError },
        { "frames smaller than allowed", FrameType.Settings, 0, 0, "000500003fff", Http2Error.ProtocolError },
        { "frames larger than allowed", FrameType.Settings, 0, 0, "000501000000", Http2Error.ProtocolError },
        { "a push setting that is no bool", FrameType.Settings, 0, 0, "000200000002", Http2Error.ProtocolError },
        { "PING on a stream", FrameType.Ping, 0, 1, "0000000000000000", Http2Error.ProtocolError },
        { "PING of seven octets", FrameType.Ping, 0, 0, "00000000000000", Http2Error.FrameSizeError },
        { "GOAWAY on a stream", FrameType.GoAway, 0, 1, "0000000000000000", Http2Error.ProtocolError },
        { "GOAWAY of four octets", FrameType.GoAway, 0, 0, "00000000", Http2Error.FrameSizeError },
        { "WINDOW_UPDATE by nothing", FrameType.WindowUpdate, 0, 0, "00000000", Http2Error.ProtocolError },
        { "WINDOW_UPDATE over the limit", FrameType.WindowUpdate, 0, 0, "7fffffff", Http2Error.FlowControlError },
        { "WINDOW_UPDATE on an idle stream", FrameType.WindowUpdate, 0, 5, "00000001", Http2Error.ProtocolError },
        { "WINDOW_UPDATE of three octets", FrameType.WindowUpdate, 0, 1, "000001", Http2Error.FrameSizeError },
        { "PUSH_PROMISE", FrameType.PushPromise, 4, 1, "0000000282", Http2Error.ProtocolError },
        { "PRIORITY of four octets", FrameType.Priority, 0, 1, "00000000", Http2Error.FrameSizeError },
        { "PRIORITY without a stream", FrameType.Priority, 0, 0, "0000000000", Http2Error.ProtocolError },
    };

    [Theory]
    [MemberData(nameof(ConnectionErrors))]
    public async Task Ends_the_connection(string breach, FrameType type, byte flags, int streamId, string payload, Http2Error expected)
    {
        Assert.NotEmpty(breach);
        await using var peer = await RawPeer.OfServerAsync();
        await peer.SendConnectAsync(1);
        await peer.SendFrameAsync(type, (FrameFlags)flags, streamId, Convert.FromHexString(payload));
        await peer.ExpectGoAwayAsync(expected);
    }

    [Theory]
    [InlineData("unknown type", (FrameType)0x42, 0xff, 1, "010203")]
    [InlineData("PRIORITY on an idle stream", FrameType.Priority, 0, 9, "0000000000")]
    [InlineData("an unknown setting", FrameType.Settings, 0, 0, "00ff80000000")]
    [InlineData("the largest window", FrameType.Settings, 0, 0, "00047fffffff")]
    [InlineData("the smallest frames", FrameType.Settings, 0, 0, "000500004000")]
    [InlineData("the largest frames", FrameType.Settings, 0, 0, "000500ffffff")]
    [InlineData("GOAWAY of a client", FrameType.GoAway, 0, 0, "00000000000000006d6f7265")]
    [InlineData("WINDOW_UPDATE up to the limit", FrameType.WindowUpdate, 0, 0, "7fff0000")]
    [InlineData("DATA with padding", FrameType.Data, 8, 1, "02aa0000")]
    [InlineData("DATA without data", FrameType.Data, 0, 1, "")]
    public async Task Goes_on(string what, FrameType type, byte flags, int streamId, string payload)
    {
        Assert.NotEmpty(what);
        await using var peer = await RawPeer.OfServerAsync();
        await peer.SendConnectAsync(1);
        await peer.SendFrameAsync(type, (FrameFlags)flags, streamId, Convert.FromHexString(payload));
        await peer.ExpectAliveAsync();
        Assert.Equal(1, peer.Connection.OpenStreams);
    }

    [Fact]
    public async Task Refuses_another_protocol()
    {
        await using var peer = await RawPeer.OfServerAsync(greet: false);
        await peer.SendBytesAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n"u8.ToArray());
        await peer.ExpectGoAwayAsync(Http2Error.ProtocolError);
    }

    [Fact]
    public async Task Takes_the_preface_octet_by_octet()
    {
        await using var peer = await RawPeer.OfServerAsync(greet: false);
        foreach (var octet in FrameHeader.Preface.ToArray())
        {
            await peer.SendBytesAsync(octet);
        }

        foreach (var octet in new byte[] { 0, 0, 0, 4, 0, 0, 0, 0, 0 })
        {
            await peer.SendBytesAsync(octet);
        }

        await peer.ExpectAliveAsync();
    }

    [Fact]
    public async Task Refuses_a_first_frame_that_is_not_settings()
    {
        await using var peer = await RawPeer.OfServerAsync(greet: false);
        await peer.SendAsync(writer =>
        {
            writer.Preface();
            writer.Ping(1, isAck: false);
        });
        await peer.ExpectGoAwayAsync(Http2Error.ProtocolError);
    }

    [Fact]
    public async Task Refuses_a_frame_larger_than_it_said()
    {
        await using var peer = await RawPeer.OfServerAsync();
        await peer.SendConnectAsync(1);
        await peer.SendFrameAsync(FrameType.Data, 0, 1, new byte[16_384]);
        await peer.ExpectAliveAsync();
        await peer.SendFrameAsync(FrameType.Data, 0, 1, new byte[16_385]);
        await peer.ExpectGoAwayAsync(Http2Error.FrameSizeError);
    }

    [Fact]
    public async Task Refuses_a_server_that_wants_to_push()
    {
        await using var peer = await RawPeer.OfClientAsync();
        await peer.SendFrameAsync(FrameType.Settings, 0, 0, Convert.FromHexString("000200000001"));
        await peer.ExpectGoAwayAsync(Http2Error.ProtocolError);
    }

    [Theory]
    [InlineData(FrameType.Ping, "0000000000000000")]
    [InlineData(FrameType.Data, "00")]
    public async Task Nothing_may_come_between_the_parts_of_a_block(FrameType type, string payload)
    {
        await using var peer = await RawPeer.OfServerAsync();
        await peer.SendConnectAsync(1);
        await peer.SendFrameAsync(FrameType.Headers, FrameFlags.EndStream, 3, [0x82]);
        await peer.SendFrameAsync(type, 0, type == FrameType.Ping ? 0 : 1, Convert.FromHexString(payload));
        await peer.ExpectGoAwayAsync(Http2Error.ProtocolError);
    }

    [Fact]
    public async Task A_block_goes_on_on_its_own_stream_only()
    {
        await using var peer = await RawPeer.OfServerAsync();
        await peer.SendFrameAsync(FrameType.Headers, FrameFlags.EndStream, 1, [0x82]);
        await peer.SendFrameAsync(FrameType.Continuation, FrameFlags.EndHeaders, 3, [0x82]);
        await peer.ExpectGoAwayAsync(Http2Error.ProtocolError);
    }

    [Fact]
    public async Task A_block_may_come_in_parts_even_empty_ones()
    {
        var requests = new List<Http2RequestHead>();
        await using var peer = await RawPeer.OfServerAsync(stream =>
        {
            requests.Add(stream.Request);
            return Http2Pair.HoldAsync(stream);
        });
        var block = HpackBytes.Encode((":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/x"));
        await peer.SendFrameAsync(FrameType.Headers, FrameFlags.EndStream, 1, []);
        await peer.SendFrameAsync(FrameType.Continuation, FrameFlags.None, 1, block[..5]);
        await peer.SendFrameAsync(FrameType.Continuation, FrameFlags.None, 1, []);
        await peer.SendFrameAsync(FrameType.Continuation, FrameFlags.EndHeaders, 1, block[5..]);
        await peer.ExpectAliveAsync();
        Assert.Equal("/x", Assert.Single(requests).Path);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(9)]
    public async Task Streams_are_numbered_upward(int late)
    {
        await using var peer = await RawPeer.OfServerAsync();
        await peer.SendRequestAsync(5, endStream: false);
        await peer.SendRequestAsync(7, endStream: false);
        await peer.SendRequestAsync(11, endStream: false);
        await peer.ExpectAliveAsync();
        await peer.SendRequestAsync(late);
        await peer.ExpectGoAwayAsync(Http2Error.ProtocolError);
    }

    [Fact]
    public async Task Trailers_on_a_stream_that_was_reset_meanwhile_are_no_stream_out_of_order()
    {
        await using var peer = await RawPeer.OfServerAsync(stream =>
        {
            stream.Reset(Http2Error.Cancel);
            return Task.CompletedTask;
        });
        await peer.SendConnectAsync(3);
        await peer.ExpectResetAsync(3, Http2Error.Cancel);
        await peer.SendConnectAsync(7);
        await peer.ExpectResetAsync(7, Http2Error.Cancel);
        await peer.SendHeadersAsync(3, true, ("x-a", "b"));
        await peer.ExpectAliveAsync();
    }

    [Theory]
    [InlineData(FrameType.Data)]
    [InlineData(FrameType.Headers)]
    public async Task What_the_peer_sends_after_its_end_resets_an_open_stream(FrameType type)
    {
        await using var peer = await RawPeer.OfServerAsync();
        await peer.SendRequestAsync(1, endStream: true);
        await peer.SendFrameAsync(type, FrameFlags.EndHeaders, 1, type == FrameType.Data ? [1] : HpackBytes.Encode(("a", "b")));
        await peer.ExpectResetAsync(1, Http2Error.StreamClosed);
        await peer.ExpectAliveAsync();
    }

    [Fact]
    public async Task What_the_peer_sends_after_its_end_ends_the_connection_when_the_stream_is_closed()
    {
        await using var peer = await RawPeer.OfServerAsync(stream =>
        {
            stream.WriteHead(new Http2ResponseHead(200, []), endStream: true);
            return Task.CompletedTask;
        });
        await peer.SendRequestAsync(1, endStream: true);
        await peer.ReadAsync(FrameType.Headers);
        await peer.SendFrameAsync(FrameType.Data, 0, 1, [1]);
        await peer.ExpectGoAwayAsync(Http2Error.StreamClosed);
    }

    [Fact]
    public async Task What_was_sent_before_the_peer_knew_of_a_reset_is_forgiven()
    {
        await using var peer = await RawPeer.OfServerAsync(stream =>
        {
            stream.Reset(Http2Error.Cancel);
            return Task.CompletedTask;
        });
        await peer.SendConnectAsync(1);
        await peer.ExpectResetAsync(1, Http2Error.Cancel);
        await peer.SendFrameAsync(FrameType.Data, 0, 1, new byte[1000]);
        await peer.SendFrameAsync(FrameType.WindowUpdate, 0, 1, [0, 0, 0, 1]);
        await peer.SendFrameAsync(FrameType.ResetStream, 0, 1, [0, 0, 0, 8]);
        await peer.ExpectAliveAsync();
    }

    [Fact]
    public async Task Data_on_reset_streams_still_counts_for_the_connection_and_comes_back()
    {
        await using var peer = await RawPeer.OfServerAsync(
            stream =>
            {
                stream.Reset(Http2Error.Cancel);
                return Task.CompletedTask;
            },
            options => options with { ConnectionWindow = 65_535 });
        await peer.SendConnectAsync(1);
        await peer.ExpectResetAsync(1, Http2Error.Cancel);
        for (var i = 0; i < 20; i++)
        {
            await peer.SendFrameAsync(FrameType.Data, 0, 1, new byte[16_384]);
            if (i % 2 == 1)
            {
                Assert.Equal((0, 32_768), await peer.ReadAsync(FrameType.WindowUpdate) is var update ? (update.Header.StreamId, update.Number) : default);
            }
        }
    }

    [Fact]
    public async Task Data_over_a_streams_window_resets_it()
    {
        await using var peer = await RawPeer.OfServerAsync(options: options => options with { StreamWindow = 65_535 });
        await peer.SendConnectAsync(1);
        for (var i = 0; i < 3; i++)
        {
            await peer.SendFrameAsync(FrameType.Data, 0, 1, new byte[16_384]);
        }

        await peer.SendFrameAsync(FrameType.Data, 0, 1, new byte[16_383]);
        await peer.ExpectAliveAsync();
        await peer.SendFrameAsync(FrameType.Data, 0, 1, new byte[1]);
        await peer.ExpectResetAsync(1, Http2Error.FlowControlError);
    }

    [Fact]
    public async Task Data_over_the_connections_window_ends_it()
    {
        await using var peer = await RawPeer.OfServerAsync(options: options => options with { StreamWindow = 1 << 20, ConnectionWindow = 65_535, MaxBuffered = 0 });
        await peer.SendConnectAsync(1);
        for (var i = 0; i < 3; i++)
        {
            await peer.SendFrameAsync(FrameType.Data, 0, 1, new byte[16_384]);
        }

        await peer.ExpectAliveAsync();
        await peer.SendFrameAsync(FrameType.Data, 0, 1, new byte[16_384]);
        await peer.ExpectGoAwayAsync(Http2Error.FlowControlError);
    }

    [Fact]
    public async Task Windows_open_by_halves_and_only_as_readers_come()
    {
        var read = new SemaphoreSlim(0);
        await using var peer = await RawPeer.OfServerAsync(
            async stream =>
            {
                var buffer = new byte[16_384];
                while (true)
                {
                    await read.WaitAsync();
                    await stream.ReadAsync(buffer, default);
                }
            },
            options => options with { StreamWindow = 65_536, ConnectionWindow = 1 << 20 });
        await peer.SendConnectAsync(1);
        for (var i = 0; i < 4; i++)
        {
            await peer.SendFrameAsync(FrameType.Data, 0, 1, new byte[16_384]);
        }

        read.Release();
        await peer.SendAsync(writer => writer.Ping(1, isAck: false));
        Assert.Equal(FrameType.Ping, (await peer.ReadAsync())!.Header.Type);
        read.Release();
        var update = (await peer.ReadAsync())!;
        Assert.Equal((FrameType.WindowUpdate, 1, 32_768), (update.Header.Type, update.Header.StreamId, update.Number));
    }

    [Fact]
    public async Task Sends_no_more_than_the_windows_allow_and_goes_on_when_they_open()
    {
        await using var peer = await RawPeer.OfServerAsync(async stream =>
        {
            stream.WriteHead(new Http2ResponseHead(200, []), endStream: false);
            await stream.WriteAsync(new byte[70_000], default);
            await stream.EndWritesAsync(default);
        });
        await peer.SendFrameAsync(FrameType.Settings, 0, 0, Convert.FromHexString("000400000064"));
        await peer.SendRequestAsync(1);
        await peer.ReadAsync(FrameType.Headers);
        Assert.Equal(100, (await peer.ReadAsync(FrameType.Data)).Payload.Length);
        await peer.SendAsync(writer => writer.WindowUpdate(1, 50));
        Assert.Equal(50, (await peer.ReadAsync(FrameType.Data)).Payload.Length);

        // A setting moves the windows of open streams, below zero too (§6.9.2).
        await peer.SendFrameAsync(FrameType.Settings, 0, 0, Convert.FromHexString("000400000000"));
        await peer.SendAsync(writer => writer.WindowUpdate(1, 100));
        await peer.ExpectAliveAsync();
        await peer.SendAsync(writer => writer.WindowUpdate(1, 7));
        Assert.Equal(7, (await peer.ReadAsync(FrameType.Data)).Payload.Length);

        // The rest of the connection's window, and not an octet more.
        await peer.SendAsync(writer => writer.WindowUpdate(1, 1_000_000));
        var total = 157;
        while (total < 65_535)
        {
            total += (await peer.ReadAsync(FrameType.Data)).Payload.Length;
        }

        Assert.Equal(65_535, total);
        await peer.SendAsync(writer => writer.WindowUpdate(0, 10_000));
        Assert.Equal(70_000 - 65_535, (await peer.ReadAsync(FrameType.Data)).Payload.Length);
        Assert.True((await peer.ReadAsync(FrameType.Data)).Header.Has(FrameFlags.EndStream));
    }

    [Fact]
    public async Task A_setting_that_takes_a_streams_window_over_the_limit_ends_the_connection()
    {
        await using var peer = await RawPeer.OfServerAsync();
        await peer.SendConnectAsync(1);
        await peer.SendAsync(writer => writer.WindowUpdate(1, 1));
        await peer.SendFrameAsync(FrameType.Settings, 0, 0, Convert.FromHexString("00047fffffff"));
        await peer.ExpectGoAwayAsync(Http2Error.FlowControlError);
    }

    [Theory]
    [InlineData("00000000", Http2Error.ProtocolError)]
    [InlineData("7fffffff", Http2Error.FlowControlError)]
    public async Task A_bad_window_update_resets_its_stream(string payload, Http2Error expected)
    {
        await using var peer = await RawPeer.OfServerAsync();
        await peer.SendConnectAsync(1);
        await peer.SendFrameAsync(FrameType.WindowUpdate, 0, 1, Convert.FromHexString(payload));
        await peer.ExpectResetAsync(1, expected);
        await peer.ExpectAliveAsync();
    }

    [Fact]
    public async Task Writers_take_turns()
    {
        await using var peer = await RawPeer.OfServerAsync(async stream =>
        {
            stream.WriteHead(new Http2ResponseHead(200, []), endStream: false);
            await stream.WriteAsync(new byte[200_000], default);
        });
        await peer.SendAsync(writer => writer.WindowUpdate(0, 10_000_000));
        await peer.SendFrameAsync(FrameType.Settings, 0, 0, Convert.FromHexString("000400000000"));
        foreach (var id in new[] { 1, 3, 5 })
        {
            await peer.SendRequestAsync(id);
            await peer.ReadAsync(FrameType.Headers);
        }

        await peer.SendFrameAsync(FrameType.Settings, 0, 0, Convert.FromHexString("000400100000"));
        var order = new List<int>();
        for (var i = 0; i < 12; i++)
        {
            order.Add((await peer.ReadAsync(FrameType.Data)).Header.StreamId);
        }

        Assert.Equal(4, order.Count(id => id == 1));
        Assert.Equal(4, order.Count(id => id == 3));
        Assert.Equal(4, order.Count(id => id == 5));
        Assert.Equal(3, order.Take(3).Distinct().Count());
    }

    [Fact]
    public async Task Streams_beyond_the_limit_are_refused_so_that_they_can_be_tried_again()
    {
        await using var peer = await RawPeer.OfServerAsync(options: options => options with { MaxConcurrentStreams = 2 });
        await peer.SendConnectAsync(1);
        await peer.SendConnectAsync(3);
        await peer.SendConnectAsync(5);
        await peer.ExpectResetAsync(5, Http2Error.RefusedStream);
        await peer.SendAsync(writer => writer.Reset(1, Http2Error.Cancel));
        await peer.SendConnectAsync(7);
        await peer.ExpectAliveAsync();
        Assert.Equal(2, peer.Connection.OpenStreams);
    }

    [Fact]
    public async Task Handlers_that_have_not_ended_are_bounded_too()
    {
        var release = new TaskCompletionSource();
        await using var peer = await RawPeer.OfServerAsync(_ => release.Task, options => options with { MaxConcurrentStreams = 2 });
        for (var id = 1; id <= 7; id += 2)
        {
            await peer.SendConnectAsync(id);
            await peer.SendAsync(writer => writer.Reset(id, Http2Error.Cancel));
        }

        await peer.ExpectAliveAsync();
        await peer.SendConnectAsync(9);
        await peer.ExpectResetAsync(9, Http2Error.RefusedStream);
        release.SetResult();
    }

    [Fact]
    public async Task A_client_opens_no_more_than_the_server_allows()
    {
        await using var peer = await RawPeer.OfClientAsync();
        await peer.SendFrameAsync(FrameType.Settings, 0, 0, Convert.FromHexString("000300000001"));
        await peer.ExpectAliveAsync();
        Assert.True(peer.Connection.TryOpen(Http2Pair.Get(), true, out var stream, out _));
        Assert.False(peer.Connection.TryOpen(Http2Pair.Get(), true, out _, out var refusal));
        Assert.Equal(OpenRefusal.AtLimit, refusal);
        await stream!.DisposeAsync();
        Assert.Equal(OpenRefusal.None, peer.Connection.Refusal);
    }
}
