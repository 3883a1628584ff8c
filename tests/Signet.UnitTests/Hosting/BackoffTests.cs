using FsCheck;
using FsCheck.Fluent;
using Signet.Hosting;

namespace Signet.UnitTests.Hosting;

public sealed class BackoffTests
{
    private static readonly BackoffRule Rule = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));

    [Fact]
    public void Doubles_up_to_the_limit_and_starts_over_after_a_success()
    {
        var backoff = new Backoff(Rule, () => 1);

        Assert.Equal([1, 2, 4, 8, 16, 30, 30], Enumerable.Range(0, 7).Select(_ => backoff.Next().TotalSeconds));
        backoff.Reset();
        Assert.Equal((1, 1), (backoff.Next().TotalSeconds, backoff.Failures));
    }

    [Theory]
    [InlineData(0, 2)]
    [InlineData(0.5, 3)]
    [InlineData(1, 4)]
    public void Lets_chance_cut_a_wait_to_its_half(double chance, double seconds) => Assert.Equal(seconds, Rule.After(3, chance).TotalSeconds);

    [Fact]
    public void Spreads_waits_over_all_of_the_time_where_many_wait_for_the_same() =>
        Assert.Equal([1, 10.5, 20], new[] { 0, 0.5, 1.0 }.Select(chance => new BackoffRule(TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(30), Least: 0.05).After(1, chance).TotalSeconds));

    [Fact]
    public void Never_waits_less_than_half_the_first_time_or_more_than_the_limit() =>
        Prop.ForAll<int, double>((failures, chance) =>
        {
            var wait = Rule.After(failures, double.IsNaN(chance) ? 0 : chance);
            Assert.InRange(wait, Rule.First / 2, Rule.Max);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Stays_at_the_limit_for_ever() =>
        Assert.Equal(TimeSpan.FromDays(3650), new BackoffRule(TimeSpan.FromDays(1), TimeSpan.FromDays(3650)).After(int.MaxValue, 1));
}
