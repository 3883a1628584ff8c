using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Signet.Hosting.Telemetry;

/// <summary>
/// Collects what instruments of <see cref="System.Diagnostics.Metrics"/> measure, for <see cref="PrometheusText"/>. Thread-safe; recording a measurement
/// of a known series allocates nothing.
/// </summary>
public sealed class MetricsCollector : IDisposable
{
    /// <summary>How many series one metric may have; further ones are added up in a series labelled <c>overflow="true"</c>.</summary>
    public const int DefaultMaxSeries = 2_000;

    private static readonly string[] Foreign = ["System.Runtime", "Microsoft.AspNetCore.Server.Kestrel"];

    private readonly Lock _collecting = new();
    private readonly Lock _registering = new();
    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, MetricFamily> _families = new(StringComparer.Ordinal);
    private readonly List<Func<IEnumerable<MetricReading>>> _readers = [];
    private readonly MetricFamily _dropped;
    private readonly int _maxSeries;

    /// <param name="wanted">Which instruments to collect; without it Signet's own, the runtime's and Kestrel's.</param>
    /// <param name="maxSeries">How many series one metric may have.</param>
    public MetricsCollector(Func<Instrument, bool>? wanted = null, int maxSeries = DefaultMaxSeries)
    {
        wanted ??= IsUsual;
        _maxSeries = maxSeries;
        _dropped = new MetricFamily(
            "signet_metrics_dropped_total",
            "Measurements that have no series of their own: too many label values, a name used for two kinds, or a failed observation",
            new MetricShape(MetricKind.Counter, IsObserved: false, Adds: true, []),
            maxSeries);
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (wanted(instrument))
            {
                listener.EnableMeasurementEvents(instrument, new Source(FamilyOf(instrument), [.. instrument.Meter.Tags ?? [], .. instrument.Tags ?? []]));
            }
        };
        _listener.MeasurementsCompleted = (_, state) => Release(((Source)state!).Family);
        _listener.SetMeasurementEventCallback<double>(Record);
        _listener.SetMeasurementEventCallback<float>((instrument, value, tags, state) => Record(instrument, value, tags, state));
        _listener.SetMeasurementEventCallback<decimal>((instrument, value, tags, state) => Record(instrument, (double)value, tags, state));
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, state) => Record(instrument, value, tags, state));
        _listener.SetMeasurementEventCallback<int>((instrument, value, tags, state) => Record(instrument, value, tags, state));
        _listener.SetMeasurementEventCallback<short>((instrument, value, tags, state) => Record(instrument, value, tags, state));
        _listener.SetMeasurementEventCallback<byte>((instrument, value, tags, state) => Record(instrument, value, tags, state));
        _listener.Start();
    }

    /// <summary>Whether an instrument is one of Signet's own, the runtime's or Kestrel's.</summary>
    public static bool IsUsual(Instrument instrument) =>
        instrument.Meter.Name.StartsWith("Signet.", StringComparison.Ordinal) || Foreign.Contains(instrument.Meter.Name, StringComparer.Ordinal);

    /// <summary>Adds metrics that a part counts itself, because they are many and every request counts. Before the first reading.</summary>
    public void Include(Func<IEnumerable<MetricReading>> read) => _readers.Add(read);

    /// <summary>Asks the observable instruments, and gives every metric that has a series, by name.</summary>
    internal IReadOnlyList<MetricFamily> Collect()
    {
        lock (_collecting)
        {
            foreach (var family in _families.Values.Where(family => family.Shape.IsObserved))
            {
                family.Forget();
            }

            try
            {
                _listener.RecordObservableInstruments();
            }
            catch (AggregateException)
            {
                // Some part's callback failed; the other metrics are worth having, and the failure is counted.
                _dropped.Record(1, "reason=\"observation failed\"");
            }

            return [.. _families.Values.Append(_dropped).Concat(_readers.SelectMany(read => read()).Select(reading => MetricFamily.Of(reading, _maxSeries))).Where(family => family.HasSeries).OrderBy(family => family.Name, StringComparer.Ordinal)];
        }
    }

    public void Dispose() => _listener.Dispose();

    private MetricFamily FamilyOf(Instrument instrument)
    {
        var shape = MetricKinds.Of(instrument);
        var name = PrometheusNames.Metric(instrument.Name, instrument.Unit, shape.Kind);
        lock (_registering)
        {
            var family = _families.GetOrAdd(name, _ => new MetricFamily(name, instrument.Description, shape, _maxSeries));
            return family.Shape.Fits(shape) ? family.Retain_NeedsLock() : MetricFamily.Refused(name);
        }
    }

    private void Release(MetricFamily family)
    {
        lock (_registering)
        {
            if (family.Release_NeedsLock())
            {
                _families.TryRemove(new(family.Name, family));
            }
        }
    }

    private void Record(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
    {
        var source = (Source)state!;
        if (!source.Family.Record(value, PrometheusLabels.Of(source.Tags, tags)))
        {
            var reason = source.Family.IsRefused ? "name conflict" : "too many series";
            _dropped.Record(1, PrometheusLabels.Of([], [new("metric", source.Family.Name), new("reason", reason)]));
        }
    }

    /// <summary>What the listener remembers of an instrument: where its measurements go, and the tags that all of them have.</summary>
    private sealed record Source(MetricFamily Family, KeyValuePair<string, object?>[] Tags);
}
