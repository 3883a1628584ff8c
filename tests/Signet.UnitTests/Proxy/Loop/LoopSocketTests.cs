using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Signet.Proxy.Loop;
using Signet.Testing;

namespace Signet.UnitTests.Proxy.Loop;

public sealed class LoopSocketTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Reads_and_writes_for_callers_on_any_thread()
    {
        await using var pair = await LoopPair.ConnectAsync();
        Assert.False(pair.Loop.IsCurrent);

        await pair.Near.WriteAsync("ping"u8.ToArray(), CancellationToken.None);
        var buffer = new byte[16];
        Assert.Equal(4, await pair.Far.ReceiveAsync(buffer));
        var reading = pair.Near.ReadAsync(buffer, CancellationToken.None).AsTask();
        pair.Far.Send("pong"u8);
        Assert.Equal(4, await reading.WaitAsync(Deadline));
    }

    [Fact]
    public async Task Ends_a_wait_that_is_cancelled_and_serves_the_next_one()
    {
        await using var pair = await LoopPair.ConnectAsync();
        var buffer = new byte[16];
        for (var i = 0; i < 50; i++)
        {
            using var cancel = new CancellationTokenSource();
            var reading = pair.Near.ReadAsync(buffer, cancel.Token).AsTask();
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading.WaitAsync(Deadline));
        }

        var next = pair.Near.ReadAsync(buffer, CancellationToken.None).AsTask();
        pair.Far.Send("x"u8);
        Assert.Equal(1, await next.WaitAsync(Deadline));
    }

    [Fact]
    public async Task Takes_no_cancellation_for_the_wait_after_the_one_that_it_was_meant_for()
    {
        await using var pair = await LoopPair.ConnectAsync();
        var buffer = new byte[16];
        for (var i = 0; i < 200; i++)
        {
            // The byte and the cancellation race; whichever wins, the next wait has nothing to do with either.
            using var cancel = new CancellationTokenSource();
            var reading = pair.Near.ReadAsync(buffer, cancel.Token).AsTask();
            var cancelling = Task.Run(cancel.Cancel);
            pair.Far.Send("x"u8);
            var wasCancelled = await Record.ExceptionAsync(() => reading.WaitAsync(Deadline)) is OperationCanceledException;
            var next = pair.Near.ReadAsync(buffer, CancellationToken.None).AsTask();
            if (!wasCancelled)
            {
                pair.Far.Send("y"u8);
            }

            Assert.Equal(1, await next.WaitAsync(Deadline));
            await cancelling;
        }
    }

    [Fact]
    public async Task Refuses_a_second_reader_while_one_waits()
    {
        await using var pair = await LoopPair.ConnectAsync();
        var first = pair.Near.ReadAsync(new byte[1], CancellationToken.None).AsTask();

        await Assert.ThrowsAsync<InvalidOperationException>(() => pair.Near.ReadAsync(new byte[1], CancellationToken.None).AsTask());

        pair.Far.Send("x"u8);
        Assert.Equal(1, await first.WaitAsync(Deadline));
    }

    [Fact]
    public async Task Fails_who_waits_when_the_loop_stops()
    {
        await using var pair = await LoopPair.ConnectAsync();
        var reading = pair.Near.ReadAsync(new byte[1], CancellationToken.None).AsTask();
        await LoopPair.OnAsync(pair.Loop, () => 0);

        pair.Loop.Stop();

        await Assert.ThrowsAsync<IOException>(() => reading.WaitAsync(Deadline));
        await pair.Loop.Ended.WaitAsync(Deadline);
        await Assert.ThrowsAsync<IOException>(() => pair.Near.ReadAsync(new byte[1], CancellationToken.None).AsTask());
        Assert.Equal(0, pair.Far.Receive(new byte[1]));
    }

    [Fact]
    public async Task Fails_who_waits_when_the_socket_is_disposed_or_aborted()
    {
        await using var pair = await LoopPair.ConnectAsync();
        var reading = pair.Near.ReadAsync(new byte[1], CancellationToken.None).AsTask();

        pair.Near.Abort();

        await Assert.ThrowsAsync<IOException>(() => reading.WaitAsync(Deadline));
        Assert.Equal(SocketError.ConnectionReset, Assert.Throws<SocketException>(() => pair.Far.Receive(new byte[1])).SocketErrorCode);
    }

    [Fact]
    public async Task Tells_the_end_and_a_reset_apart()
    {
        await using (var pair = await LoopPair.ConnectAsync())
        {
            pair.Far.Send("x"u8);
            pair.Far.Shutdown(SocketShutdown.Send);
            Assert.Equal(1, await pair.Near.ReadAsync(new byte[9], CancellationToken.None));
            Assert.Equal(0, await pair.Near.ReadAsync(new byte[9], CancellationToken.None).AsTask().WaitAsync(Deadline));
            Assert.Equal(0, await pair.Near.ReadAsync(new byte[9], CancellationToken.None).AsTask().WaitAsync(Deadline));
        }

        await using (var pair = await LoopPair.ConnectAsync())
        {
            pair.Far.LingerState = new LingerOption(true, 0);
            pair.Far.Dispose();
            await Assert.ThrowsAsync<IOException>(() => pair.Near.ReadAsync(new byte[9], CancellationToken.None).AsTask().WaitAsync(Deadline));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Sees_the_end_behind_bytes_that_fill_its_buffer_exactly(int reads)
    {
        await using var pair = await LoopPair.ConnectAsync();
        pair.Far.Send(new byte[reads * 8]);
        pair.Far.Shutdown(SocketShutdown.Send);
        for (var i = 0; i < reads; i++)
        {
            Assert.Equal(8, await pair.Near.ReadAsync(new byte[8], CancellationToken.None).AsTask().WaitAsync(Deadline));
        }

        Assert.Equal(0, await pair.Near.ReadAsync(new byte[8], CancellationToken.None).AsTask().WaitAsync(Deadline));
    }

    [Fact]
    public async Task Reads_on_behind_an_urgent_byte()
    {
        await using var pair = await LoopPair.ConnectAsync();
        pair.Far.Send("before "u8);
        pair.Far.Send("!"u8, SocketFlags.OutOfBand);
        pair.Far.Send("after"u8);
        pair.Far.Shutdown(SocketShutdown.Send);

        Assert.Equal("before after", await ReadToEndAsync(pair.Near));
    }

    [Fact]
    public async Task Reads_on_behind_an_urgent_byte_while_the_connection_stays_open()
    {
        await using var pair = await LoopPair.ConnectAsync();
        pair.Far.Send("before "u8);
        pair.Far.Send("!"u8, SocketFlags.OutOfBand);
        pair.Far.Send("after"u8);
        var text = new StringBuilder();
        var buffer = new byte[64];
        while (text.Length < "before after".Length)
        {
            text.Append(Encoding.ASCII.GetString(buffer, 0, await pair.Near.ReadAsync(buffer, CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromSeconds(5))));
        }

        Assert.Equal("before after", text.ToString());
    }

    [Fact]
    public async Task Carries_every_byte_in_order_through_small_socket_buffers_both_ways()
    {
        await using var pair = await LoopPair.ConnectAsync();
        pair.Far.ReceiveBufferSize = pair.Far.SendBufferSize = 64 * 1024;
        var bytes = RandomNumberGenerator.GetBytes(3_000_000);
        using var there = new MemoryStream();
        using var back = new MemoryStream();
        var sending = Task.Run(async () =>
        {
            await pair.Near.WriteAsync(bytes, CancellationToken.None);
            await pair.Near.EndWritesAsync(CancellationToken.None);
        });
        var receiving = Task.Run(async () =>
        {
            var buffer = new byte[3_001];
            while (await pair.Near.ReadAsync(buffer, CancellationToken.None) is > 0 and var read)
            {
                back.Write(buffer, 0, read);
            }
        });
        await using var far = new NetworkStream(pair.Far);
        var farSending = Task.Run(async () =>
        {
            await far.WriteAsync(bytes);
            pair.Far.Shutdown(SocketShutdown.Send);
        });
        await far.CopyToAsync(there);
        await Task.WhenAll(sending, receiving, farSending).WaitAsync(Deadline);

        Assert.Equal(SHA256.HashData(bytes), SHA256.HashData(there.ToArray()));
        Assert.Equal(SHA256.HashData(bytes), SHA256.HashData(back.ToArray()));
    }

    [Fact]
    public async Task Lets_others_have_their_turn_while_one_connection_floods()
    {
        await using var flood = await LoopPair.ConnectAsync();
        var (quiet, far) = await LoopPair.ConnectAsync(flood.Loop);
        using var stop = new CancellationTokenSource();
        var flooding = Task.Run(async () =>
        {
            var block = new byte[256 * 1024];
            try
            {
                while (!stop.IsCancellationRequested)
                {
                    await flood.Far.SendAsync(block);
                }
            }
            catch (SocketException)
            {
                // The other end is gone.
            }
        });
        var draining = DrainAsync(flood.Near, stop.Token);
        for (var i = 0; i < 50; i++)
        {
            far.Send("x"u8);
            Assert.Equal(1, await quiet.ReadAsync(new byte[1], CancellationToken.None).AsTask().WaitAsync(Deadline));
        }

        await stop.CancelAsync();
        await draining.WaitAsync(Deadline);
        flood.Near.Abort();
        await flooding.WaitAsync(Deadline);
        await quiet.DisposeAsync();
        far.Dispose();

        static async Task DrainAsync(LoopSocket socket, CancellationToken stop)
        {
            await socket.Loop.EnterAsync();
            var buffer = new byte[64 * 1024];
            try
            {
                while (true)
                {
                    await socket.ReadAsync(buffer, stop);
                    stop.ThrowIfCancellationRequested();
                }
            }
            catch (OperationCanceledException)
            {
                await Task.Yield();
            }
        }
    }

    [Fact]
    public async Task Events_of_a_closed_socket_do_not_reach_the_one_that_took_its_place()
    {
        await using var pair = await LoopPair.ConnectAsync();
        for (var round = 0; round < 50; round++)
        {
            var (old, oldFar) = await LoopPair.ConnectAsync(pair.Loop);

            // The byte for the old one is on its way while it is closed; its slot and its descriptor are free for the next.
            oldFar.Send("stale"u8);
            await old.DisposeAsync();
            var (young, youngFar) = await LoopPair.ConnectAsync(pair.Loop);
            var reading = young.ReadAsync(new byte[16], CancellationToken.None).AsTask();
            await LoopPair.OnAsync(pair.Loop, () => 0);
            Assert.False(reading.IsCompleted);
            youngFar.Send("x"u8);
            Assert.Equal(1, await reading.WaitAsync(Deadline));
            await young.DisposeAsync();
            youngFar.Dispose();
            oldFar.Dispose();
        }
    }

    [Fact]
    public async Task Counts_its_loops_load_down_once_however_often_it_is_closed()
    {
        await using var pair = await LoopPair.ConnectAsync();
        var (near, far) = await LoopPair.ConnectAsync(pair.Loop);
        var before = pair.Loop.Load;

        near.Abort();
        await near.DisposeAsync();
        await near.DisposeAsync();

        await Eventually.IsTrueAsync(() => pair.Loop.Load == before - 1, "the load goes down");
        far.Dispose();
    }

    [Fact]
    public async Task A_refused_connection_names_the_kernels_reason_and_leaves_nothing_behind()
    {
        await using var pair = await LoopPair.ConnectAsync();
        using var unused = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        unused.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var load = pair.Loop.Load;

        var problem = await Assert.ThrowsAsync<IOException>(() => LoopSocket.ConnectAsync(pair.Loop, (IPEndPoint)unused.LocalEndPoint!, CancellationToken.None).AsTask());

        Assert.Contains("refused", problem.Message, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(load, pair.Loop.Load);
    }

    private static async Task<string> ReadToEndAsync(LoopSocket socket)
    {
        var text = new StringBuilder();
        var buffer = new byte[64];
        while (await socket.ReadAsync(buffer, CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromSeconds(5)) is > 0 and var read)
        {
            text.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }

        return text.ToString();
    }
}
