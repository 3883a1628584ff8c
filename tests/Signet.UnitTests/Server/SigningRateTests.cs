using Signet.Identity.Spiffe;
using Signet.Server.Api;
using Signet.Testing;

namespace Signet.UnitTests.Server;

public sealed class SigningRateTests
{
    private static readonly SpiffeId One = SpiffeId.Parse("spiffe://example.org/spire/agent/join_token/1");
    private static readonly SpiffeId Other = SpiffeId.Parse("spiffe://example.org/spire/agent/join_token/2");

    private readonly ManualTimeProvider _time = new();

    [Fact]
    public void An_agent_that_took_its_burst_waits_for_the_refill_and_others_do_not()
    {
        var rate = new SigningRate(_time);
        Assert.True(rate.TryTake(One, SigningRate.Burst));
        Assert.False(rate.TryTake(One, 1));
        Assert.True(rate.TryTake(Other, 1));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(rate.TryTake(One, SigningRate.PerSecond));
        Assert.False(rate.TryTake(One, 1));
    }

    [Fact]
    public void A_bucket_never_holds_more_than_its_burst()
    {
        var rate = new SigningRate(_time);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.True(rate.TryTake(One, SigningRate.Burst));
        Assert.False(rate.TryTake(One, 1));
    }
}
