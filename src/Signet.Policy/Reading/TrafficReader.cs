using Signet.Policy.Objects;

namespace Signet.Policy.Reading;

/// <summary>Reads what a traffic policy says besides TLS; what has no effect here is named.</summary>
internal static class TrafficReader
{
    /// <summary>The fields that are read here, or named.</summary>
    public static readonly string[] Fields = ["loadBalancer", "connectionPool", "outlierDetection", "retryBudget", "tunnel", "proxyProtocol"];

    private static readonly TimeSpan MinDuration = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan MaxDuration = TimeSpan.FromDays(30);

    public static PortTraffic Read(Fields owner, ClientTlsSettings? tls, ProblemList problems)
    {
        Name(owner, problems, "tunnel", "proxyProtocol");
        return new PortTraffic(tls, ReadBalancing(owner, problems), ReadPool(owner, problems), ReadOutliers(owner, problems), ReadBudget(owner));
    }

    private static LoadBalancing? ReadBalancing(Fields owner, ProblemList problems)
    {
        if (owner.Open("loadBalancer", "simple", "consistentHash", "localityLbSetting", "warmup", "warmupDurationSecs") is not { } balancer)
        {
            return null;
        }

        Name(balancer, problems, "consistentHash", "localityLbSetting", "warmup", "warmupDurationSecs");
        switch (balancer.Word("simple", "UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"))
        {
            case "ROUND_ROBIN":
                return LoadBalancing.RoundRobin;
            case "RANDOM":
                return LoadBalancing.Random;
            case "PASSTHROUGH":
                problems.Info(balancer.LineOf("simple"), PolicyCodes.FieldWithoutEffect, $"{balancer.PathOf("simple")}: PASSTHROUGH has no effect here: endpoints are those of the proxy's configuration");
                return null;
            case "LEAST_REQUEST" or "LEAST_CONN":
                return LoadBalancing.LeastRequest;
            default:
                return null;
        }
    }

    private static ConnectionPool? ReadPool(Fields owner, ProblemList problems)
    {
        if (owner.Open("connectionPool", "tcp", "http") is not { } pool)
        {
            return null;
        }

        var tcp = pool.Open("tcp", "maxConnections", "connectTimeout", "tcpKeepalive", "maxConnectionDuration", "idleTimeout");
        var http = pool.Open(
            "http", "http1MaxPendingRequests", "http2MaxRequests", "maxRequestsPerConnection", "maxRetries", "idleTimeout", "h2UpgradePolicy", "useClientProtocol", "maxConcurrentStreams");
        Name(tcp, problems, "tcpKeepalive", "maxConnectionDuration", "idleTimeout");
        Name(http, problems, "idleTimeout", "h2UpgradePolicy", "useClientProtocol", "maxConcurrentStreams");
        return new ConnectionPool
        {
            MaxConnections = Limit(tcp, "maxConnections"),
            ConnectTimeout = tcp?.Duration("connectTimeout", MinDuration, MaxDuration),
            MaxPendingRequests = Limit(http, "http1MaxPendingRequests"),
            MaxRequests = Limit(http, "http2MaxRequests"),
            MaxRequestsPerConnection = Limit(http, "maxRequestsPerConnection"),
            MaxRetries = Limit(http, "maxRetries"),
        };
    }

    // As in Istio 0 is what is not set.
    private static int? Limit(Fields? fields, string key) => fields?.Number(key, 0, int.MaxValue) is > 0 and var limit ? limit : null;

    private static OutlierDetection? ReadOutliers(Fields owner, ProblemList problems)
    {
        if (owner.Open(
            "outlierDetection", "consecutive5xxErrors", "consecutiveGatewayErrors", "consecutiveLocalOriginFailures", "splitExternalLocalOriginErrors", "interval", "baseEjectionTime",
            "maxEjectionPercent", "minHealthPercent", "consecutiveErrors") is not { } outliers)
        {
            return null;
        }

        Name(outliers, problems, "consecutiveErrors");
        var defaults = new OutlierDetection();
        return new OutlierDetection
        {
            Consecutive5xx = outliers.Number("consecutive5xxErrors", 0, int.MaxValue) ?? defaults.Consecutive5xx,
            ConsecutiveGatewayErrors = outliers.Number("consecutiveGatewayErrors", 0, int.MaxValue) ?? defaults.ConsecutiveGatewayErrors,
            ConsecutiveLocalOriginFailures = outliers.Number("consecutiveLocalOriginFailures", 0, int.MaxValue) ?? defaults.ConsecutiveLocalOriginFailures,
            SplitsLocalOrigin = outliers.Flag("splitExternalLocalOriginErrors"),
            Interval = outliers.Duration("interval", MinDuration, MaxDuration) ?? defaults.Interval,
            BaseEjectionTime = outliers.Duration("baseEjectionTime", MinDuration, MaxDuration) ?? defaults.BaseEjectionTime,
            MaxEjectionPercent = outliers.Number("maxEjectionPercent", 0, 100) ?? defaults.MaxEjectionPercent,
            MinHealthPercent = outliers.Number("minHealthPercent", 0, 100) ?? defaults.MinHealthPercent,
        };
    }

    private static RetryBudget? ReadBudget(Fields owner)
    {
        if (owner.Open("retryBudget", "percent", "minRetryConcurrency") is not { } budget)
        {
            return null;
        }

        return new RetryBudget(budget.Number("percent", 0, 100) ?? RetryBudget.Default.Percent, budget.Number("minRetryConcurrency", 0, int.MaxValue) ?? RetryBudget.Default.MinConcurrency);
    }

    private static void Name(Fields? owner, ProblemList problems, params ReadOnlySpan<string> fields)
    {
        foreach (var field in fields)
        {
            if (owner?.Has(field) == true)
            {
                problems.Info(owner.LineOf(field), PolicyCodes.FieldWithoutEffect, $"{owner.PathOf(field)} has no effect here");
            }
        }
    }
}
