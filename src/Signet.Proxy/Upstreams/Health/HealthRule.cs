using Signet.Proxy.Config;

namespace Signet.Proxy.Upstreams.Health;

/// <summary>What active checks have found out about an endpoint.</summary>
internal enum EndpointHealth
{
    /// <summary>Not checked, or not often enough; it is used.</summary>
    Unknown,

    Healthy,

    Unhealthy,
}

/// <summary>How one check ended.</summary>
internal enum CheckEnd
{
    Passed,

    /// <summary>No connection, no session, or no answer in time.</summary>
    Failed,

    /// <summary>An answer that says no.</summary>
    Refused,
}

/// <param name="Health">What is known.</param>
/// <param name="Run">Checks in a row that say otherwise.</param>
internal readonly record struct HealthState(EndpointHealth Health, int Run);

/// <summary>
/// How checks add up, as Envoy's thresholds do: a failure counts when so many came in a row, an answer that says no counts at once, and the first
/// check of all counts at once when it passes. Pure.
/// </summary>
internal static class HealthRule
{
    public static HealthState Next(HealthState state, CheckEnd end, HealthCheckConfig settings) => (state.Health, end) switch
    {
        (EndpointHealth.Healthy, CheckEnd.Passed) => state with { Run = 0 },
        (EndpointHealth.Unknown, CheckEnd.Passed) => new(EndpointHealth.Healthy, 0),
        (EndpointHealth.Unhealthy, CheckEnd.Passed) => state.Run + 1 >= settings.HealthyThreshold ? new(EndpointHealth.Healthy, 0) : state with { Run = state.Run + 1 },
        (EndpointHealth.Unhealthy, _) => state with { Run = 0 },
        (_, CheckEnd.Refused) => new(EndpointHealth.Unhealthy, 0),
        _ => state.Run + 1 >= settings.UnhealthyThreshold ? new(EndpointHealth.Unhealthy, 0) : state with { Run = state.Run + 1 },
    };
}
