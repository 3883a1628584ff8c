using FsCheck;
using FsCheck.Fluent;
using Signet.Rpc.Protocol;

namespace Signet.UnitTests.Rpc.Protocol;

public sealed class GrpcTimeoutTests
{
    [Theory]
    [InlineData("1H", TimeSpan.TicksPerHour)]
    [InlineData("2M", 2 * TimeSpan.TicksPerMinute)]
    [InlineData("3S", 3 * TimeSpan.TicksPerSecond)]
    [InlineData("4m", 4 * TimeSpan.TicksPerMillisecond)]
    [InlineData("5u", 5 * TimeSpan.TicksPerMicrosecond)]
    [InlineData("600n", 6)]
    [InlineData("1n", 1)]
    [InlineData("0S", 0)]
    [InlineData("99999999H", 99_999_999 * TimeSpan.TicksPerHour)]
    public void Reads_every_unit(string text, long ticks)
    {
        Assert.True(GrpcTimeout.TryParse(text, out var timeout));
        Assert.Equal(ticks, timeout.Ticks);
    }

    [Theory]
    [InlineData("")]
    [InlineData("S")]
    [InlineData("1")]
    [InlineData("1s")]
    [InlineData("1h")]
    [InlineData("-1S")]
    [InlineData("+1S")]
    [InlineData(" 1S")]
    [InlineData("1 S")]
    [InlineData("1.5S")]
    [InlineData("1SS")]
    [InlineData("123456789S")]
    [InlineData("١S")]
    public void Refuses_what_is_not_one(string text) => Assert.False(GrpcTimeout.TryParse(text, out _));

    [Fact]
    public void Never_throws() => Prop.ForAll<string>(text =>
    {
        GrpcTimeout.TryParse(text ?? "", out _);
        return true;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Writes_at_least_the_time_that_is_left_and_hardly_more() => Prop.ForAll<long>(ticks =>
    {
        var left = TimeSpan.FromTicks(Math.Abs(ticks % TimeSpan.FromDays(10_000_000).Ticks));
        var text = GrpcTimeout.Format(left);
        return text.Length <= 9 && GrpcTimeout.TryParse(text, out var read) && read >= left && read - left <= TimeSpan.FromTicks(Math.Max(left.Ticks / 1_000, 10));
    }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(-5, "0u")]
    [InlineData(0, "0u")]
    [InlineData(TimeSpan.TicksPerSecond, "1000000u")]
    [InlineData(TimeSpan.TicksPerHour, "3600000m")]
    public void Writes_the_finest_unit_that_fits(long ticks, string expected) => Assert.Equal(expected, GrpcTimeout.Format(TimeSpan.FromTicks(ticks)));

    [Fact]
    public void Writes_the_longest_time_there_is() => Assert.True(GrpcTimeout.TryParse(GrpcTimeout.Format(TimeSpan.MaxValue), out _));
}
