using System.Collections.Concurrent;

namespace Signet.Hosting.Telemetry;

/// <summary>All series of one metric name. Several instruments of the same name and kind share it (the same part running twice in a process).</summary>
internal sealed class MetricFamily(string name, string? help, MetricShape shape, int maxSeries)
{
    private const string OverflowLabels = "overflow=\"true\"";

    private readonly ConcurrentDictionary<string, MetricSeries> _series = new(StringComparer.Ordinal);
    private int _count;
    private int _users;

    public string Name => name;

    public string? Help => help;

    public MetricShape Shape => shape;

    /// <summary>Whether it takes nothing.</summary>
    public bool IsRefused => maxSeries < 0;

    public bool HasSeries => !_series.IsEmpty;

    public IEnumerable<MetricSeries> Series => _series.Values.OrderBy(series => series.Labels, StringComparer.Ordinal);

    /// <summary>A family that takes nothing: its instrument bears a name that another kind of metric already has.</summary>
    public static MetricFamily Refused(string name) => new(name, null, new MetricShape(MetricKind.Gauge, IsObserved: false, Adds: false, []), maxSeries: -1);

    /// <summary>A family as some part has read it.</summary>
    public static MetricFamily Of(MetricReading reading, int maxSeries)
    {
        var shape = new MetricShape(reading.Bounds is null ? MetricKind.Counter : MetricKind.Histogram, IsObserved: true, Adds: true, [.. reading.Bounds ?? []]);
        var family = new MetricFamily(reading.Name, reading.Help, shape, maxSeries);
        foreach (var point in reading.Points.Take(maxSeries))
        {
            var labels = PrometheusLabels.Of([], [.. point.Labels]).ToString();
            family._series[labels] = new MetricSeries(labels, shape, point.Value, [.. point.Buckets ?? []]) { Exemplars = point.Exemplars ?? [] };
        }

        return family;
    }

    public MetricFamily Retain_NeedsLock()
    {
        _users++;
        return this;
    }

    /// <summary>Whether that was the last instrument.</summary>
    public bool Release_NeedsLock() => --_users == 0;

    /// <summary>Empties an observed family before its instruments are asked again.</summary>
    public void Forget()
    {
        _series.Clear();
        Volatile.Write(ref _count, 0);
    }

    /// <summary>Takes a measurement.</summary>
    /// <returns>False when it found no series of its own.</returns>
    public bool Record(double value, ReadOnlySpan<char> labels)
    {
        if (IsRefused)
        {
            return false;
        }

        if (_series.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(labels, out var series))
        {
            series.Record(value);
            return true;
        }

        return RecordNew(value, labels.ToString());
    }

    private bool RecordNew(double value, string labels)
    {
        var room = Interlocked.Increment(ref _count) <= maxSeries;
        var key = room ? labels : OverflowLabels;
        var fresh = new MetricSeries(key, shape);
        var series = _series.GetOrAdd(key, fresh);
        if (!room || series != fresh)
        {
            Interlocked.Decrement(ref _count);
        }

        series.Record(value);
        return room;
    }
}

/// <summary>One line (or, for a histogram, one block of lines) of a metric. Thread-safe.</summary>
internal sealed class MetricSeries(string labels, MetricShape shape, double sum, long[] buckets)
{
    private readonly Lock _lock = new();
    private readonly long[] _buckets = buckets;
    private double _sum = sum;

    public MetricSeries(string labels, MetricShape shape)
        : this(labels, shape, 0, shape.Kind == MetricKind.Histogram ? new long[shape.Bounds.Length + 1] : [])
    {
    }

    /// <summary>As they stand between the braces.</summary>
    public string Labels => labels;

    /// <summary>Of each bucket one measurement, where there is one; empty when none is kept.</summary>
    public IReadOnlyList<MetricExemplar?> Exemplars { get; init; } = [];

    public void Record(double value)
    {
        lock (_lock)
        {
            if (shape.Kind != MetricKind.Histogram)
            {
                _sum = shape.Adds ? _sum + value : value;
            }
            else if (!double.IsNaN(value))
            {
                var bucket = Array.BinarySearch(shape.Bounds, value);
                _buckets[bucket < 0 ? ~bucket : bucket]++;
                _sum += value;
            }
        }
    }

    /// <summary>The value, or the sum of a histogram, and what each bucket of a histogram counted by itself; the last one counts the rest.</summary>
    public (double Sum, long[] Buckets) Read()
    {
        lock (_lock)
        {
            return (_sum, [.. _buckets]);
        }
    }
}
