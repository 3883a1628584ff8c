using System.Collections.Concurrent;

namespace Signet.Hosting.Limits;

/// <summary>How much a caller may do: so many at once, and so many a second after that.</summary>
public sealed record Rate(int PerSecond, int Burst)
{
    public override string ToString() => $"{PerSecond} a second, {Burst} at once";
}

/// <summary>
/// A bucket for each caller that refills steadily. At most <see cref="MaxCallers"/> are told apart: when more than that are busy at once, further
/// ones share a bucket. Thread-safe.
/// </summary>
/// <typeparam name="TKey">What callers are told apart by.</typeparam>
public sealed class TokenBuckets<TKey>(Rate rate, TimeProvider time)
    where TKey : notnull
{
    /// <summary>How many callers are told apart.</summary>
    public const int MaxCallers = 65_536;

    private readonly ConcurrentDictionary<TKey, Bucket> _buckets = new();
    private readonly Bucket _shared = new(rate.Burst, time.GetTimestamp());
    private int _sweeping;

    /// <summary>What each caller may do.</summary>
    public Rate Rate => rate;

    /// <summary>Takes that many, or none when there are not enough.</summary>
    public bool TryTake(TKey caller, int count = 1)
    {
        var bucket = BucketOf(caller);
        lock (bucket)
        {
            Refill_NeedsLock(bucket);
            if (bucket.Level < count)
            {
                return false;
            }

            bucket.Level -= count;
            return true;
        }
    }

    private Bucket BucketOf(TKey caller)
    {
        if (_buckets.TryGetValue(caller, out var known))
        {
            return known;
        }

        if (_buckets.Count >= MaxCallers)
        {
            Sweep();
        }

        return _buckets.Count < MaxCallers ? _buckets.GetOrAdd(caller, _ => new Bucket(rate.Burst, time.GetTimestamp())) : _shared;
    }

    // A full bucket says nothing that a new one would not.
    private void Sweep()
    {
        if (Interlocked.Exchange(ref _sweeping, 1) == 1)
        {
            return;
        }

        foreach (var (caller, bucket) in _buckets)
        {
            lock (bucket)
            {
                Refill_NeedsLock(bucket);
                if (bucket.Level >= rate.Burst)
                {
                    _buckets.TryRemove(caller, out _);
                }
            }
        }

        Volatile.Write(ref _sweeping, 0);
    }

    private void Refill_NeedsLock(Bucket bucket)
    {
        var now = time.GetTimestamp();
        bucket.Level = Math.Min(rate.Burst, bucket.Level + (time.GetElapsedTime(bucket.FilledAt, now).TotalSeconds * rate.PerSecond));
        bucket.FilledAt = now;
    }

    private sealed class Bucket(double level, long filledAt)
    {
        public double Level { get; set; } = level;

        public long FilledAt { get; set; } = filledAt;
    }
}
