using System.Diagnostics.Metrics;

namespace Signet.Hosting.Telemetry;

/// <summary>What a metric is to Prometheus.</summary>
internal enum MetricKind
{
    Counter,
    Gauge,
    Histogram,
}

/// <summary>How measurements become a metric.</summary>
/// <param name="Kind">What Prometheus is told.</param>
/// <param name="IsObserved">Values come only when they are asked for, all of them anew each time.</param>
/// <param name="Adds">Values of a series are added to each other; otherwise each replaces the one before.</param>
/// <param name="Bounds">The upper bounds of a histogram's buckets, rising; empty for other kinds.</param>
internal sealed record MetricShape(MetricKind Kind, bool IsObserved, bool Adds, double[] Bounds)
{
    /// <summary>Whether instruments of the two shapes can share a name.</summary>
    public bool Fits(MetricShape other) => (Kind, IsObserved, Adds) == (other.Kind, other.IsObserved, other.Adds);
}

/// <summary>Maps the kinds of instruments to those of Prometheus.</summary>
internal static class MetricKinds
{
    private static readonly double[] DefaultBounds = [.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10];

    /// <summary>How an instrument's measurements become a metric.</summary>
    public static MetricShape Of(Instrument instrument)
    {
        var type = instrument.GetType().GetGenericTypeDefinition();
        return type == typeof(Histogram<>) ? new(MetricKind.Histogram, IsObserved: false, Adds: true, Bounds(instrument))
            : type == typeof(Counter<>) ? new(MetricKind.Counter, IsObserved: false, Adds: true, [])
            : type == typeof(ObservableCounter<>) ? new(MetricKind.Counter, IsObserved: true, Adds: true, [])
            : type == typeof(UpDownCounter<>) ? new(MetricKind.Gauge, IsObserved: false, Adds: true, [])
            : type == typeof(ObservableUpDownCounter<>) ? new(MetricKind.Gauge, IsObserved: true, Adds: true, [])
            : new(MetricKind.Gauge, instrument.IsObservable, Adds: false, []);
    }

    private static double[] Bounds(Instrument instrument) => instrument switch
    {
        Histogram<double> { Advice.HistogramBucketBoundaries: { Count: > 0 } bounds } => [.. bounds],
        Histogram<float> { Advice.HistogramBucketBoundaries: { Count: > 0 } bounds } => [.. bounds.Select(bound => (double)bound)],
        Histogram<long> { Advice.HistogramBucketBoundaries: { Count: > 0 } bounds } => [.. bounds.Select(bound => (double)bound)],
        Histogram<int> { Advice.HistogramBucketBoundaries: { Count: > 0 } bounds } => [.. bounds.Select(bound => (double)bound)],
        _ => DefaultBounds,
    };
}
