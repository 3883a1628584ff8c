using Signet.Proxy.Http2;

namespace Signet.UnitTests.Proxy.Http2;

/// <summary>What whoever serves requests learns from a connection beside the octets.</summary>
public sealed class Http2RequestsTests
{
    [Fact]
    public async Task Whoever_serves_a_stream_hears_that_the_peer_reset_it()
    {
        var (arrived, broken) = (new TaskCompletionSource(), new TaskCompletionSource<Http2StreamException>());
        await using var peer = await RawPeer.OfServerAsync(async stream =>
        {
            stream.WhenBroken(broken.SetResult);
            arrived.SetResult();
            await broken.Task;
        });
        await peer.SendRequestAsync(1);
        await arrived.Task;
        await peer.SendAsync(writer => writer.Reset(1, Http2Error.Cancel));
        var failure = await broken.Task;
        Assert.Equal((Http2Error.Cancel, false), (failure.Code, failure.IsBreach));
    }

    [Fact]
    public async Task Whoever_serves_a_stream_hears_that_the_peer_broke_a_rule_on_it()
    {
        var broken = new TaskCompletionSource<Http2StreamException>();
        await using var peer = await RawPeer.OfServerAsync(async stream =>
        {
            stream.WhenBroken(broken.SetResult);
            await broken.Task;
        });
        await peer.SendHeadersAsync(1, false, (":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/"), ("content-length", "3"));
        await peer.SendAsync(writer => writer.Data(1, "abcd"u8, endStream: true));
        var failure = await broken.Task;
        Assert.True(failure.IsBreach);
        Assert.Contains(nameof(HeadProblem.ContentLengthContradicted), failure.Message);
    }

    [Fact]
    public async Task Whoever_serves_a_stream_hears_that_the_connection_broke_even_when_it_asks_later()
    {
        var broken = new TaskCompletionSource<Http2StreamException>();
        var (arrived, ask) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using var peer = await RawPeer.OfServerAsync(async stream =>
        {
            arrived.SetResult();
            await ask.Task;
            stream.WhenBroken(broken.SetResult);
        });
        await peer.SendRequestAsync(1);
        await arrived.Task;
        await peer.Transport.DisposeAsync();
        ask.SetResult();
        await broken.Task;
    }

    [Fact]
    public async Task Whoever_ends_a_stream_itself_hears_nothing()
    {
        var broken = false;
        await using var peer = await RawPeer.OfServerAsync(stream =>
        {
            stream.WhenBroken(_ => broken = true);
            stream.Reset(Http2Error.InternalError);
            return Task.CompletedTask;
        });
        await peer.SendRequestAsync(1);
        await peer.ExpectResetAsync(1, Http2Error.InternalError);
        await peer.ExpectAliveAsync();
        Assert.False(broken);
    }

    [Fact]
    public async Task Malformed_requests_are_told_to_the_owner_and_the_connection_goes_on()
    {
        var (near, far) = Signet.Testing.MemoryTransport.Pair(1 << 20);
        var problems = new List<HeadProblem>();
        var time = new Signet.Testing.ManualTimeProvider();
        var server = Http2Connection.AsServer(far, new Http2Options { Time = time }, stream =>
        {
            stream.WriteHead(new Http2ResponseHead(200, []), endStream: true);
            return Task.CompletedTask;
        }, problems.Add);
        var running = server.RunAsync(default);
        var client = Http2Connection.AsClient(near, new Http2Options { Time = time });
        var end = client.RunAsync(default);
        Assert.True(client.TryOpen(Http2Pair.Get("/", ("Bad", "x")), endStream: true, out var bad, out _));
        Assert.Equal(Http2Error.ProtocolError, (await Assert.ThrowsAsync<Http2StreamException>(() => bad!.ReadHeadAsync(default).AsTask())).Code);
        Assert.True(client.TryOpen(Http2Pair.Get(), endStream: true, out var good, out _));
        Assert.Equal(200, (await good!.ReadHeadAsync(default)).Status);
        Assert.Equal([HeadProblem.NameUpperCase], problems);
        await client.DisposeAsync();
        await end;
        await running;
    }

    [Fact]
    public async Task A_connection_without_a_stream_is_drained_after_a_while_and_one_with_a_stream_is_not()
    {
        await using var idle = await RawPeer.OfServerAsync(options: options => options with { MaxIdle = TimeSpan.FromMinutes(1), KeepAliveInterval = TimeSpan.FromHours(1) });
        await using var busy = await RawPeer.OfServerAsync(options: options => options with { MaxIdle = TimeSpan.FromMinutes(1), KeepAliveInterval = TimeSpan.FromHours(1) });
        await busy.SendRequestAsync(1, endStream: false);
        await busy.ExpectAliveAsync();
        idle.Time.Advance(TimeSpan.FromSeconds(61));
        busy.Time.Advance(TimeSpan.FromSeconds(61));
        Assert.Equal(Http2Error.NoError, (await idle.ReadAsync(FrameType.GoAway)).LastCode);
        await busy.ExpectAliveAsync();
        Assert.Equal(1, busy.Connection.OpenStreams);
    }

    [Fact]
    public async Task What_was_taken_opens_the_window_when_it_is_given_back_and_not_before()
    {
        var got = new TaskCompletionSource<Http2Stream>();
        await using var peer = await RawPeer.OfServerAsync(
            async stream =>
            {
                got.SetResult(stream);
                await Http2Pair.HoldAsync(stream);
            },
            options => options with { StreamWindow = 65_535 });
        await peer.SendRequestAsync(1, endStream: false, method: "POST");
        var stream = await got.Task;
        for (var i = 0; i < 3; i++)
        {
            await peer.SendAsync(writer => writer.Data(1, new byte[16_000], endStream: false));
        }

        await peer.ExpectAliveAsync();
        var taken = default(Inbox);
        stream.Take(ref taken);
        Assert.Equal(48_000, taken.Length);
        await peer.SendAsync(writer => writer.Ping(1, isAck: false));
        Assert.Equal(FrameType.Ping, (await peer.ReadAsync())!.Header.Type);
        stream.Take(ref taken);
        Assert.Equal(0, taken.Length);
        Assert.Equal(48_000, (await peer.ReadAsync(FrameType.WindowUpdate)).Number);
    }
}
