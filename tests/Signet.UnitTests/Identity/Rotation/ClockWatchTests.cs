using Signet.Identity.Rotation;

namespace Signet.UnitTests.Identity.Rotation;

public sealed class ClockWatchTests
{
    private readonly TwoClocks _time = new();

    [Fact]
    public void A_clock_that_fits_what_is_known_is_believed_from_the_start() => Assert.True(new ClockWatch(_time, isPlausible: true).IsSettled);

    [Fact]
    public void A_doubtful_clock_that_goes_steadily_settles_and_shows_no_jump()
    {
        var watch = new ClockWatch(_time, isPlausible: false);
        Assert.False(watch.IsSettled);
        for (var second = 0; second < 600; second++)
        {
            _time.Pass(TimeSpan.FromSeconds(1));
            Assert.Equal(TimeSpan.Zero, watch.Look());
        }

        Assert.True(watch.IsSettled);
    }

    [Theory]
    [InlineData(3600)]
    [InlineData(-3600)]
    [InlineData(10.5)]
    public void A_jump_is_seen_once_and_the_clock_must_settle_anew(double seconds)
    {
        var watch = Settled();
        _time.Set(TimeSpan.FromSeconds(seconds));
        Assert.Equal(seconds, watch.Look().TotalSeconds, 3);
        Assert.Equal(TimeSpan.Zero, watch.Look());
        Assert.False(watch.IsSettled);
        _time.Pass(ClockWatch.Settling);
        Assert.True(watch.IsSettled);
    }

    [Fact]
    public void A_machine_that_slept_looks_like_a_jump_and_a_slow_one_does_not()
    {
        var watch = Settled();
        _time.Pass(TimeSpan.FromMinutes(5));
        Assert.Equal(TimeSpan.Zero, watch.Look());
        _time.Set(TimeSpan.FromSeconds(9));
        Assert.Equal(TimeSpan.Zero, watch.Look());
        Assert.True(watch.IsSettled);
    }

    private ClockWatch Settled()
    {
        var watch = new ClockWatch(_time, isPlausible: true);
        watch.Look();
        return watch;
    }

    /// <summary>A wall clock that can be set, beside one that only counts on.</summary>
    private sealed class TwoClocks : TimeProvider
    {
        private DateTimeOffset _wall = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
        private long _steady;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override DateTimeOffset GetUtcNow() => _wall;

        public override long GetTimestamp() => _steady;

        public void Pass(TimeSpan time)
        {
            _steady += time.Ticks;
            _wall += time;
        }

        public void Set(TimeSpan by) => _wall += by;
    }
}
