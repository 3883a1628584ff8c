using Signet.Proxy.Http2;
using Signet.Testing;
using static Signet.UnitTests.Proxy.Http2.Http2Pair;

namespace Signet.UnitTests.Proxy.Http2;

/// <summary>Streams as transports, with both roles at work.</summary>
public sealed class Http2StreamTests
{
    [Theory]
    [InlineData(1, true)]
    [InlineData(100, true)]
    [InlineData(70_000, true)]
    [InlineData(3_000_000, true)]
    [InlineData(3_000_000, false)]
    public async Task Carries_octets_both_ways(int size, bool isInline)
    {
        await using var pair = new Http2Pair(EchoAsync, isInline: isInline);
        await using var stream = pair.Connect();
        Assert.Equal(200, (await stream.ReadHeadAsync(default)).Status);
        var sent = Bytes(size);
        var received = ReadAllAsync(stream);
        await stream.WriteAsync(sent, default);
        await stream.EndWritesAsync(default);
        Assert.Equal(sent, await received);
        Assert.Equal(0, pair.Client.OpenStreams);
        await Eventually.IsTrueAsync(() => pair.Server.OpenStreams == 0, "the server's stream is closed");
    }

    [Fact]
    public async Task Carries_many_streams_at_once()
    {
        await using var pair = new Http2Pair(EchoAsync, isInline: false, client: options => options with { StreamWindow = 65_535 });
        await Eventually.IsTrueAsync(async () =>
        {
            await using var first = pair.Connect();
            return (await first.ReadHeadAsync(default)).Status == 200;
        }, "the settings have arrived");
        await Task.WhenAll(Enumerable.Range(0, 300).Select(async i =>
        {
            await using var stream = pair.Connect();
            var sent = Bytes(20_000 + (i * 100), i);
            var received = ReadAllAsync(stream);
            foreach (var chunk in sent.Chunk(1 + (i * 37)))
            {
                await stream.WriteAsync(chunk, default);
            }

            await stream.EndWritesAsync(default);
            Assert.Equal(sent, await received);
        }));
    }

    [Fact]
    public async Task Ends_each_direction_by_itself()
    {
        var served = new TaskCompletionSource<Http2Stream>();
        var over = new TaskCompletionSource();
        await using var pair = new Http2Pair(stream =>
        {
            served.SetResult(stream);
            return over.Task;
        });
        await using var client = pair.Connect();
        var server = await served.Task;
        await client.EndWritesAsync(default);
        Assert.Equal(0, await server.ReadAsync(new byte[1], default));
        server.WriteHead(new Http2ResponseHead(200, []), endStream: false);
        await server.WriteAsync(Bytes(5), default);
        var buffer = new byte[10];
        Assert.Equal(5, await client.ReadAsync(buffer, default));
        await server.EndWritesAsync(default);
        Assert.Equal(0, await client.ReadAsync(buffer, default));
        over.SetResult();
    }

    [Fact]
    public async Task A_read_without_a_buffer_waits_for_octets_and_takes_none()
    {
        await using var pair = new Http2Pair(EchoAsync);
        await using var stream = pair.Connect();
        var waiting = stream.ReadAsync(Memory<byte>.Empty, default);
        Assert.False(waiting.IsCompleted);
        await stream.WriteAsync(Bytes(5), default);
        Assert.Equal(0, await waiting);
        Assert.Equal(5, await stream.ReadAsync(new byte[10], default));
    }

    [Fact]
    public async Task An_abort_breaks_the_other_side_and_is_no_end()
    {
        var outcome = new TaskCompletionSource<Http2Error>();
        await using var pair = new Http2Pair(async stream =>
        {
            stream.WriteHead(new Http2ResponseHead(200, []), endStream: false);
            outcome.SetResult((await Assert.ThrowsAsync<Http2StreamException>(async () => await ReadAllAsync(stream))).Code);
        });
        var stream = pair.Connect();
        await stream.WriteAsync(Bytes(5), default);
        stream.Abort();
        Assert.Equal(Http2Error.Cancel, await outcome.Task);
        await Assert.ThrowsAsync<Http2StreamException>(async () => await stream.ReadAsync(new byte[1], default));
        await Assert.ThrowsAsync<Http2StreamException>(async () => await stream.WriteAsync(new byte[1], default));
    }

    [Fact]
    public async Task A_server_says_that_its_connection_broke()
    {
        await using var pair = new Http2Pair(stream =>
        {
            stream.WriteHead(new Http2ResponseHead(200, []), endStream: false);
            stream.Abort();
            return Task.CompletedTask;
        });
        await using var stream = pair.Connect();
        Assert.Equal(200, (await stream.ReadHeadAsync(default)).Status);
        var e = await Assert.ThrowsAsync<Http2StreamException>(async () => await stream.ReadAsync(new byte[1], default));
        Assert.Equal(Http2Error.ConnectError, e.Code);
        Assert.False(e.IsUnprocessed);
    }

    [Fact]
    public async Task A_handler_that_returns_early_resets_its_stream()
    {
        await using var pair = new Http2Pair(_ => Task.CompletedTask);
        await using var stream = pair.Connect();
        Assert.Equal(Http2Error.Cancel, (await Assert.ThrowsAsync<Http2StreamException>(async () => await stream.ReadHeadAsync(default))).Code);
    }

    [Fact]
    public async Task A_complete_response_can_be_read_although_the_rest_of_the_request_is_refused()
    {
        await using var pair = new Http2Pair(stream =>
        {
            stream.WriteHead(new Http2ResponseHead(413, []), endStream: true);
            return Task.CompletedTask;
        });
        await using var stream = pair.Open(Post());
        Assert.Equal(413, (await stream.ReadHeadAsync(default)).Status);
        Assert.Equal(0, await stream.ReadAsync(new byte[1], default));
        var e = Assert.Throws<Http2StreamException>(() => { _ = stream.WriteAsync(Bytes(1), default); });
        Assert.Equal(Http2Error.NoError, e.Code);
    }

    [Fact]
    public async Task A_cancelled_read_leaves_the_stream_usable()
    {
        await using var pair = new Http2Pair(EchoAsync);
        await using var stream = pair.Connect();
        using var cancel = new CancellationTokenSource();
        var read = stream.ReadAsync(new byte[1], cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await read);
        await stream.WriteAsync(Bytes(5), default);
        Assert.Equal(5, await stream.ReadAsync(new byte[10], default));
    }

    [Fact]
    public async Task A_cancelled_write_sends_nothing_more()
    {
        var taken = new TaskCompletionSource();
        await using var pair = new Http2Pair(async stream =>
        {
            stream.WriteHead(new Http2ResponseHead(200, []), endStream: false);
            await taken.Task;
            var all = await ReadAllAsync(stream);
            await stream.WriteAsync(BitConverter.GetBytes(all.Length), default);
            await stream.EndWritesAsync(default);
        }, server: options => options with { StreamWindow = 65_535 });
        await using var stream = pair.Connect();
        await stream.ReadHeadAsync(default);
        using var cancel = new CancellationTokenSource();
        var write = stream.WriteAsync(Bytes(100_000), cancel.Token);
        Assert.False(write.IsCompleted);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await write);
        await stream.EndWritesAsync(default);
        taken.SetResult();
        Assert.Equal(65_535, BitConverter.ToInt32(await ReadAllAsync(stream)));
    }

    [Fact]
    public async Task Two_readers_at_once_are_a_defect()
    {
        await using var pair = new Http2Pair(HoldAsync);
        var stream = pair.Connect();
        var first = stream.ReadAsync(new byte[1], default);
        Assert.Throws<InvalidOperationException>(() => { _ = stream.ReadAsync(new byte[1], default); });
        await stream.DisposeAsync();
        await Assert.ThrowsAsync<Http2StreamException>(async () => await first);
        pair.Client.Abort("done");
    }

    [Fact]
    public async Task A_slow_reader_holds_up_nobody_else()
    {
        var slow = new TaskCompletionSource();
        await using var pair = new Http2Pair(async stream =>
        {
            stream.WriteHead(new Http2ResponseHead(200, []), endStream: false);
            if (stream.Request.Authority.StartsWith("slow"))
            {
                await slow.Task;
            }

            await EchoBodyAsync(stream);
        }, options => options with { StreamWindow = 65_535, ConnectionWindow = 65_535 });
        var held = new List<(Http2Stream Stream, ValueTask Write)>();
        for (var i = 0; i < 20; i++)
        {
            var stuck = pair.Connect($"slow{i}:1");
            held.Add((stuck, stuck.WriteAsync(Bytes(100_000, i), default)));
        }

        Assert.All(held, each => Assert.False(each.Write.IsCompleted));
        await using (var quick = pair.Connect("quick:1"))
        {
            var sent = Bytes(500_000, 99);
            var received = ReadAllAsync(quick);
            await quick.WriteAsync(sent, default);
            await quick.EndWritesAsync(default);
            Assert.Equal(sent, await received);
        }

        // And they get everything in the end.
        var reads = held.Select(each => ReadAllAsync(each.Stream)).ToList();
        slow.SetResult();
        for (var i = 0; i < held.Count; i++)
        {
            await held[i].Write;
            await held[i].Stream.EndWritesAsync(default);
            Assert.Equal(Bytes(100_000, i), await reads[i]);
        }
    }

    [Fact]
    public async Task What_all_slow_readers_leave_together_is_bounded()
    {
        var release = new TaskCompletionSource();
        await using var pair = new Http2Pair(async stream =>
        {
            stream.WriteHead(new Http2ResponseHead(200, []), endStream: false);
            await release.Task;
            await EchoBodyAsync(stream);
        }, options => options with { StreamWindow = 200_000, ConnectionWindow = 100_000, MaxBuffered = 300_000 });
        var streams = Enumerable.Range(0, 10).Select(_ => pair.Connect()).ToList();
        var writes = streams.Select(stream => stream.WriteAsync(Bytes(150_000), default).AsTask()).ToList();
        Assert.InRange(writes.Count(write => write.IsCompleted), 1, 2);
        var reads = streams.Select(ReadAllAsync).ToList();
        release.SetResult();
        await Task.WhenAll(writes);
        foreach (var (stream, read) in streams.Zip(reads))
        {
            await stream.EndWritesAsync(default);
            Assert.Equal(150_000, (await read).Length);
        }
    }

    [Fact]
    public async Task Small_writes_during_a_turn_leave_in_one_write()
    {
        Action? atTurnEnd = null;
        await using var pair = new Http2Pair(HoldAsync, client: options => options with { AtTurnEnd = action => atTurnEnd += action });
        var streams = Enumerable.Range(0, 50).Select(_ => pair.Connect()).ToList();
        atTurnEnd?.Invoke();
        (var before, atTurnEnd) = (pair.ClientTransport.Writes, null);
        foreach (var stream in streams)
        {
            var write = stream.WriteAsync(Bytes(64), default);
            Assert.True(write.IsCompletedSuccessfully);
        }

        Assert.Equal(before, pair.ClientTransport.Writes);
        atTurnEnd!.Invoke();
        Assert.Equal(before + 1, pair.ClientTransport.Writes);
        pair.Client.Abort("done");
    }

    [Fact]
    public async Task Turns_go_on_through_every_window_update()
    {
        var atTurnEnd = new Queue<Action>();
        await using var pair = new Http2Pair(EchoAsync, client: options => options with { AtTurnEnd = atTurnEnd.Enqueue });
        void EndTurn()
        {
            while (atTurnEnd.TryDequeue(out var action))
            {
                action();
            }
        }

        var stream = pair.Connect();
        EndTurn();
        var (sent, received) = (Bytes(64), new byte[64]);
        for (var i = 0; i < 30_000; i++)
        {
            var write = stream.WriteAsync(sent, default);
            EndTurn();
            await write;
            for (var read = 0; read < received.Length;)
            {
                var more = stream.ReadAsync(received.AsMemory(read), default);
                Assert.True(more.IsCompleted, $"nothing comes in turn {i}");
                read += await more;
            }

            Assert.Equal(sent, received);
        }

        await stream.EndWritesAsync(default);
        EndTurn();
    }

    [Fact]
    public async Task A_head_of_any_size_within_the_limit_arrives()
    {
        await using var pair = new Http2Pair(stream =>
        {
            stream.WriteHead(new Http2ResponseHead(200, [new("x-size", stream.Request.Fields.Sum(field => field.Value.Length).ToString())]), endStream: true);
            return Task.CompletedTask;
        });
        foreach (var size in new[] { 0, 16_300, 16_384, 16_400, 32_700, 32_800, 60_000 })
        {
            await using var stream = pair.Open(Get("/", ("x-large", new string('x', size))), endStream: true);
            Assert.Equal(size.ToString(), (await stream.ReadHeadAsync(default)).Fields[0].Value);
        }

        await using var tooLarge = pair.Open(Get("/", ("x-large", new string('x', 65_520))), endStream: true);
        Assert.Equal(431, (await tooLarge.ReadHeadAsync(default)).Status);
    }

    [Fact]
    public async Task Interim_heads_and_trailers_arrive_in_their_places()
    {
        await using var pair = new Http2Pair(async stream =>
        {
            stream.WriteHead(new Http2ResponseHead(103, [new("link", "</a>")]), endStream: false);
            stream.WriteHead(new Http2ResponseHead(200, [new("content-type", "application/grpc")]), endStream: false);
            await stream.WriteAsync(Bytes(10), default);
            stream.WriteTrailers([new("grpc-status", "0")]);
        });
        await using var stream = pair.Open(Get(), endStream: true);
        Assert.Equal(103, (await stream.ReadHeadAsync(default)).Status);
        Assert.Equal(200, (await stream.ReadHeadAsync(default)).Status);
        Assert.Equal(Bytes(10), await ReadAllAsync(stream));
        Assert.Equal("0", Assert.Single(stream.Trailers).Value);
    }

    private static async Task EchoBodyAsync(Http2Stream stream)
    {
        var buffer = new byte[20_000];
        while (await stream.ReadAsync(buffer, CancellationToken.None) is > 0 and var read)
        {
            await stream.WriteAsync(buffer.AsMemory(0, read), CancellationToken.None);
        }

        await stream.EndWritesAsync(CancellationToken.None);
    }
}
