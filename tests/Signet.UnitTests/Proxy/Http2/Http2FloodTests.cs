using Signet.Proxy.Http2;

namespace Signet.UnitTests.Proxy.Http2;

/// <summary>What costs a peer little and this side much is counted, and the count ends the connection.</summary>
public sealed class Http2FloodTests
{
    private static readonly Dictionary<string, Func<RawPeer, int, Task>> Floods = new()
    {
        { "rapid reset", async (peer, i) =>
            {
                await peer.SendRequestAsync((2 * i) + 1, endStream: false);
                await peer.SendAsync(writer => writer.Reset((2 * i) + 1, Http2Error.Cancel));
            } },
        { "streams that this side is made to reset", async (peer, i) =>
            {
                await peer.SendRequestAsync((2 * i) + 1, endStream: false);
                await peer.SendAsync(writer => writer.WindowUpdate((2 * i) + 1, 0));
            } },
        { "malformed requests", (peer, i) => peer.SendHeadersAsync((2 * i) + 1, true, (":method", "GET")) },
        { "PING", (peer, i) => peer.SendAsync(writer => writer.Ping((ulong)i, isAck: false)) },
        { "PING acknowledgements", (peer, i) => peer.SendAsync(writer => writer.Ping((ulong)i, isAck: true)) },
        { "SETTINGS", (peer, _) => peer.SendAsync(writer => writer.Settings([])) },
        { "empty DATA", (peer, i) => i == 0 ? peer.SendConnectAsync(1) : peer.SendAsync(writer => writer.Data(1, [], endStream: false)) },
        { "PRIORITY", (peer, i) => peer.SendFrameAsync(FrameType.Priority, 0, (2 * i) + 1, new byte[5]) },
        { "unknown frames", (peer, _) => peer.SendFrameAsync((FrameType)0x77, 0, 0, []) },
    };

    public static TheoryData<string> Kinds => [.. Floods.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_flood_ends_the_connection(string kind)
    {
        await using var peer = await Limited();
        for (var i = 0; i < 60 && !peer.End.IsCompleted; i++)
        {
            await Floods[kind](peer, i);
        }

        await peer.ExpectGoAwayAsync(Http2Error.EnhanceYourCalm);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task The_same_at_leisure_does_not(string kind)
    {
        await using var peer = await Limited();
        for (var i = 0; i < 60; i++)
        {
            await Floods[kind](peer, i);
            peer.Time.Advance(TimeSpan.FromMilliseconds(500));
        }

        await peer.ExpectAliveAsync();
    }

    [Fact]
    public async Task Streams_that_were_answered_may_be_reset_however_many()
    {
        await using var peer = await Limited(stream =>
        {
            stream.WriteHead(new Http2ResponseHead(200, []), endStream: false);
            return Task.Delay(Timeout.Infinite);
        });
        for (var i = 0; i < 60; i++)
        {
            await peer.SendConnectAsync((2 * i) + 1);
            await peer.ReadAsync(FrameType.Headers);
            await peer.SendAsync(writer => writer.Reset((2 * i) + 1, Http2Error.Cancel));
        }

        await peer.ExpectAliveAsync();
    }

    [Fact]
    public async Task A_client_that_resets_many_streams_takes_no_new_ones_there_and_lets_the_others_end()
    {
        await using var peer = await RawPeer.OfClientAsync(options => options with { MaxOwnResets = 10 });
        Assert.True(peer.Connection.TryOpen(Http2Pair.Get(), true, out var other, out _));
        for (var i = 0; i < 10; i++)
        {
            await ResetAsync(peer);
            Assert.Equal(OpenRefusal.None, peer.Connection.Refusal);
        }

        await ResetAsync(peer);
        Assert.Equal(OpenRefusal.Draining, peer.Connection.Refusal);

        await peer.SendHeadersAsync(1, true, (":status", "200"));
        Assert.Equal(200, (await other!.ReadHeadAsync(CancellationToken.None)).Status);
        await peer.Transport.DisposeAsync();
        Assert.True((await peer.End).IsOrderly);
    }

    [Theory]
    [InlineData(10, 2_000)]
    [InlineData(int.MaxValue, 0)]
    public async Task A_client_that_resets_them_at_leisure_or_without_a_limit_goes_on(int most, int pause)
    {
        await using var peer = await RawPeer.OfClientAsync(options => options with { MaxOwnResets = most, KeepAliveInterval = TimeSpan.FromHours(1) });
        for (var i = 0; i < 60; i++)
        {
            await ResetAsync(peer);
            peer.Time.Advance(TimeSpan.FromMilliseconds(pause));
        }

        Assert.Equal(OpenRefusal.None, peer.Connection.Refusal);
    }

    [Fact]
    public async Task Continuations_are_counted()
    {
        await using var peer = await RawPeer.OfServerAsync(options: options => options with { MaxContinuations = 5 });
        await peer.SendFrameAsync(FrameType.Headers, 0, 1, []);
        for (var i = 0; i < 6; i++)
        {
            await peer.SendFrameAsync(FrameType.Continuation, 0, 1, []);
        }

        await peer.ExpectGoAwayAsync(Http2Error.EnhanceYourCalm);
    }

    [Fact]
    public async Task Blocks_are_measured()
    {
        await using var peer = await RawPeer.OfServerAsync(options: options => options with { MaxHeaderList = 20_000 });
        await peer.SendFrameAsync(FrameType.Headers, 0, 1, new byte[16_000]);
        await peer.SendFrameAsync(FrameType.Continuation, 0, 1, new byte[16_000]);
        await peer.SendFrameAsync(FrameType.Continuation, 0, 1, new byte[16_000]);
        await peer.ExpectGoAwayAsync(Http2Error.EnhanceYourCalm);
    }

    [Fact]
    public async Task A_peer_that_does_not_listen_is_not_listened_to()
    {
        await using var peer = await RawPeer.OfServerAsync(options: options => options with { MaxControlFrames = int.MaxValue, MaxIdleFrames = int.MaxValue });
        var sent = 0L;
        var pings = Enumerable.Range(0, 1000).SelectMany(_ => new byte[] { 0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8 }).ToArray();
        using var deadline = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
        try
        {
            while (sent < 1L << 30)
            {
                await peer.Transport.WriteAsync(pings, deadline.Token);
                sent += pings.Length;
            }

            Assert.Fail("a gigabyte of PINGs was taken by a connection whose answers nobody read");
        }
        catch (OperationCanceledException)
        {
            // Its own buffer, the transport's in both directions, and no more.
            Assert.InRange(sent, 100_000, 4L << 20);
        }
    }

    private static async Task ResetAsync(RawPeer peer)
    {
        Assert.True(peer.Connection.TryOpen(Http2Pair.Get(), true, out var stream, out _));
        await stream!.DisposeAsync();
    }

    private static Task<RawPeer> Limited(Func<Http2Stream, Task>? serve = null) => RawPeer.OfServerAsync(serve, options => options with
    {
        MaxConcurrentStreams = 100,
        MaxResets = 40,
        MaxControlFrames = 40,
        MaxIdleFrames = 40,
        KeepAliveInterval = TimeSpan.FromHours(1),
    });
}
