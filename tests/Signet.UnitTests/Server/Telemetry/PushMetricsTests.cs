using Signet.Hosting;
using Signet.Server.Telemetry;
using Signet.Testing;

namespace Signet.UnitTests.Server.Telemetry;

public sealed class PushMetricsTests
{
    private readonly ManualTimeProvider _time = new();

    [Fact]
    public void The_lag_is_that_of_the_slowest_stream_and_ends_when_it_is_written()
    {
        using var metrics = new PushMetrics(_time);
        using var slow = metrics.Begin();
        using var fast = metrics.Begin();
        Assert.Equal(TimeSpan.Zero, metrics.Lag);
        slow.Due(_time.GetTimestamp());
        _time.Advance(TimeSpan.FromSeconds(3));
        fast.Due(_time.GetTimestamp());
        Assert.Equal(TimeSpan.FromSeconds(3), metrics.Lag);
        fast.Written(null);
        Assert.Equal(TimeSpan.FromSeconds(3), metrics.Lag);
        slow.Written(null);
        Assert.Equal(TimeSpan.Zero, metrics.Lag);
    }

    [Fact]
    public void A_stream_that_ended_lags_no_more_and_one_that_begins_counts_from_its_beginning()
    {
        using var metrics = new PushMetrics(_time);
        using (var stream = metrics.Begin())
        {
            stream.Due(null);
            _time.Advance(TimeSpan.FromSeconds(1));
            Assert.Equal(TimeSpan.FromSeconds(1), metrics.Lag);
        }

        Assert.Equal(TimeSpan.Zero, metrics.Lag);
    }

    [Fact]
    public void A_signal_knows_when_the_first_change_after_the_one_seen_was_raised()
    {
        var signal = new ChangeSignal(_time);
        Assert.Null(signal.RaisedAfter(0));
        var first = _time.GetTimestamp();
        signal.Raise();
        _time.Advance(TimeSpan.FromSeconds(1));
        var second = _time.GetTimestamp();
        signal.Raise();
        Assert.Equal((first, second), (signal.RaisedAfter(0)!.Value, signal.RaisedAfter(1)!.Value));
        Assert.Null(signal.RaisedAfter(2));
        Assert.Null(new ChangeSignal().RaisedAfter(-1));

        // Of very many at once the oldest that it remembers.
        for (var i = 0; i < 100; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            signal.Raise();
        }

        Assert.Equal(TimeSpan.FromSeconds(15), _time.GetElapsedTime(signal.RaisedAfter(0)!.Value));
    }
}
