using Signet.Policy.Objects;
using Signet.Proxy.Upstreams.Health;

namespace Signet.UnitTests.Proxy.Upstreams;

/// <summary>The outlier detection's rules, on a clock of one tick a second.</summary>
public sealed class OutlierTests
{
    private static readonly OutlierDetection Defaults = new();

    [Fact]
    public void Five_errors_of_a_server_in_a_row_are_enough_and_four_are_not()
    {
        Assert.False(After(Defaults, 500, 500, 501, 599).IsOut);
        Assert.Equal((true, EjectionCause.Consecutive5xx), (After(Defaults, 500, 500, 501, 599, 500).IsOut, After(Defaults, 500, 500, 501, 599, 500).Cause));
    }

    [Fact]
    public void One_good_answer_begins_the_count_anew() => Assert.False(After(Defaults, 500, 500, 500, 500, 404, 500, 500, 500, 500).IsOut);

    [Fact]
    public void Gateway_errors_count_by_themselves_only_when_asked_for()
    {
        var gateway = Defaults with { ConsecutiveGatewayErrors = 2 };
        Assert.Equal(EjectionCause.ConsecutiveGatewayErrors, After(gateway, 503, 504).Cause);
        Assert.True(After(gateway, 503, 504).IsOut);
        Assert.False(After(gateway, 503, 500, 503).IsOut);
        Assert.False(After(Defaults, 503, 504).IsOut);
    }

    [Fact]
    public void Zero_switches_a_count_off() => Assert.False(After(Defaults with { Consecutive5xx = 0 }, [.. Enumerable.Repeat(500, 100)]).IsOut);

    [Fact]
    public void A_failure_to_answer_counts_as_an_answer_of_500_unless_it_is_split_off()
    {
        Assert.True(After(Defaults, 0, 0, 0, 0, 0).IsOut);
        var split = Defaults with { SplitsLocalOrigin = true, ConsecutiveLocalOriginFailures = 2 };
        Assert.Equal(EjectionCause.ConsecutiveLocalOriginFailures, After(split, 0, 0).Cause);
        Assert.True(After(split, 0, 0).IsOut);
        Assert.False(After(split, 0, 200, 0).IsOut);
        Assert.False(After(split with { ConsecutiveLocalOriginFailures = 0 }, 0, 0, 0, 0, 0, 0).IsOut);
    }

    [Fact]
    public void An_endpoint_comes_back_at_the_first_look_after_its_time()
    {
        var ejected = After(Defaults, 500, 500, 500, 500, 500);
        Assert.Equal(30, ejected.Until);
        Assert.True(ejected.AtInterval(Defaults, 29, 1).IsOut);
        var back = ejected.AtInterval(Defaults, 30, 1);
        Assert.False(back.IsOut);
        Assert.Equal(default, back.Runs);
    }

    [Fact]
    public void Each_absence_is_longer_and_each_good_interval_shortens_the_next()
    {
        var ejection = default(Ejection);
        var now = 0L;
        foreach (var length in new[] { 30, 60, 90 })
        {
            ejection = Fail(ejection, now);
            Assert.Equal(now + length, ejection.Until);
            now += length;
            ejection = ejection.AtInterval(Defaults, now, 1);
        }

        ejection = ejection.AtInterval(Defaults, now + 5, 1);
        Assert.Equal(3, ejection.Times);
        ejection = ejection.AtInterval(Defaults, now + 10, 1).AtInterval(Defaults, now + 20, 1);
        Assert.Equal(1, ejection.Times);
        Assert.Equal(now + 20 + 60, Fail(ejection, now + 20).Until);
    }

    [Fact]
    public void No_absence_is_longer_than_five_minutes_unless_the_first_is()
    {
        Assert.Equal(TimeSpan.FromSeconds(300), OutlierRule.Absence(Defaults, 11));
        Assert.Equal(TimeSpan.FromSeconds(300), OutlierRule.Absence(Defaults, int.MaxValue));
        Assert.Equal(TimeSpan.FromSeconds(270), OutlierRule.Absence(Defaults, 9));
        Assert.Equal(TimeSpan.FromHours(1), OutlierRule.Absence(Defaults with { BaseEjectionTime = TimeSpan.FromHours(1) }, 5));
    }

    [Theory]
    [InlineData(10, 3, 0, true)]
    [InlineData(10, 3, 1, false)]
    [InlineData(50, 4, 1, true)]
    [InlineData(50, 4, 2, false)]
    [InlineData(100, 2, 1, true)]
    [InlineData(0, 10, 0, false)]
    public void The_first_may_be_left_out_and_further_ones_below_the_share(int percent, int endpoints, int ejected, bool may) =>
        Assert.Equal(may, OutlierRule.MayEject(Defaults with { MaxEjectionPercent = percent }, endpoints, ejected));

    [Fact]
    public void Who_may_not_be_left_out_is_when_another_comes_back()
    {
        var ejection = default(Ejection);
        for (var i = 0; i < 7; i++)
        {
            ejection = ejection.After(Defaults, EndpointResult.ServerError, mayEject: false, 0, 1);
        }

        Assert.False(ejection.IsOut);
        Assert.True(ejection.After(Defaults, EndpointResult.ServerError, mayEject: true, 0, 1).IsOut);
    }

    [Theory]
    [InlineData(0, 4, 0, false)]
    [InlineData(1, 4, 50, true)]
    [InlineData(2, 4, 50, false)]
    [InlineData(0, 4, 1, true)]
    public void There_is_panic_when_fewer_are_well_than_there_must_be(int well, int all, int minPercent, bool panic) => Assert.Equal(panic, OutlierRule.IsPanic(well, all, minPercent));

    private static Ejection After(OutlierDetection settings, params int[] statuses) => statuses.Aggregate(
        default(Ejection), (ejection, status) => ejection.After(settings, status == 0 ? EndpointResult.LocalFailure : OutlierRule.Of(status), mayEject: true, 0, 1));

    private static Ejection Fail(Ejection ejection, long now)
    {
        for (var i = 0; i < 5; i++)
        {
            ejection = ejection.After(Defaults, EndpointResult.ServerError, mayEject: true, now, 1);
        }

        return ejection;
    }
}
