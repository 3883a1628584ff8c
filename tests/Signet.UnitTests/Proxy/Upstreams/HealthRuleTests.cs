using Signet.Proxy.Config;
using Signet.Proxy.Upstreams.Health;

namespace Signet.UnitTests.Proxy.Upstreams;

public sealed class HealthRuleTests
{
    private static readonly HealthCheckConfig Check = new() { UnhealthyThreshold = 3, HealthyThreshold = 2 };

    [Theory]
    [InlineData("", EndpointHealth.Unknown)]
    [InlineData("+", EndpointHealth.Healthy)]
    [InlineData("--", EndpointHealth.Unknown)]
    [InlineData("---", EndpointHealth.Unhealthy)]
    [InlineData("+--", EndpointHealth.Healthy)]
    [InlineData("+---", EndpointHealth.Unhealthy)]
    [InlineData("+--+--", EndpointHealth.Healthy)]
    [InlineData("+!", EndpointHealth.Unhealthy)]
    [InlineData("!", EndpointHealth.Unhealthy)]
    [InlineData("---+", EndpointHealth.Unhealthy)]
    [InlineData("---++", EndpointHealth.Healthy)]
    [InlineData("---+-+", EndpointHealth.Unhealthy)]
    [InlineData("---+-++", EndpointHealth.Healthy)]
    public void Failures_and_passes_count_in_a_row_and_a_refusal_at_once(string checks, object health)
    {
        var state = checks.Aggregate(
            default(HealthState), (state, one) => HealthRule.Next(state, one switch { '+' => CheckEnd.Passed, '-' => CheckEnd.Failed, _ => CheckEnd.Refused }, Check));
        Assert.Equal((EndpointHealth)health, state.Health);
    }
}
