using Signet.Policy.Objects;

namespace Signet.Policy;

/// <summary>How a client spreads, limits and repeats what it sends to a service, and which object says so.</summary>
/// <param name="From">The DestinationRule, <c>namespace/name</c>; null when none says anything.</param>
/// <param name="Balancing">How an endpoint is chosen.</param>
/// <param name="Pool">How much may be under way at once.</param>
/// <param name="Outliers">When an endpoint that fails is left out; null is never.</param>
/// <param name="Retries">How many retries may be under way.</param>
public sealed record ClientTraffic(string? From, LoadBalancing Balancing, ConnectionPool Pool, OutlierDetection? Outliers, RetryBudget Retries)
{
    /// <summary>What holds without a DestinationRule.</summary>
    public static ClientTraffic Default { get; } = new(null, LoadBalancing.LeastRequest, new ConnectionPool(), null, RetryBudget.Default);
}
