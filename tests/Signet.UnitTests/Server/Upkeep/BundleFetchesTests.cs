using Grpc.Core;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Server.Upkeep;
using Signet.Testing;

namespace Signet.UnitTests.Server.Upkeep;

public sealed class BundleFetchesTests
{
    private static readonly SpiffeId Agent = ReservedIds.Agent(TrustDomain.Parse("example.org"), "join_token", "one");

    private readonly ManualTimeProvider _time = new();
    private readonly BundleFetches _fetches;

    public BundleFetchesTests() => _fetches = new BundleFetches(_time);

    [Fact]
    public void An_answer_counts_once_the_agent_begins_anew_and_not_before()
    {
        Assert.Null(_fetches.HeldBy(Agent));
        _fetches.Began(Agent);
        _fetches.Answered(Agent, 7);
        Assert.Equal(0UL, _fetches.HeldBy(Agent));
        _fetches.Began(Agent);
        Assert.Equal(7UL, _fetches.HeldBy(Agent));
    }

    [Theory]
    [InlineData(StatusCode.Unavailable)]
    [InlineData(StatusCode.Cancelled)]
    [InlineData(StatusCode.ResourceExhausted)]
    public void A_call_that_fails_in_between_takes_the_proof_away(StatusCode code)
    {
        _fetches.Began(Agent);
        _fetches.Answered(Agent, 7);
        _fetches.Ended(Agent, code);
        _fetches.Began(Agent);
        Assert.Equal(0UL, _fetches.HeldBy(Agent));
    }

    [Theory]
    [InlineData(StatusCode.OK)]
    [InlineData(StatusCode.NotFound)]
    [InlineData(StatusCode.Unimplemented)]
    public void An_answer_that_there_is_nothing_is_no_failure(StatusCode code)
    {
        _fetches.Began(Agent);
        _fetches.Answered(Agent, 7);
        _fetches.Ended(Agent, code);
        _fetches.Began(Agent);
        Assert.Equal(7UL, _fetches.HeldBy(Agent));
    }

    [Fact]
    public void What_it_has_for_certain_is_not_lost_by_a_failure_or_an_older_answer()
    {
        _fetches.Stated(Agent, 9);
        _fetches.Began(Agent);
        _fetches.Answered(Agent, 7);
        _fetches.Began(Agent);
        _fetches.Ended(Agent, StatusCode.Unavailable);
        Assert.Equal(9UL, _fetches.HeldBy(Agent));
    }

    [Fact]
    public void It_came_back_only_when_it_began_later_and_nothing_failed_since()
    {
        var moment = _time.GetUtcNow();
        _fetches.Began(Agent);
        Assert.False(_fetches.CameBackAfter(Agent, moment));
        _time.Advance(TimeSpan.FromSeconds(1));
        _fetches.Began(Agent);
        Assert.True(_fetches.CameBackAfter(Agent, moment));
        _fetches.Ended(Agent, StatusCode.DeadlineExceeded);
        Assert.False(_fetches.CameBackAfter(Agent, moment));
    }

    [Fact]
    public void Agents_that_are_gone_are_forgotten_and_failures_of_strangers_leave_nothing_behind()
    {
        _fetches.Ended(Agent, StatusCode.Unavailable);
        _fetches.Answered(Agent, 3);
        Assert.Null(_fetches.HeldBy(Agent));
        _fetches.Stated(Agent, 3);
        _fetches.Prune(_ => false);
        Assert.Equal(3UL, _fetches.HeldBy(Agent));
        _fetches.Prune(_ => true);
        Assert.Null(_fetches.HeldBy(Agent));
    }
}
