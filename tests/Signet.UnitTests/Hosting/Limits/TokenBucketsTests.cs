using Signet.Hosting.Limits;
using Signet.Testing;

namespace Signet.UnitTests.Hosting.Limits;

public sealed class TokenBucketsTests
{
    private static readonly Rate Rate = new(PerSecond: 10, Burst: 100);
    private readonly ManualTimeProvider _time = new();

    [Fact]
    public void A_caller_that_took_its_burst_waits_for_the_refill_and_others_do_not()
    {
        var buckets = new TokenBuckets<string>(Rate, _time);
        Assert.True(buckets.TryTake("one", 100));
        Assert.False(buckets.TryTake("one"));
        Assert.True(buckets.TryTake("other"));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(buckets.TryTake("one", 10));
        Assert.False(buckets.TryTake("one"));
    }

    [Fact]
    public void A_bucket_never_holds_more_than_its_burst()
    {
        var buckets = new TokenBuckets<string>(Rate, _time);
        Assert.True(buckets.TryTake("one"));
        _time.Advance(TimeSpan.FromHours(1));
        Assert.True(buckets.TryTake("one", 100));
        Assert.False(buckets.TryTake("one"));
    }

    [Fact]
    public void What_is_not_there_whole_is_not_taken_in_part()
    {
        var buckets = new TokenBuckets<string>(Rate, _time);
        Assert.False(buckets.TryTake("one", 101));
        Assert.True(buckets.TryTake("one", 100));
    }

    [Fact]
    public void More_callers_than_can_be_told_apart_share_one_bucket_and_idle_ones_are_forgotten()
    {
        var buckets = new TokenBuckets<int>(Rate, _time);
        for (var caller = 0; caller < TokenBuckets<int>.MaxCallers; caller++)
        {
            Assert.True(buckets.TryTake(caller, 100));
        }

        Assert.True(buckets.TryTake(-1, 100));
        Assert.False(buckets.TryTake(-2));
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.True(buckets.TryTake(-3, 100));
        Assert.True(buckets.TryTake(-4, 100));
    }
}
