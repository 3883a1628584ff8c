using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Signet.Server.Telemetry;

/// <summary>How long what changes is on its way to the agents. Thread-safe.</summary>
internal sealed class PushMetrics : IDisposable
{
    private readonly Meter _meter;
    private readonly ConcurrentDictionary<Stream, long> _unwritten = new();
    private readonly Histogram<double> _duration;
    private readonly TimeProvider _time;

    public PushMetrics(TimeProvider time)
    {
        _time = time;
        _meter = new Meter(new MeterOptions("Signet.Server") { Scope = this });
        _duration = _meter.CreateHistogram(
            "signet.server.push.duration",
            "s",
            "From the commit of a change until it was written on the stream of an agent that it concerns.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60] });
        _meter.CreateObservableGauge("signet.server.push.lag", () => Lag.TotalSeconds, "s", "Age of the oldest change that is not yet written on the stream of an agent that it concerns; 0 when there is none.");
    }

    /// <summary>The age of the oldest change that is not yet written somewhere.</summary>
    public TimeSpan Lag => _unwritten.IsEmpty ? TimeSpan.Zero : _unwritten.Values.Select(since => _time.GetElapsedTime(since)).DefaultIfEmpty().Max();

    /// <summary>An agent's stream begins. Whoever writes on it disposes it.</summary>
    public Stream Begin() => new(this);

    public void Dispose() => _meter.Dispose();

    /// <summary>One agent's stream. One caller.</summary>
    internal sealed class Stream(PushMetrics metrics) : IDisposable
    {
        /// <summary>Something is to be written.</summary>
        /// <param name="since">When the first change in it was committed; null when it is everything, for a stream that has just begun.</param>
        public void Due(long? since) => metrics._unwritten[this] = since ?? metrics._time.GetTimestamp();

        /// <summary>All of it is written.</summary>
        /// <param name="since">When the first change in it was committed; null when nothing in it was a change for this agent.</param>
        public void Written(long? since)
        {
            metrics._unwritten.TryRemove(this, out _);
            if (since is { } at)
            {
                metrics._duration.Record(metrics._time.GetElapsedTime(at).TotalSeconds);
            }
        }

        public void Dispose() => metrics._unwritten.TryRemove(this, out _);
    }
}
