using Signet.Proxy.Http2;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Http2;

/// <summary>How a connection begins, stays alive and ends.</summary>
public sealed class Http2LifeTests
{
    [Fact]
    public async Task A_peer_that_never_acknowledges_the_settings_is_left()
    {
        await using var peer = await RawPeer.OfServerAsync(greet: false);
        await peer.SendAsync(writer =>
        {
            writer.Preface();
            writer.Settings([]);
        });
        peer.Time.Advance(TimeSpan.FromSeconds(9));
        await peer.ExpectAliveAsync();
        peer.Time.Advance(TimeSpan.FromSeconds(2));
        await peer.ExpectGoAwayAsync(Http2Error.SettingsTimeout);
    }

    [Fact]
    public async Task A_peer_that_says_nothing_at_all_is_left()
    {
        await using var peer = await RawPeer.OfServerAsync(greet: false);
        peer.Time.Advance(TimeSpan.FromSeconds(11));
        await peer.ExpectGoAwayAsync(Http2Error.SettingsTimeout);
    }

    [Fact]
    public async Task A_silent_peer_is_asked_and_left_when_it_stays_silent()
    {
        await using var peer = await RawPeer.OfServerAsync();
        peer.Time.Advance(TimeSpan.FromSeconds(31));
        Assert.False((await peer.ReadAsync(FrameType.Ping)).Header.Has(FrameFlags.Ack));
        peer.Time.Advance(TimeSpan.FromSeconds(16));
        await peer.ExpectGoAwayAsync(Http2Error.NoError);
        Assert.Contains("no sign of life", (await peer.End).Reason);
    }

    [Fact]
    public async Task A_silent_peer_that_answers_stays()
    {
        await using var peer = await RawPeer.OfServerAsync();
        for (var i = 0; i < 10; i++)
        {
            peer.Time.Advance(TimeSpan.FromSeconds(31));
            var ping = await peer.ReadAsync(FrameType.Ping);
            await peer.SendFrameAsync(FrameType.Ping, FrameFlags.Ack, 0, ping.Payload);
        }

        await peer.ExpectAliveAsync();
    }

    [Fact]
    public async Task A_peer_that_talks_is_not_asked()
    {
        await using var peer = await RawPeer.OfServerAsync();
        for (var i = 0; i < 10; i++)
        {
            peer.Time.Advance(TimeSpan.FromSeconds(20));
            await peer.SendAsync(writer => writer.Ping((ulong)i, isAck: false));
            Assert.True((await peer.ReadAsync(FrameType.Ping)).Header.Has(FrameFlags.Ack));
        }
    }

    [Fact]
    public async Task A_server_drains_in_two_steps()
    {
        await using var peer = await RawPeer.OfServerAsync(Http2Pair.EchoAsync);
        await peer.SendConnectAsync(1);
        await peer.ReadAsync(FrameType.Headers);
        peer.Connection.Drain();
        Assert.Equal(int.MaxValue, (await peer.ReadAsync(FrameType.GoAway)).Number);
        var ping = await peer.ReadAsync(FrameType.Ping);

        // A request that was on its way is served.
        await peer.SendConnectAsync(3);
        await peer.ReadAsync(FrameType.Headers);
        await peer.SendFrameAsync(FrameType.Ping, FrameFlags.Ack, 0, ping.Payload);
        Assert.Equal(3, (await peer.ReadAsync(FrameType.GoAway)).Number);

        // One that comes after the last word is not, and nothing else happens to it.
        await peer.SendConnectAsync(5);
        await peer.SendFrameAsync(FrameType.Data, 0, 5, [1, 2, 3]);
        await peer.ExpectAliveAsync();
        Assert.Equal(2, peer.Connection.OpenStreams);

        await peer.SendAsync(writer =>
        {
            writer.Data(1, [], endStream: true);
            writer.Data(3, [], endStream: true);
        });
        await peer.ReadAsync(FrameType.Data);
        await peer.ReadAsync(FrameType.Data);

        // The peer may end first, so that a request it is about to send finds that it was told to go; it is not waited for long.
        var last = peer.ReadAsync();
        Assert.False(last.IsCompleted);
        while (!last.IsCompleted)
        {
            peer.Time.Advance(TimeSpan.FromMilliseconds(500));
            await Task.Yield();
        }

        Assert.Null(await last);
        await peer.DisposeAsync();
        Assert.True((await peer.End).IsOrderly);
    }

    [Fact]
    public async Task A_drained_peer_that_ends_first_is_not_waited_for()
    {
        await using var peer = await RawPeer.OfServerAsync(Http2Pair.EchoAsync);
        peer.Connection.Drain();
        await peer.ReadAsync(FrameType.GoAway);
        var ping = await peer.ReadAsync(FrameType.Ping);
        await peer.SendFrameAsync(FrameType.Ping, FrameFlags.Ack, 0, ping.Payload);
        Assert.Equal(0, (await peer.ReadAsync(FrameType.GoAway)).Number);
        Assert.False(peer.End.IsCompleted);
        await peer.DisposeAsync();
        Assert.True((await peer.End).IsOrderly);
    }

    [Fact]
    public async Task A_server_whose_peer_does_not_answer_says_its_last_word_after_a_grace()
    {
        await using var peer = await RawPeer.OfServerAsync();
        await peer.SendConnectAsync(1);
        peer.Connection.Drain();
        Assert.Equal(int.MaxValue, (await peer.ReadAsync(FrameType.GoAway)).Number);
        peer.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(1, (await peer.ReadAsync(FrameType.GoAway)).Number);
        Assert.False(peer.End.IsCompleted);
    }

    [Fact]
    public async Task An_idle_pair_drains_at_once_from_either_side()
    {
        foreach (var drainsServer in new[] { true, false })
        {
            await using var pair = new Http2Pair(Http2Pair.EchoAsync);
            (drainsServer ? pair.Server : pair.Client).Drain();
            Assert.True((await pair.ServerEnd).IsOrderly);
            Assert.True((await pair.ClientEnd).IsOrderly);
        }
    }

    [Fact]
    public async Task A_draining_pair_lets_its_streams_end()
    {
        foreach (var drainsServer in new[] { true, false })
        {
            await using var pair = new Http2Pair(Http2Pair.EchoAsync);
            await using var stream = pair.Connect();
            (drainsServer ? pair.Server : pair.Client).Drain();
            Assert.False(pair.Client.TryOpen(Http2Pair.Get(), true, out _, out var refusal));
            Assert.Equal(OpenRefusal.Draining, refusal);
            await stream.WriteAsync(Http2Pair.Bytes(100), default);
            await stream.EndWritesAsync(default);
            Assert.Equal(Http2Pair.Bytes(100), await Http2Pair.ReadAllAsync(stream));
            Assert.True((await pair.ClientEnd).IsOrderly);
            Assert.True((await pair.ServerEnd).IsOrderly);
            Assert.Equal(OpenRefusal.Ended, pair.Client.Refusal);
        }
    }

    [Fact]
    public async Task Streams_that_the_peer_never_looked_at_say_so()
    {
        await using var peer = await RawPeer.OfClientAsync();
        Assert.True(peer.Connection.TryOpen(Http2Pair.Get(), false, out var first, out _));
        Assert.True(peer.Connection.TryOpen(Http2Pair.Get(), false, out var second, out _));
        await peer.SendAsync(writer => writer.GoAway(1, Http2Error.NoError));
        var e = await Assert.ThrowsAsync<Http2StreamException>(async () => await second!.ReadHeadAsync(default));
        Assert.True(e.IsUnprocessed);
        await peer.SendAsync(writer => writer.Head(1, new Http2ResponseHead(200, []), endStream: true));
        Assert.Equal(200, (await first!.ReadHeadAsync(default)).Status);
        await first.DisposeAsync();
        await peer.DisposeAsync();
        Assert.True((await peer.End).IsOrderly);
    }

    [Theory]
    [InlineData(Http2Error.RefusedStream, true)]
    [InlineData(Http2Error.Cancel, false)]
    public async Task A_refused_stream_can_be_tried_again_and_a_cancelled_one_cannot(Http2Error code, bool expected)
    {
        await using var peer = await RawPeer.OfClientAsync();
        Assert.True(peer.Connection.TryOpen(Http2Pair.Get(), true, out var stream, out _));
        await peer.SendAsync(writer => writer.Reset(1, code));
        var e = await Assert.ThrowsAsync<Http2StreamException>(async () => await stream!.ReadHeadAsync(default));
        Assert.Equal((code, expected), (e.Code, e.IsUnprocessed));
    }

    [Fact]
    public async Task A_connection_that_breaks_breaks_its_streams_both_ways()
    {
        var served = new TaskCompletionSource<Http2StreamException>();
        await using var pair = new Http2Pair(async stream =>
            served.SetResult(await Assert.ThrowsAsync<Http2StreamException>(async () => await Http2Pair.ReadAllAsync(stream))));
        await using var stream = pair.Connect();
        var read = stream.ReadAsync(new byte[1], default);
        var head = stream.ReadHeadAsync(default);
        pair.ClientTransport.Abort();
        await Assert.ThrowsAsync<Http2StreamException>(async () => await read);
        await Assert.ThrowsAsync<Http2StreamException>(async () => await head);
        await served.Task;
        Assert.False((await pair.ClientEnd).IsOrderly);
        Assert.False((await pair.ServerEnd).IsOrderly);
    }

    [Fact]
    public async Task A_peer_that_leaves_with_streams_open_is_no_orderly_end()
    {
        await using var peer = await RawPeer.OfServerAsync();
        await peer.SendConnectAsync(1);
        await peer.DisposeAsync();
        Assert.False((await peer.End).IsOrderly);
    }

    [Fact]
    public async Task A_peer_that_leaves_with_none_open_is()
    {
        await using var peer = await RawPeer.OfServerAsync();
        await peer.Transport.EndWritesAsync(default);
        while (await peer.ReadAsync() is not null)
        {
        }

        Assert.True((await peer.End).IsOrderly);
    }

    [Fact]
    public async Task Cancelling_ends_everything_at_once()
    {
        var (near, far) = MemoryTransport.Pair();
        using var cancel = new CancellationTokenSource();
        var connection = Http2Connection.AsClient(far, new Http2Options { Time = new ManualTimeProvider() });
        var end = connection.RunAsync(cancel.Token);
        Assert.True(connection.TryOpen(Http2Pair.Get(), true, out var stream, out _));
        var head = stream!.ReadHeadAsync(default);
        await cancel.CancelAsync();
        Assert.Equal("closed by the proxy", (await end).Reason);
        await Assert.ThrowsAsync<Http2StreamException>(async () => await head);
        await near.DisposeAsync();
    }

    [Fact]
    public async Task Last_words_that_nobody_reads_do_not_keep_the_connection()
    {
        await using var peer = await RawPeer.OfServerAsync(greet: false);
        await peer.SendBytesAsync("GET / HTTP/1.1\r\n\r\nthis is not it"u8.ToArray());
        Assert.False(peer.End.IsCompleted);
        peer.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(Http2Error.ProtocolError, (await peer.End).Code);
    }
}
