namespace Signet.Hosting.Telemetry;

/// <summary>A metric that some part keeps itself, as it stands now.</summary>
/// <param name="Name">As Prometheus writes it, with unit and <c>_total</c>.</param>
/// <param name="Help">A sentence.</param>
/// <param name="Bounds">The upper bounds of a histogram's buckets, rising; null for a counter.</param>
/// <param name="Points">One per set of labels.</param>
public sealed record MetricReading(string Name, string Help, IReadOnlyList<double>? Bounds, IReadOnlyList<MetricPoint> Points);

/// <summary>One series of a <see cref="MetricReading"/>.</summary>
/// <param name="Labels">Names and values.</param>
/// <param name="Value">A counter's value, or the sum of what a histogram measured.</param>
/// <param name="Buckets">What each bucket of a histogram counted by itself, one more than there are bounds; null for a counter.</param>
public sealed record MetricPoint(IReadOnlyList<KeyValuePair<string, object?>> Labels, double Value, IReadOnlyList<long>? Buckets = null);
