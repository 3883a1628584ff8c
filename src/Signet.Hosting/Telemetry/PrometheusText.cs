using System.Globalization;
using System.Text;
using Signet.Hosting.Admin;

namespace Signet.Hosting.Telemetry;

/// <summary>Writes metrics in Prometheus' text format, version 0.0.4.</summary>
public static class PrometheusText
{
    private const string MediaType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary><c>GET /metrics</c>.</summary>
    public static AdminRoute Route(MetricsCollector metrics) =>
        AdminRoute.Get("/metrics", _ => new AdminAnswer(200, MediaType, Encoding.UTF8.GetBytes(Write(metrics)))) with { About = "counters, for Prometheus" };

    /// <summary>Everything that was collected, by name.</summary>
    public static string Write(MetricsCollector metrics)
    {
        var text = new StringBuilder(16 * 1024);
        foreach (var family in metrics.Collect())
        {
            if (family.Help is { Length: > 0 } help)
            {
                text.Append("# HELP ").Append(family.Name).Append(' ').Append(help.Replace("\\", @"\\", StringComparison.Ordinal).Replace("\n", @"\n", StringComparison.Ordinal)).Append('\n');
            }

            text.Append("# TYPE ").Append(family.Name).Append(' ').Append(TypeOf(family.Shape.Kind)).Append('\n');
            foreach (var series in family.Series)
            {
                var (sum, buckets) = series.Read();
                if (family.Shape.Kind == MetricKind.Histogram)
                {
                    WriteHistogram(text, family, series.Labels, sum, buckets);
                }
                else
                {
                    WriteSample(text, family.Name, "", series.Labels, "", sum);
                }
            }
        }

        return text.ToString();
    }

    private static void WriteHistogram(StringBuilder text, MetricFamily family, string labels, double sum, long[] buckets)
    {
        long count = 0;
        for (var i = 0; i < buckets.Length; i++)
        {
            count += buckets[i];
            WriteSample(text, family.Name, "_bucket", labels, $"le=\"{Number(i < family.Shape.Bounds.Length ? family.Shape.Bounds[i] : double.PositiveInfinity)}\"", count);
        }

        WriteSample(text, family.Name, "_sum", labels, "", sum);
        WriteSample(text, family.Name, "_count", labels, "", count);
    }

    private static void WriteSample(StringBuilder text, string name, string ending, string labels, string extraLabel, double value)
    {
        text.Append(name).Append(ending);
        if (labels.Length + extraLabel.Length > 0)
        {
            text.Append('{').Append(labels).Append(labels.Length > 0 && extraLabel.Length > 0 ? "," : "").Append(extraLabel).Append('}');
        }

        text.Append(' ').Append(Number(value)).Append('\n');
    }

    private static string Number(double value) => double.IsPositiveInfinity(value) ? "+Inf"
        : double.IsNegativeInfinity(value) ? "-Inf"
        : value.ToString("R", CultureInfo.InvariantCulture);

    private static string TypeOf(MetricKind kind) => kind switch
    {
        MetricKind.Counter => "counter",
        MetricKind.Gauge => "gauge",
        _ => "histogram",
    };
}
