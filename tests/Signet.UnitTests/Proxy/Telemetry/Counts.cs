using Signet.Hosting.Telemetry;
using Signet.Proxy.Telemetry;
using Signet.UnitTests.Hosting.Telemetry;

namespace Signet.UnitTests.Proxy.Telemetry;

/// <summary>What a proxy has counted since this was made, as a scraper reads it.</summary>
internal sealed class Counts(ProxyMetrics metrics) : IDisposable
{
    private readonly MetricsCollector _collector = new(metrics.Wants);

    /// <summary>A series' value; 0 when nothing was counted.</summary>
    /// <param name="series">Its name, and its labels behind "|".</param>
    public int this[string series] => (int)Exposition.Parse(PrometheusText.Write(_collector)).Samples.GetValueOrDefault(series);

    public void Dispose() => _collector.Dispose();
}
