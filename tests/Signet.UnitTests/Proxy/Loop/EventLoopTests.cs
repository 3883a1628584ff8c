using Signet.Proxy.Loop;

namespace Signet.UnitTests.Proxy.Loop;

public sealed class EventLoopTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Wakes_up_for_every_piece_of_work_however_many_threads_bring_it()
    {
        var loop = new EventLoop("test loop", _ => { });
        var callers = Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < 20_000; i++)
            {
                var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                loop.Post(done.SetResult);
                await done.Task.WaitAsync(Deadline);
            }
        }));

        await Task.WhenAll(callers);
        loop.Stop();
        await loop.Ended.WaitAsync(Deadline);
    }

    [Fact]
    public async Task Runs_what_one_thread_posts_in_its_order()
    {
        var loop = new EventLoop("test loop", _ => { });
        var seen = new List<int>();
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        for (var i = 0; i < 10_000; i++)
        {
            var number = i;
            loop.Post(() => seen.Add(number));
        }

        loop.Post(done.SetResult);
        await done.Task.WaitAsync(Deadline);
        Assert.Equal(Enumerable.Range(0, 10_000), seen);
        loop.Stop();
        await loop.Ended.WaitAsync(Deadline);
    }

    [Fact]
    public async Task Reports_what_a_piece_of_work_throws_and_goes_on()
    {
        var faults = new TaskCompletionSource<Exception>(TaskCreationOptions.RunContinuationsAsynchronously);
        var loop = new EventLoop("test loop", fault => faults.TrySetResult(fault));
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        loop.Post(() => throw new InvalidOperationException("a defect"));
        loop.Post(done.SetResult);

        Assert.Equal("a defect", (await faults.Task.WaitAsync(Deadline)).Message);
        await done.Task.WaitAsync(Deadline);
        loop.Stop();
        await loop.Ended.WaitAsync(Deadline);
    }

    [Fact]
    public async Task Lets_nobody_in_after_it_has_stopped_and_forgets_no_work()
    {
        var loop = new EventLoop("test loop", _ => { });
        loop.Stop();
        await loop.Ended.WaitAsync(Deadline);

        await Assert.ThrowsAsync<IOException>(async () => await loop.EnterAsync());
        var done = new TaskCompletionSource();
        loop.Post(done.SetResult);
        await done.Task.WaitAsync(Deadline);
    }

    [Fact]
    public async Task Runs_all_work_that_races_with_its_stop()
    {
        for (var round = 0; round < 200; round++)
        {
            var loop = new EventLoop("test loop", _ => { });
            var ran = 0;
            var posting = Task.Run(() =>
            {
                for (var i = 0; i < 100; i++)
                {
                    loop.Post(() => Interlocked.Increment(ref ran));
                }
            });
            loop.Stop();
            await posting;
            await loop.Ended.WaitAsync(Deadline);
            await Signet.Testing.Eventually.IsTrueAsync(() => Volatile.Read(ref ran) == 100, "all work runs");
        }
    }

    [Fact]
    public async Task Stays_on_its_thread_from_one_wait_to_the_next()
    {
        await using var pair = await LoopPair.ConnectAsync();
        await pair.Loop.EnterAsync();
        var thread = Environment.CurrentManagedThreadId;
        var buffer = new byte[16];
        for (var i = 0; i < 100; i++)
        {
            pair.Far.Send("x"u8);
            Assert.Equal(1, await pair.Near.ReadAsync(buffer, CancellationToken.None));
            Assert.Equal(thread, Environment.CurrentManagedThreadId);
        }

        await Task.Yield();
    }
}
