using Signet.Hosting.Telemetry;
using Signet.Proxy.Connections;
using Signet.Proxy.Telemetry;
using Signet.UnitTests.Hosting.Telemetry;

namespace Signet.UnitTests.Proxy.Telemetry;

public sealed class TrafficMetricsTests
{
    private const string Self = "spiffe://example.org/ns/default/sa/orders";
    private const string Ends = "destination_port=8080|destination_principal=spiffe://example.org/ns/default/sa/orders|destination_service=|direction=inbound";
    private const string Rest = "protocol=http|source_principal=spiffe://example.org/ns/default/sa/web";

    [Fact]
    public void Counts_requests_by_peers_policy_answer_and_handshake()
    {
        var traffic = new TrafficMetrics();
        traffic.Count(Records.Allowed());
        traffic.Count(Records.Allowed());
        traffic.Count(Records.Denied());

        var samples = Read(traffic).Samples;

        Assert.Equal(2, samples[$"signet_proxy_requests_total|code=200|{Ends}|grpc_status=|policy=none|{Rest}|tls_session=full|tls_version=TLSv1.3|verdict=allow"]);
        Assert.Equal(1, samples[$"signet_proxy_requests_total|code=403|{Ends}|grpc_status=|policy=default/no-web|{Rest}|tls_session=full|tls_version=TLSv1.3|verdict=deny"]);
        Assert.Equal((20, 40), (samples[$"signet_proxy_bytes_total|{Ends}|{Rest}|way=received"], samples[$"signet_proxy_bytes_total|{Ends}|{Rest}|way=sent"]));
        Assert.Equal((3, 1, 20, 40), traffic.Totals());
    }

    [Fact]
    public void Tells_resumed_sessions_from_full_handshakes_and_both_from_plaintext()
    {
        var traffic = new TrafficMetrics();
        var (resumed, older, plain) = (Records.Allowed(), Records.Allowed(), Records.Allowed());
        (resumed.IsResumed, older.TlsVersion, plain.TlsVersion) = (true, "TLSv1.2", null);
        foreach (var record in new[] { resumed, resumed, older, plain })
        {
            traffic.Count(record);
        }

        var requests = Read(traffic).Samples.Where(sample => sample.Key.StartsWith("signet_proxy_requests_total", StringComparison.Ordinal)).ToList();

        Assert.Equal(3, requests.Count);
        double Of(string labels) => Assert.Single(requests, sample => sample.Key.Contains(labels, StringComparison.Ordinal)).Value;
        Assert.Equal((2, 1, 1), (Of("tls_session=resumed|tls_version=TLSv1.3"), Of("tls_session=full|tls_version=TLSv1.2"), Of("tls_session=none|tls_version=none")));
    }

    [Fact]
    public void Measures_durations_in_buckets_that_add_up()
    {
        var traffic = new TrafficMetrics();
        traffic.Count(Records.Allowed());
        var slow = Records.Allowed();
        slow.Duration = TimeSpan.FromMinutes(1);
        traffic.Count(slow);

        var samples = Read(traffic).Samples;

        string Bucket(string le) => $"signet_proxy_request_duration_seconds_bucket|code=2xx|{Ends}|{Rest}|le={le}";
        Assert.Equal((0, 1, 1, 2), (samples[Bucket("0.001")], samples[Bucket("0.0025")], samples[Bucket("10")], samples[Bucket("+Inf")]));
        Assert.Equal(2, samples[$"signet_proxy_request_duration_seconds_count|code=2xx|{Ends}|{Rest}"]);
        Assert.Equal(60.0015, samples[$"signet_proxy_request_duration_seconds_sum|code=2xx|{Ends}|{Rest}"], 6);
    }

    [Fact]
    public void Keeps_the_latest_sampled_trace_of_each_bucket_and_no_other()
    {
        var traffic = new TrafficMetrics();
        var (first, last) = (TraceContext.Begin(isSampled: true), TraceContext.Begin(isSampled: true));
        foreach (var (trace, milliseconds, code) in ((TraceContext?, double, int)[])[(first, 1.5, 200), (last, 2, 201), (TraceContext.Begin(isSampled: false), 2.2, 200), (null, 2.3, 200), (TraceContext.Begin(isSampled: false), 700, 200)])
        {
            var record = Records.Allowed();
            (record.Trace, record.Duration, record.Code) = (trace, TimeSpan.FromMilliseconds(milliseconds), code);
            traffic.Count(record);
        }

        var durations = traffic.Read(Self).Single(reading => reading.Name == "signet_proxy_request_duration_seconds");
        var exemplar = Assert.Single(durations.Points.Single().Exemplars!, one => one is not null);
        Assert.Equal(new MetricExemplar(last.TraceId, 0.002, Records.Now.AddMilliseconds(2)), exemplar);
        Assert.Equal(2, durations.Points.Single().Exemplars!.ToList().IndexOf(exemplar));
    }

    [Fact]
    public void Counts_TCP_connections_apart_and_what_never_became_either_not_at_all()
    {
        var traffic = new TrafficMetrics();
        var connection = Records.Allowed(Direction.Outbound);
        (connection.Protocol, connection.Method, connection.Code) = ("tcp", null, null);
        traffic.Count(connection);
        var refused = Records.Denied();
        (refused.Protocol, refused.Method) = (null, null);
        traffic.Count(refused);

        var samples = Read(traffic).Samples;

        Assert.Equal(
            1,
            samples["signet_proxy_tcp_connections_total|destination_port=8080|destination_principal=spiffe://example.org/ns/default/sa/web|destination_service=orders.default.svc.cluster.local|direction=outbound"
                + "|policy=none|protocol=tcp|source_principal=spiffe://example.org/ns/default/sa/orders|tls_session=full|tls_version=TLSv1.3|verdict=allow"]);
        Assert.DoesNotContain(samples.Keys, key => key.StartsWith("signet_proxy_requests_total", StringComparison.Ordinal));
    }

    [Fact]
    public void Calls_everything_beyond_the_limit_other_and_loses_no_count()
    {
        var traffic = new TrafficMetrics();
        var record = Records.Allowed();
        for (var i = 0; i < TrafficMetrics.MaxSeries + 500; i++)
        {
            record.Verdict = new(Signet.Policy.Stage.Allow, $"default/p{i}", 0, "", Signet.Policy.Findings.None);
            record.Code = 200 + (i % 3);
            traffic.Count(record);
        }

        traffic.Count(Records.Denied());
        record.Verdict = new(Signet.Policy.Stage.Allow, "default/p7", 0, "", Signet.Policy.Findings.None);
        record.Code = 201;
        traffic.Count(record);
        var requests = Read(traffic).Samples.Where(sample => sample.Key.StartsWith("signet_proxy_requests_total", StringComparison.Ordinal)).ToList();

        Assert.Equal(TrafficMetrics.MaxSeries + 2, requests.Count);
        Assert.Equal(TrafficMetrics.MaxSeries + 502, requests.Sum(sample => sample.Value));
        var other = requests.Where(sample => sample.Key.Contains("policy=other", StringComparison.Ordinal)).ToDictionary();
        Assert.Equal(500, Assert.Single(other, sample => sample.Key.Contains("code=2xx|destination_port=other", StringComparison.Ordinal) && sample.Key.Contains("source_principal=other", StringComparison.Ordinal)).Value);
        Assert.Equal(1, Assert.Single(other, sample => sample.Key.Contains("code=4xx", StringComparison.Ordinal)).Value);
        Assert.Equal(2, Assert.Single(requests, sample => sample.Key.Contains("policy=default/p7|", StringComparison.Ordinal)).Value);
    }

    [Theory]
    [InlineData(7, "7")]
    [InlineData(0, "0")]
    [InlineData(4711, "2")]
    public void Counts_calls_by_gRPC_by_their_own_status(int status, string expected)
    {
        var traffic = new TrafficMetrics();
        var call = Records.Allowed();
        call.GrpcStatus = status;
        traffic.Count(call);

        Assert.Contains(Read(traffic).Samples.Keys, key => key.Contains($"grpc_status={expected}|", StringComparison.Ordinal) && key.Contains("protocol=grpc", StringComparison.Ordinal));
    }

    [Fact]
    public void Allocates_nothing_for_a_combination_that_it_knows()
    {
        var (traffic, record) = (new TrafficMetrics(), Records.Denied());
        traffic.Count(record);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            traffic.Count(record);
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 999);
    }

    [Fact]
    public async Task Counts_right_from_many_threads_at_once()
    {
        var traffic = new TrafficMetrics();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 5000; i++)
            {
                traffic.Count(i % 2 == 0 ? Records.Allowed() : Records.Denied());
            }
        })));

        Assert.Equal((20_000, 10_000), (traffic.Totals().Requests, traffic.Totals().Denied));
        Read(traffic);
    }

    private static Exposition Read(TrafficMetrics traffic)
    {
        using var collector = new MetricsCollector(_ => false);
        collector.Include(() => traffic.Read(Self));
        return Exposition.Parse(PrometheusText.Write(collector));
    }
}
