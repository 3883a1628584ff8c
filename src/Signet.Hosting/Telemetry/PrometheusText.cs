using System.Globalization;
using System.Text;
using Signet.Hosting.Admin;

namespace Signet.Hosting.Telemetry;

/// <summary>
/// Writes metrics in Prometheus' text format, version 0.0.4, or, for who asks for it, in OpenMetrics 1.0, which is nearly the same and has room for
/// exemplars: with a bucket of a histogram the trace of one measurement in it.
/// </summary>
public static class PrometheusText
{
    private const string MediaType = "text/plain; version=0.0.4; charset=utf-8";
    private const string OpenMediaType = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    private const string CounterEnding = "_total";

    /// <summary>Media ranges of an Accept field that are looked at.</summary>
    private const int MaxRanges = 32;

    /// <summary><c>GET /metrics</c>.</summary>
    public static AdminRoute Route(MetricsCollector metrics) =>
        AdminRoute.Get("/metrics", request => Answer(metrics, PrefersOpenMetrics(request.Accept))) with { About = "counters, for Prometheus; with exemplars in OpenMetrics" };

    /// <summary>Everything that was collected, by name.</summary>
    public static string Write(MetricsCollector metrics) => Write(metrics, isOpen: false);

    /// <summary>The same in OpenMetrics.</summary>
    public static string WriteOpen(MetricsCollector metrics) => Write(metrics, isOpen: true);

    /// <summary>Whether somebody who accepts this would rather have OpenMetrics than text (RFC 9110 §12.5.1). Never throws.</summary>
    /// <param name="accept">The field's value.</param>
    public static bool PrefersOpenMetrics(string accept)
    {
        var (open, text) = (0.0, 0.0);
        foreach (var range in accept.Split(',').Take(MaxRanges))
        {
            var parts = range.Split(';', StringSplitOptions.TrimEntries);
            var weight = parts.Skip(1).FirstOrDefault(part => part.StartsWith("q=", StringComparison.OrdinalIgnoreCase)) is { } said
                ? double.TryParse(said.AsSpan(2), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) ? number : 0
                : 1;
            if (parts[0].Equals("application/openmetrics-text", StringComparison.OrdinalIgnoreCase))
            {
                open = Math.Max(open, weight);
            }
            else if (parts[0].Equals("text/plain", StringComparison.OrdinalIgnoreCase))
            {
                text = Math.Max(text, weight);
            }
        }

        return open > 0 && open >= text;
    }

    private static AdminAnswer Answer(MetricsCollector metrics, bool isOpen) => new(200, isOpen ? OpenMediaType : MediaType, Encoding.UTF8.GetBytes(Write(metrics, isOpen)));

    private static string Write(MetricsCollector metrics, bool isOpen)
    {
        var text = new StringBuilder(16 * 1024);
        foreach (var family in metrics.Collect())
        {
            // In OpenMetrics a counter is called by its name without the ending that its samples have.
            var isTrimmed = isOpen && family.Shape.Kind == MetricKind.Counter && family.Name.EndsWith(CounterEnding, StringComparison.Ordinal);
            var name = isTrimmed ? family.Name[..^CounterEnding.Length] : family.Name;
            if (family.Help is { Length: > 0 } help)
            {
                var escaped = help.Replace("\\", @"\\", StringComparison.Ordinal).Replace("\n", @"\n", StringComparison.Ordinal);
                text.Append("# HELP ").Append(name).Append(' ').Append(isOpen ? escaped.Replace("\"", "\\\"", StringComparison.Ordinal) : escaped).Append('\n');
            }

            text.Append("# TYPE ").Append(name).Append(' ').Append(TypeOf(family.Shape.Kind)).Append('\n');
            foreach (var series in family.Series)
            {
                var (sum, buckets) = series.Read();
                if (family.Shape.Kind == MetricKind.Histogram)
                {
                    WriteHistogram(text, family, series, sum, buckets, isOpen);
                }
                else
                {
                    WriteSample(text, family.Name, "", series.Labels, "", sum);
                }
            }
        }

        return text.Append(isOpen ? "# EOF\n" : "").ToString();
    }

    private static void WriteHistogram(StringBuilder text, MetricFamily family, MetricSeries series, double sum, long[] buckets, bool isOpen)
    {
        long count = 0;
        for (var i = 0; i < buckets.Length; i++)
        {
            count += buckets[i];
            var bound = i < family.Shape.Bounds.Length ? family.Shape.Bounds[i] : double.PositiveInfinity;
            WriteSample(text, family.Name, "_bucket", series.Labels, $"le=\"{(isOpen ? Canonical(bound) : Number(bound))}\"", count, isOpen && i < series.Exemplars.Count ? series.Exemplars[i] : null);
        }

        WriteSample(text, family.Name, "_sum", series.Labels, "", sum);
        WriteSample(text, family.Name, "_count", series.Labels, "", count);
    }

    private static void WriteSample(StringBuilder text, string name, string ending, string labels, string extraLabel, double value, MetricExemplar? exemplar = null)
    {
        text.Append(name).Append(ending);
        if (labels.Length + extraLabel.Length > 0)
        {
            text.Append('{').Append(labels).Append(labels.Length > 0 && extraLabel.Length > 0 ? "," : "").Append(extraLabel).Append('}');
        }

        text.Append(' ').Append(Number(value));
        if (exemplar is not null)
        {
            var at = (exemplar.At.ToUnixTimeMilliseconds() / 1000m).ToString(CultureInfo.InvariantCulture);
            text.Append(" # {trace_id=\"").Append(exemplar.TraceId).Append("\"} ").Append(Number(exemplar.Value)).Append(' ').Append(at);
        }

        text.Append('\n');
    }

    private static string Number(double value) => double.IsPositiveInfinity(value) ? "+Inf"
        : double.IsNegativeInfinity(value) ? "-Inf"
        : value.ToString("R", CultureInfo.InvariantCulture);

    /// <summary>A bound as OpenMetrics writes it: always with a point, so that it is the same text everywhere.</summary>
    private static string Canonical(double bound) => double.IsInteger(bound) ? bound.ToString("0.0", CultureInfo.InvariantCulture) : Number(bound);

    private static string TypeOf(MetricKind kind) => kind switch
    {
        MetricKind.Counter => "counter",
        MetricKind.Gauge => "gauge",
        _ => "histogram",
    };
}
