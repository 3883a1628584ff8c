namespace Signet.Policy.Objects;

/// <summary>How one endpoint of several is chosen.</summary>
public enum LoadBalancing
{
    /// <summary>Of two taken by chance, the one with less under way.</summary>
    LeastRequest,

    RoundRobin,

    Random,
}

/// <summary>How much may be under way to a service at once; null is no limit.</summary>
public sealed record ConnectionPool
{
    /// <summary>Connections to all endpoints of the service together.</summary>
    public int? MaxConnections { get; init; }

    /// <summary>For a TCP connection; null leaves it to the client's own configuration.</summary>
    public TimeSpan? ConnectTimeout { get; init; }

    /// <summary>HTTP requests that wait for a connection.</summary>
    public int? MaxPendingRequests { get; init; }

    /// <summary>HTTP requests under way, of whatever version.</summary>
    public int? MaxRequests { get; init; }

    /// <summary>Requests that one connection carries, one after the other.</summary>
    public int? MaxRequestsPerConnection { get; init; }

    /// <summary>Retries under way.</summary>
    public int? MaxRetries { get; init; }
}

/// <summary>When an endpoint that fails is left out for a while, in Envoy's terms and with Istio's defaults.</summary>
public sealed record OutlierDetection
{
    /// <summary>Answers 500 to 599 in a row; 0 is never. Failures to connect or to answer count too unless they are split off.</summary>
    public int Consecutive5xx { get; init; } = 5;

    /// <summary>Answers 502, 503 and 504 in a row; 0 is never.</summary>
    public int ConsecutiveGatewayErrors { get; init; }

    /// <summary>Failures to connect or to answer in a row, when they are split off; 0 is never.</summary>
    public int ConsecutiveLocalOriginFailures { get; init; } = 5;

    /// <summary>Whether failures to connect or to answer are counted apart from answers.</summary>
    public bool SplitsLocalOrigin { get; init; }

    /// <summary>How often it is looked whether endpoints may come back.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The first absence; each further one is longer by as much.</summary>
    public TimeSpan BaseEjectionTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Once this share of the endpoints is left out, in percent, no further one is; the first always may.</summary>
    public int MaxEjectionPercent { get; init; } = 10;

    /// <summary>When a smaller share of the endpoints is well, in percent, all are used; 0 uses none that is not.</summary>
    public int MinHealthPercent { get; init; }
}

/// <summary>How many retries may be under way beside the requests that are.</summary>
/// <param name="Percent">Of the requests under way.</param>
/// <param name="MinConcurrency">So many are always allowed.</param>
public sealed record RetryBudget(double Percent, int MinConcurrency)
{
    /// <summary>A fifth, and three in any case.</summary>
    public static RetryBudget Default { get; } = new(20, 3);
}
