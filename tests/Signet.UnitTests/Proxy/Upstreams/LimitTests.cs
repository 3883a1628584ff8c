using FsCheck;
using FsCheck.Fluent;
using Signet.Policy.Objects;
using Signet.Proxy.Upstreams.Limits;

namespace Signet.UnitTests.Proxy.Upstreams;

public sealed class LimitTests
{
    private const long Frequency = 1000;

    [Fact]
    public void A_bucket_gives_its_burst_and_then_what_comes_in()
    {
        var bucket = new TokenBucket(perSecond: 2, burst: 3, Frequency);
        Assert.Equal([true, true, true, false], Enumerable.Range(0, 4).Select(_ => bucket.TryTake(0, out var _)));
        Assert.False(bucket.TryTake(499, out var wait));
        Assert.Equal(1, wait.TotalMilliseconds, 0.5);
        Assert.True(bucket.TryTake(500, out _));
        Assert.False(bucket.TryTake(500, out _));
        Assert.Equal([true, true, true, false], Enumerable.Range(0, 4).Select(_ => bucket.TryTake(1_000_000, out var _)));
    }

    [Fact]
    public void A_clock_that_goes_back_gives_nothing()
    {
        var bucket = new TokenBucket(perSecond: 1, burst: 1, Frequency);
        Assert.True(bucket.TryTake(10_000, out _));
        Assert.False(bucket.TryTake(0, out _));
        Assert.False(bucket.TryTake(10_500, out _));
        Assert.True(bucket.TryTake(11_000, out _));
    }

    [Fact]
    public void In_no_span_of_time_does_a_bucket_give_more_than_its_burst_and_its_rate() =>
        Prop.ForAll(
            ArbMap.Default.ArbFor<byte[]>().Generator.Select(steps => steps.Select(step => (long)step).ToArray()).ToArbitrary(),
            (long[] steps) =>
            {
                var bucket = new TokenBucket(perSecond: 10, burst: 5, Frequency);
                var (now, given) = (0L, 0);
                foreach (var step in steps)
                {
                    now += step;
                    given += bucket.TryTake(now, out _) ? 1 : 0;
                }

                return given <= 5 + (now * 10.0 / Frequency);
            }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(0, 3)]
    [InlineData(10, 3)]
    [InlineData(100, 20)]
    public void A_fifth_of_what_is_under_way_may_be_retries_and_three_in_any_case(int active, int retries) =>
        Assert.Equal(retries, RetryRule.Budget(RetryBudget.Default, maxRetries: null, active));

    [Fact]
    public void MaxRetries_is_never_exceeded() => Assert.Equal(1, RetryRule.Budget(RetryBudget.Default, maxRetries: 1, 1000));

    [Theory]
    [InlineData("NotConnected", "POST", true, false, true, 0, true)]
    [InlineData("NotConnected", "POST", true, false, false, 0, false)]
    [InlineData("NotConnected", "GET", true, false, true, 2, false)]
    [InlineData("Unprocessed", "POST", true, false, false, 0, true)]
    [InlineData("Unprocessed", "POST", false, false, true, 0, false)]
    [InlineData("Broken", "GET", true, true, false, 0, true)]
    [InlineData("Broken", "GET", true, false, false, 0, false)]
    [InlineData("Broken", "GET", true, false, true, 0, true)]
    [InlineData("Broken", "GET", true, false, true, 1, true)]
    [InlineData("Broken", "GET", true, false, true, 2, false)]
    [InlineData("Broken", "POST", true, true, true, 0, false)]
    [InlineData("Broken", "PATCH", true, true, true, 0, false)]
    [InlineData("Broken", "PUT", false, true, true, 0, false)]
    [InlineData("TimedOut", "GET", true, false, true, 0, true)]
    [InlineData("TimedOut", "GET", true, false, false, 0, false)]
    [InlineData("TimedOut", "POST", true, false, true, 0, false)]
    public void A_request_is_sent_again_only_where_that_is_safe_and_may_help(string end, string method, bool isReplayable, bool wasKept, bool hasOther, int retries, bool again) =>
        Assert.Equal(again, RetryRule.WhyNot(new AttemptFacts(Enum.Parse<AttemptEnd>(end), RetryRule.IsIdempotent(method), isReplayable, wasKept, hasOther, retries), maxRetries: 2) is null);

    [Fact]
    public void What_could_have_been_processed_and_is_not_idempotent_is_never_sent_again() =>
        Prop.ForAll(
            ArbMap.Default.ArbFor<(bool, bool, bool, bool, byte)>(),
            ((bool Replayable, bool Kept, bool Other, bool Timed, byte Retries) facts) => RetryRule.WhyNot(
                new AttemptFacts(facts.Timed ? AttemptEnd.TimedOut : AttemptEnd.Broken, IsIdempotent: false, facts.Replayable, facts.Kept, facts.Other, facts.Retries), int.MaxValue) is not null).QuickCheckThrowOnFailure();
}
