using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Hosting.Admin;
using Signet.Hosting.Daemons;
using Signet.Testing;

namespace Signet.UnitTests.Hosting.Daemons;

public sealed class DaemonHostTests : IDisposable
{
    private readonly ManualTimeProvider _clock = new();
    private readonly Termination _termination = new();
    private readonly ReadinessBoard _readiness = new();
    private readonly List<string> _events = [];

    public void Dispose() => _termination.Dispose();

    [Fact]
    public async Task Starts_parts_in_order_and_stops_them_in_reverse()
    {
        var running = RunAsync(new Part(this, "a"), new Part(this, "b"));
        await Eventually.IsTrueAsync(() => _readiness.IsReady, "the daemon runs");

        _termination.Request();

        Assert.Equal(0, await running);
        Assert.Equal(["start a", "start b", "stop b", "stop a"], _events);
    }

    [Fact]
    public async Task Says_not_ready_while_it_drains()
    {
        var states = new List<bool>();
        var running = RunAsync(new Part(this, "a") { Stop = _ => { states.Add(_readiness.IsReady); return Task.CompletedTask; } });
        await Eventually.IsTrueAsync(() => _readiness.IsReady, "the daemon runs");
        _termination.Request();
        await running;

        Assert.Equal([false], states);
    }

    [Fact]
    public async Task Stops_what_it_started_when_a_part_cannot_start()
    {
        var broken = new Part(this, "b") { Start = _ => throw new IOException("cannot listen on 127.0.0.1:1") };

        Assert.Equal(1, await RunAsync(new Part(this, "a"), broken, new Part(this, "c")));
        Assert.Equal(["start a", "start b", "stop b", "stop a"], _events);
    }

    [Fact]
    public async Task Ends_with_a_failure_when_a_part_cannot_go_on()
    {
        var part = new Part(this, "a");
        var running = RunAsync(part);
        part.Ended.SetException(new IOException("the disk is gone"));

        Assert.Equal(1, await running);
    }

    [Fact]
    public async Task Ends_with_a_failure_when_a_part_ends_on_its_own()
    {
        await using var loop = new BackgroundPart("loop", _ => Task.CompletedTask);

        Assert.Equal(1, await RunAsync(loop));
    }

    [Fact]
    public async Task Gives_up_starting_when_it_is_told_to_end()
    {
        var running = RunAsync(new Part(this, "a") { Start = token => Task.Delay(Timeout.InfiniteTimeSpan, token) });
        _termination.Request();

        Assert.Equal(0, await running);
        Assert.Equal(["start a", "stop a"], _events);
    }

    [Fact]
    public async Task Tells_parts_to_drop_everything_when_draining_takes_too_long()
    {
        var running = RunAsync(new Part(this, "a"), new Part(this, "slow") { Stop = token => Task.Delay(Timeout.InfiniteTimeSpan, token) });
        await Eventually.IsTrueAsync(() => _readiness.IsReady, "the daemon runs");
        _termination.Request();
        await Eventually.IsTrueAsync(() => Events().Contains("stop slow"), "the part drains");
        Assert.DoesNotContain("stop a", Events());

        _clock.Advance(TimeSpan.FromSeconds(30));

        Assert.Equal(0, await running);
        Assert.Contains("stop a", _events);
    }

    [Fact]
    public async Task Leaves_behind_a_part_that_does_not_listen()
    {
        var running = RunAsync(new Part(this, "a"), new Part(this, "deaf") { Stop = _ => new TaskCompletionSource().Task });
        await Eventually.IsTrueAsync(() => _readiness.IsReady, "the daemon runs");
        _termination.Request();
        await Eventually.IsTrueAsync(() => Events().Contains("stop deaf"), "the part drains");

        var timers = _clock.StartedTimers;
        _clock.Advance(TimeSpan.FromSeconds(30));
        await Eventually.IsTrueAsync(() => _clock.StartedTimers > timers, "the last grace begins");
        _clock.Advance(TimeSpan.FromSeconds(5));

        Assert.Equal(0, await running);
        Assert.Contains("stop a", _events);
    }

    [Fact]
    public async Task Does_not_wait_when_it_is_told_to_end_twice()
    {
        var running = RunAsync(new Part(this, "slow") { Stop = token => Task.Delay(Timeout.InfiniteTimeSpan, token) });
        await Eventually.IsTrueAsync(() => _readiness.IsReady, "the daemon runs");

        _termination.Request();
        _termination.Request();

        Assert.Equal(0, await running);
    }

    [Fact]
    public async Task Stops_the_others_when_one_fails_to_stop()
    {
        var running = RunAsync(new Part(this, "a"), new Part(this, "b") { Stop = _ => throw new IOException("no") });
        await Eventually.IsTrueAsync(() => _readiness.IsReady, "the daemon runs");
        _termination.Request();

        Assert.Equal(0, await running);
        Assert.Contains("stop a", _events);
    }

    [Fact]
    public void Takes_the_first_signal_for_a_request_and_the_second_for_an_order()
    {
        var signal = new PosixSignalContext(PosixSignal.SIGTERM);
        _termination.Handle(signal);
        Assert.True(signal.Cancel);
        Assert.True(_termination.Requested.IsCancellationRequested);
        Assert.False(_termination.Forced.IsCancellationRequested);

        _termination.Handle(signal);
        Assert.True(_termination.Forced.IsCancellationRequested);
    }

    [Theory]
    [InlineData("30000000", null, 15.0)]
    [InlineData("30000000", "42", 15.0)]
    [InlineData("30000000", "43", null)]
    [InlineData("0", null, null)]
    [InlineData("-5", null, null)]
    [InlineData("soon", null, null)]
    [InlineData("99999999999999999999", null, null)]
    public void Knows_how_often_the_service_manager_wants_to_hear(string microseconds, string? pid, double? seconds)
    {
        var environment = new Dictionary<string, string> { ["NOTIFY_SOCKET"] = "/run/notify", ["WATCHDOG_USEC"] = microseconds };
        if (pid is not null)
        {
            environment["WATCHDOG_PID"] = pid;
        }

        Assert.Equal(seconds, new ServiceManager(environment, 42).WatchdogInterval?.TotalSeconds);
    }

    private Task<int> RunAsync(params IDaemonPart[] parts) =>
        Task.Run(() => DaemonHost.RunAsync(
            new Daemon("server", _readiness, new ServiceManager(new Dictionary<string, string>(), 1), _clock, NullLoggerFactory.Instance), parts, _termination));

    private List<string> Events()
    {
        lock (_events)
        {
            return [.. _events];
        }
    }

    private sealed class Part(DaemonHostTests test, string name) : IDaemonPart
    {
        public Func<CancellationToken, Task> Start { get; init; } = _ => Task.CompletedTask;

        public Func<CancellationToken, Task> Stop { get; init; } = _ => Task.CompletedTask;

        public TaskCompletionSource Ended { get; } = new();

        public string Name => name;

        public Task Completion => Ended.Task;

        public Task StartAsync(CancellationToken cancellationToken) => Note("start", Start, cancellationToken);

        public Task StopAsync(CancellationToken cancellationToken) => Note("stop", Stop, cancellationToken);

        private Task Note(string what, Func<CancellationToken, Task> act, CancellationToken cancellationToken)
        {
            lock (test._events)
            {
                test._events.Add($"{what} {name}");
            }

            return act(cancellationToken);
        }
    }
}
