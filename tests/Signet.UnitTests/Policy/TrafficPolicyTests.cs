using Signet.Policy;
using Signet.Policy.Objects;

namespace Signet.UnitTests.Policy;

/// <summary>What a DestinationRule says besides TLS: read as Istio means it, and named where it has no effect.</summary>
public sealed class TrafficPolicyTests
{
    private static string Rule(string traffic, string name = "r") =>
        $"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}, namespace: b}}\nspec: {{host: svc, {traffic}}}\n";

    private static ClientTraffic Resolve(string yaml, int port = 80, string? subset = null) =>
        Ask.Set(yaml).ClientTraffic(new ClientTlsQuery(Ask.Workload("a", ("app", "web")), "svc", "b", port, Subset: subset));

    [Fact]
    public void Without_a_rule_the_endpoint_with_less_to_do_is_taken_and_nothing_is_limited_but_retries()
    {
        var traffic = Resolve("");
        Assert.Equal((null, LoadBalancing.LeastRequest, new ConnectionPool(), null, new RetryBudget(20, 3)), (traffic.From, traffic.Balancing, traffic.Pool, traffic.Outliers, traffic.Retries));
    }

    [Theory]
    [InlineData("ROUND_ROBIN", LoadBalancing.RoundRobin)]
    [InlineData("RANDOM", LoadBalancing.Random)]
    [InlineData("LEAST_CONN", LoadBalancing.LeastRequest)]
    [InlineData("LEAST_REQUEST", LoadBalancing.LeastRequest)]
    [InlineData("UNSPECIFIED", LoadBalancing.LeastRequest)]
    public void Balancing_is_what_simple_says(string word, LoadBalancing balancing) =>
        Assert.Equal(balancing, Resolve(Rule($"trafficPolicy: {{loadBalancer: {{simple: {word}}}}}")).Balancing);

    [Fact]
    public void Outlier_detection_has_Istios_defaults_and_is_off_without_its_field()
    {
        var outliers = Resolve(Rule("trafficPolicy: {outlierDetection: {maxEjectionPercent: 50}}")).Outliers;
        Assert.Equal(new OutlierDetection { MaxEjectionPercent = 50 }, outliers);
        Assert.Equal((5, 0, 5, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(30), 0), (outliers!.Consecutive5xx, outliers.ConsecutiveGatewayErrors, outliers.ConsecutiveLocalOriginFailures, outliers.Interval, outliers.BaseEjectionTime, outliers.MinHealthPercent));
        Assert.Null(Resolve(Rule("trafficPolicy: {loadBalancer: {simple: RANDOM}}")).Outliers);
    }

    [Fact]
    public void Every_field_that_has_an_effect_is_read_and_none_of_them_is_complained_about()
    {
        var yaml = Rule("""
            trafficPolicy: {
              connectionPool: {tcp: {maxConnections: 7, connectTimeout: 1.5s}, http: {http1MaxPendingRequests: 1, http2MaxRequests: 2, maxRequestsPerConnection: 3, maxRetries: 4}},
              outlierDetection: {consecutive5xxErrors: 1, consecutiveGatewayErrors: 2, consecutiveLocalOriginFailures: 3, splitExternalLocalOriginErrors: true, interval: 1m30s, baseEjectionTime: 500ms, maxEjectionPercent: 100, minHealthPercent: 40},
              retryBudget: {percent: 50, minRetryConcurrency: 1}
            }
            """.ReplaceLineEndings(" "));
        Assert.Empty(Ask.Load(yaml).Problems);
        var traffic = Resolve(yaml);
        Assert.Equal(new ConnectionPool { MaxConnections = 7, ConnectTimeout = TimeSpan.FromSeconds(1.5), MaxPendingRequests = 1, MaxRequests = 2, MaxRequestsPerConnection = 3, MaxRetries = 4 }, traffic.Pool);
        Assert.Equal(
            new OutlierDetection
            {
                Consecutive5xx = 1,
                ConsecutiveGatewayErrors = 2,
                ConsecutiveLocalOriginFailures = 3,
                SplitsLocalOrigin = true,
                Interval = TimeSpan.FromSeconds(90),
                BaseEjectionTime = TimeSpan.FromMilliseconds(500),
                MaxEjectionPercent = 100,
                MinHealthPercent = 40,
            },
            traffic.Outliers);
        Assert.Equal(new RetryBudget(50, 1), traffic.Retries);
        Assert.Equal("b/r", traffic.From);
    }

    [Fact]
    public void Zero_is_no_limit_as_in_Istio() =>
        Assert.Equal(new ConnectionPool(), Resolve(Rule("trafficPolicy: {connectionPool: {tcp: {maxConnections: 0}, http: {maxRequestsPerConnection: 0}}}")).Pool);

    [Theory]
    [InlineData("loadBalancer: {consistentHash: {useSourceIp: true}}")]
    [InlineData("loadBalancer: {localityLbSetting: {enabled: true}}")]
    [InlineData("loadBalancer: {simple: PASSTHROUGH}")]
    [InlineData("connectionPool: {tcp: {tcpKeepalive: {time: 7200s}}}")]
    [InlineData("connectionPool: {http: {idleTimeout: 5s}}")]
    [InlineData("outlierDetection: {consecutiveErrors: 3}")]
    [InlineData("tunnel: {targetHost: a, targetPort: 1}")]
    [InlineData("portLevelSettings: [{port: {number: 80}, loadBalancer: {warmup: {duration: 1s}}}]")]
    public void What_has_no_effect_is_named(string field)
    {
        var problem = Assert.Single(Ask.Load(Rule($"trafficPolicy: {{{field}}}")).Problems);
        Assert.Equal((PolicySeverity.Info, PolicyCodes.FieldWithoutEffect), (problem.Severity, problem.Code));
    }

    [Theory]
    [InlineData("loadBalancer: {simple: ROUNDROBIN}", PolicyCodes.BadValue)]
    [InlineData("loadBalancer: {simpel: RANDOM}", PolicyCodes.UnknownField)]
    [InlineData("outlierDetection: {interval: 10}", PolicyCodes.BadValue)]
    [InlineData("outlierDetection: {interval: 0s}", PolicyCodes.BadValue)]
    [InlineData("outlierDetection: {maxEjectionPercent: 101}", PolicyCodes.BadValue)]
    [InlineData("outlierDetection: {consecutive5xx: 1}", PolicyCodes.UnknownField)]
    [InlineData("connectionPool: {tcp: {maxConnections: -1}}", PolicyCodes.BadValue)]
    [InlineData("connectionPool: {tcp: {connectTimeout: 1.2.3s}}", PolicyCodes.BadValue)]
    [InlineData("connectionPool: {tcp: {connectTimeout: 99999999999999999h}}", PolicyCodes.BadValue)]
    public void What_is_misspelt_or_out_of_range_is_an_error_and_keeps_clients_from_connecting(string field, string code)
    {
        var load = Ask.Load(Rule($"trafficPolicy: {{{field}}}"));
        Assert.Contains(load.Problems, problem => (problem.Severity, problem.Code) == (PolicySeverity.Error, code));
        Assert.NotNull(load.Set.ClientTls(new ClientTlsQuery(Ask.Workload("a"), "svc", "b", 80)).Refusal);
        Assert.Equal(ClientTraffic.Default, load.Set.ClientTraffic(new ClientTlsQuery(Ask.Workload("a"), "svc", "b", 80)));
    }

    [Fact]
    public void A_port_that_is_named_inherits_nothing()
    {
        var yaml = Rule("trafficPolicy: {loadBalancer: {simple: RANDOM}, connectionPool: {tcp: {maxConnections: 1}}, portLevelSettings: [{port: {number: 90}, loadBalancer: {simple: ROUND_ROBIN}}]}");
        Assert.Equal((LoadBalancing.RoundRobin, (int?)null), (Resolve(yaml, 90).Balancing, Resolve(yaml, 90).Pool.MaxConnections));
        Assert.Equal((LoadBalancing.Random, (int?)1), (Resolve(yaml, 80).Balancing, Resolve(yaml, 80).Pool.MaxConnections));
    }

    [Fact]
    public void A_subset_overrides_field_by_field()
    {
        var yaml = Rule("trafficPolicy: {loadBalancer: {simple: RANDOM}, connectionPool: {tcp: {maxConnections: 1}}}, subsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}]");
        Assert.Equal((LoadBalancing.RoundRobin, (int?)1), (Resolve(yaml, subset: "v1").Balancing, Resolve(yaml, subset: "v1").Pool.MaxConnections));
        Assert.Equal(LoadBalancing.Random, Resolve(yaml).Balancing);
    }
}
