using System.Diagnostics.Metrics;
using FsCheck;
using FsCheck.Fluent;
using Signet.Hosting.Telemetry;

namespace Signet.UnitTests.Hosting.Telemetry;

public sealed class PrometheusTextTests : IDisposable
{
    private readonly Meter _meter = new("Signet.Tests." + Guid.NewGuid());
    private readonly List<MetricsCollector> _collectors = [];

    public void Dispose()
    {
        _collectors.ForEach(collector => collector.Dispose());
        _meter.Dispose();
    }

    [Fact]
    public void Adds_up_counters_per_label_set_whatever_the_order_of_labels()
    {
        var collector = Collector();
        var issued = _meter.CreateCounter<long>("signet.issued", null, "Certificates\nissued \\ ever");
        issued.Add(1, new("td", "example.org"), new("kind", "x509"));
        issued.Add(2, new("kind", "x509"), new("td", "example.org"));
        issued.Add(5, new KeyValuePair<string, object?>("kind", "jwt"));

        var text = Exposition.Parse(PrometheusText.Write(collector));

        Assert.Equal("counter", text.Types["signet_issued_total"]);
        Assert.Equal("Certificates\nissued \\ ever", text.Helps["signet_issued_total"]);
        Assert.Equal((3, 5), (text.Samples["signet_issued_total|kind=x509|td=example.org"], text.Samples["signet_issued_total|kind=jwt"]));
    }

    [Fact]
    public void Shows_the_last_value_of_a_gauge_and_the_balance_of_an_up_down_counter()
    {
        var collector = Collector();
        var gauge = _meter.CreateGauge<int>("signet.level", "%");
        gauge.Record(7);
        gauge.Record(4);
        var open = _meter.CreateUpDownCounter<int>("signet.open");
        open.Add(3);
        open.Add(-1);

        var text = Exposition.Parse(PrometheusText.Write(collector));

        Assert.Equal((4, 2), (text.Samples["signet_level_percent"], text.Samples["signet_open"]));
        Assert.Equal("gauge", text.Types["signet_open"]);
    }

    [Theory]
    [InlineData("application/openmetrics-text", true)]
    [InlineData("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true)]
    [InlineData("Application/OpenMetrics-Text; q=0.5, text/plain; q=0.5", true)]
    [InlineData("text/plain, application/openmetrics-text;q=0.5", false)]
    [InlineData("application/openmetrics-text;q=0", false)]
    [InlineData("application/openmetrics-text;q=x", false)]
    [InlineData("*/*", false)]
    [InlineData("", false)]
    [InlineData(",;q=,,", false)]
    public void Writes_OpenMetrics_for_who_asks_for_it_only(string accept, bool expected) => Assert.Equal(expected, PrometheusText.PrefersOpenMetrics(accept));

    [Fact]
    public void Writes_exemplars_in_OpenMetrics_and_nowhere_else()
    {
        var collector = Collector();
        _meter.CreateCounter<long>("signet.issued", null, "Those that were \"issued\"").Add(3);
        var exemplar = new MetricExemplar("0af7651916cd43dd8448eb211c80319c", 0.5, DateTimeOffset.UnixEpoch.AddMilliseconds(1_500));
        collector.Include(() => [new MetricReading("signet_took_seconds", "How long", [0.1, 1], [new MetricPoint([new("code", "2xx")], 0.55, [1, 1, 0], [null, exemplar, null])])]);

        Assert.Equal(
            """
            # HELP signet_issued Those that were \"issued\"
            # TYPE signet_issued counter
            signet_issued_total 3
            # HELP signet_took_seconds How long
            # TYPE signet_took_seconds histogram
            signet_took_seconds_bucket{code="2xx",le="0.1"} 1
            signet_took_seconds_bucket{code="2xx",le="1.0"} 2 # {trace_id="0af7651916cd43dd8448eb211c80319c"} 0.5 1.5
            signet_took_seconds_bucket{code="2xx",le="+Inf"} 2
            signet_took_seconds_sum{code="2xx"} 0.55
            signet_took_seconds_count{code="2xx"} 2
            # EOF

            """,
            PrometheusText.WriteOpen(collector));
        Assert.DoesNotContain("trace_id", PrometheusText.Write(collector), StringComparison.Ordinal);
        Assert.DoesNotContain("EOF", PrometheusText.Write(collector), StringComparison.Ordinal);
    }

    [Fact]
    public void Counts_histograms_into_the_buckets_that_were_advised()
    {
        var collector = Collector();
        var duration = _meter.CreateHistogram<double>("signet.sign.duration", "s", null, null, new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.1, 1] });
        foreach (var value in (double[])[0.05, 0.1, 0.5, 7, double.NaN])
        {
            duration.Record(value);
        }

        var samples = Exposition.Parse(PrometheusText.Write(collector)).Samples;

        Assert.Equal(
            (2, 3, 4, 4, 7.65),
            (samples["signet_sign_duration_seconds_bucket|le=0.1"], samples["signet_sign_duration_seconds_bucket|le=1"], samples["signet_sign_duration_seconds_bucket|le=+Inf"],
                samples["signet_sign_duration_seconds_count"], Math.Round(samples["signet_sign_duration_seconds_sum"], 2)));
    }

    [Fact]
    public void Asks_observable_instruments_anew_each_time()
    {
        var collector = Collector();
        Measurement<long>[] values = [new(1, new KeyValuePair<string, object?>("peer", "a")), new(2, new KeyValuePair<string, object?>("peer", "b"))];
        _meter.CreateObservableGauge("signet.peers", () => values);
        Assert.Equal(2, Exposition.Parse(PrometheusText.Write(collector)).Samples.Count);

        values = [new(5, new KeyValuePair<string, object?>("peer", "b"))];

        Assert.Equal(new KeyValuePair<string, double>("signet_peers|peer=b", 5), Assert.Single(Exposition.Parse(PrometheusText.Write(collector)).Samples));
    }

    [Fact]
    public void Adds_up_two_instruments_of_one_name_and_forgets_them_with_their_meters()
    {
        var collector = Collector();
        using (var second = new Meter(_meter.Name))
        {
            _meter.CreateObservableCounter("signet.bytes", () => 5L, "By");
            second.CreateObservableCounter("signet.bytes", () => 7L, "By");
            Assert.Equal(12, Exposition.Parse(PrometheusText.Write(collector)).Samples["signet_bytes_total"]);
        }

        Assert.Equal(5, Exposition.Parse(PrometheusText.Write(collector)).Samples["signet_bytes_total"]);
        _meter.Dispose();
        Assert.Empty(Exposition.Parse(PrometheusText.Write(collector)).Samples);
    }

    [Fact]
    public void Puts_the_tags_of_meter_and_instrument_on_every_series()
    {
        using var meter = new Meter(new MeterOptions(_meter.Name) { Tags = [new("proxy", "web"), new("x", "meter")] });
        var collector = Collector();
        meter.CreateCounter<int>("signet.a", null, null, [new("x", "instrument"), new("y", 1)]).Add(1, new KeyValuePair<string, object?>("y", 2));

        Assert.Equal("signet_a_total|proxy=web|x=instrument|y=2", Assert.Single(Exposition.Parse(PrometheusText.Write(collector)).Samples).Key);
    }

    [Fact]
    public void Bounds_the_series_of_a_metric_and_counts_what_found_no_place()
    {
        var collector = Collector(maxSeries: 10);
        var requests = _meter.CreateCounter<long>("signet.requests");
        for (var i = 0; i < 100; i++)
        {
            requests.Add(1, new KeyValuePair<string, object?>("path", $"/{i}"));
        }

        requests.Add(1, new KeyValuePair<string, object?>("path", "/3"));
        var samples = Exposition.Parse(PrometheusText.Write(collector)).Samples;

        Assert.Equal(11, samples.Keys.Count(key => key.StartsWith("signet_requests_total", StringComparison.Ordinal)));
        Assert.Equal((2, 90), (samples["signet_requests_total|path=/3"], samples["signet_requests_total|overflow=true"]));
        Assert.Equal(90, samples["signet_metrics_dropped_total|metric=signet_requests_total|reason=too many series"]);
    }

    [Fact]
    public void Refuses_a_name_that_another_kind_of_metric_has()
    {
        var collector = Collector();
        _meter.CreateGauge<int>("signet.x").Record(1);
        _meter.CreateHistogram<int>("signet.x").Record(2);

        var text = Exposition.Parse(PrometheusText.Write(collector));

        Assert.Equal("gauge", text.Types["signet_x"]);
        Assert.Equal(1, text.Samples["signet_metrics_dropped_total|metric=signet_x|reason=name conflict"]);
    }

    [Fact]
    public void Loses_only_the_metric_whose_observation_fails()
    {
        var collector = Collector();
        _meter.CreateObservableGauge("signet.broken", (Func<int>)(() => throw new InvalidOperationException("no")));
        _meter.CreateObservableGauge("signet.good", () => 1);

        var samples = Exposition.Parse(PrometheusText.Write(collector)).Samples;

        Assert.Equal(1, samples["signet_good"]);
        Assert.Equal(1, samples["signet_metrics_dropped_total|reason=observation failed"]);
    }

    [Theory]
    [InlineData("a.b-c", "ms", "a_b_c_milliseconds_total")]
    [InlineData("1st", null, "_st_total")]
    [InlineData("http.seconds", "s", "http_seconds_total")]
    [InlineData("x_total", "{request}", "x_total")]
    public void Names_metrics_as_prometheus_allows(string name, string? unit, string expected)
    {
        var collector = Collector();
        _meter.CreateCounter<byte>(name, unit).Add(1);

        Assert.Equal(expected, Assert.Single(Exposition.Parse(PrometheusText.Write(collector)).Samples).Key);
    }

    [Theory]
    [InlineData(double.PositiveInfinity)]
    [InlineData(double.NegativeInfinity)]
    [InlineData(double.NaN)]
    [InlineData(1e300)]
    [InlineData(-0.1)]
    public void Writes_every_number(double value)
    {
        var collector = Collector();
        _meter.CreateGauge<double>("g").Record(value);

        Assert.Equal(value, Exposition.Parse(PrometheusText.Write(collector)).Samples["g"]);
    }

    [Fact]
    public void Escapes_and_cuts_whatever_stands_in_a_label()
    {
        var collector = Collector(maxSeries: 100_000);
        var counter = _meter.CreateCounter<int>("signet.c");
        Prop.ForAll<string, string, string>((key, value, other) =>
        {
            counter.Add(1, new(key ?? "", value), new(other ?? "", other), new("le", 1));
        }).QuickCheckThrowOnFailure();
        counter.Add(1, new KeyValuePair<string, object?>("long", new string('"', 5_000)));

        var samples = Exposition.Parse(PrometheusText.Write(collector)).Samples;

        Assert.Contains($"signet_c_total|long={new string('"', 256)}", samples.Keys);
        Assert.Contains(samples.Keys, key => key.Contains("le_=1", StringComparison.Ordinal));
    }

    [Fact]
    public void Takes_no_more_labels_than_it_has_room_for()
    {
        var collector = Collector();
        var tags = Enumerable.Range(0, 100).Select(i => new KeyValuePair<string, object?>(new string((char)('a' + (i % 26)), 100) + i, new string('\\', 300))).ToArray();
        _meter.CreateCounter<int>("signet.c").Add(1, tags);

        Exposition.Parse(PrometheusText.Write(collector));
    }

    [Fact]
    public async Task Counts_right_while_it_is_read()
    {
        var collector = Collector();
        var counter = _meter.CreateCounter<long>("signet.c");
        var histogram = _meter.CreateHistogram<long>("signet.h");
        var writers = Enumerable.Range(0, 4).Select(w => Task.Run(() =>
        {
            for (var i = 0; i < 5_000; i++)
            {
                counter.Add(1, new KeyValuePair<string, object?>("w", i % 7));
                histogram.Record(i % 3);
            }
        })).ToList();
        while (!writers.TrueForAll(writer => writer.IsCompleted))
        {
            Exposition.Parse(PrometheusText.Write(collector));
        }

        await Task.WhenAll(writers);
        var samples = Exposition.Parse(PrometheusText.Write(collector)).Samples;

        Assert.Equal(20_000, samples.Where(sample => sample.Key.StartsWith("signet_c", StringComparison.Ordinal)).Sum(sample => sample.Value));
        Assert.Equal(20_000, samples["signet_h_count"]);
    }

    [Fact]
    public void Allocates_nothing_for_a_series_that_it_knows()
    {
        var collector = Collector();
        var counter = _meter.CreateCounter<long>("signet.c");
        counter.Add(1, new("peer", "spiffe://example.org/web"), new("verdict", "allow"));

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_000; i++)
        {
            counter.Add(1, new("peer", "spiffe://example.org/web"), new("verdict", "allow"));
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 999);
        GC.KeepAlive(collector);
    }

    [Fact]
    public void Collects_what_the_runtime_measures_by_default()
    {
        using var collector = new MetricsCollector();

        var text = Exposition.Parse(PrometheusText.Write(collector));

        Assert.Contains("dotnet_process_memory_working_set_bytes", text.Types.Keys);
    }

    private MetricsCollector Collector(int maxSeries = MetricsCollector.DefaultMaxSeries)
    {
        var collector = new MetricsCollector(instrument => instrument.Meter.Name == _meter.Name, maxSeries);
        _collectors.Add(collector);
        return collector;
    }
}
