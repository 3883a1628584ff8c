using System.Collections.Immutable;
using System.Threading.Channels;

namespace Signet.Proxy.Telemetry;

/// <summary>Those who watch records while they happen. With nobody there, a record costs one look. Thread-safe.</summary>
internal sealed class AccessTaps
{
    /// <summary>How many may watch at once.</summary>
    public const int MaxTaps = 8;

    private ImmutableArray<AccessTap> _taps = [];

    /// <summary>Shows a record to everybody whose filter it passes. Nobody is waited for.</summary>
    public void Offer(AccessRecord record)
    {
        foreach (var tap in _taps)
        {
            tap.Offer(record);
        }
    }

    /// <summary>Begins to watch; null when enough others do. Dispose it to end.</summary>
    public AccessTap? TryOpen(AccessFilter filter)
    {
        var tap = new AccessTap(filter, ended => ImmutableInterlocked.Update(ref _taps, taps => taps.Remove(ended)));
        var isIn = ImmutableInterlocked.Update(ref _taps, taps => taps.Length < MaxTaps ? taps.Add(tap) : taps);
        return isIn ? tap : null;
    }
}

/// <summary>One who watches: records wait for it up to a bound, and what comes when the bound is reached is dropped and counted.</summary>
internal sealed class AccessTap(AccessFilter filter, Action<AccessTap> end) : IDisposable
{
    /// <summary>How many records may wait.</summary>
    public const int Capacity = 1024;

    private readonly Channel<AccessRecord> _records = Channel.CreateBounded<AccessRecord>(new BoundedChannelOptions(Capacity) { SingleReader = true });
    private long _dropped;

    public ChannelReader<AccessRecord> Records => _records.Reader;

    public void Offer(AccessRecord record)
    {
        if (filter.Matches(record) && !_records.Writer.TryWrite(record))
        {
            Interlocked.Increment(ref _dropped);
        }
    }

    /// <summary>How many were dropped since this was last asked.</summary>
    public long TakeDropped() => Interlocked.Read(ref _dropped) == 0 ? 0 : Interlocked.Exchange(ref _dropped, 0);

    public void Dispose() => end(this);
}
