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
/// <param name="Exemplars">Of each bucket one measurement that can be looked at, null where there is none; null for a counter, or when none is kept.</param>
public sealed record MetricPoint(
    IReadOnlyList<KeyValuePair<string, object?>> Labels, double Value, IReadOnlyList<long>? Buckets = null, IReadOnlyList<MetricExemplar?>? Exemplars = null);

/// <summary>A single measurement of a histogram, by the trace in which it was made.</summary>
/// <param name="TraceId">32 lower-case hex digits.</param>
/// <param name="Value">What was measured.</param>
/// <param name="At">When.</param>
public sealed record MetricExemplar(string TraceId, double Value, DateTimeOffset At);
