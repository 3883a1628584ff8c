using System.Collections.Concurrent;
using Signet.Identity.Spiffe;

namespace Signet.Server.Api;

/// <summary>How many certificates an agent may ask for: a bucket each that refills steadily. Thread-safe; one bucket per attested agent.</summary>
internal sealed class SigningRate(TimeProvider time)
{
    /// <summary>What a bucket gains in a second.</summary>
    public const int PerSecond = 5_000;

    /// <summary>What a bucket holds: the identities of a large node, all at once.</summary>
    public const int Burst = 20_000;

    private readonly ConcurrentDictionary<SpiffeId, Bucket> _buckets = new();

    /// <summary>Takes that many, or none when there are not enough.</summary>
    public bool TryTake(SpiffeId agent, int count)
    {
        var bucket = _buckets.GetOrAdd(agent, _ => new Bucket(time.GetTimestamp()));
        lock (bucket)
        {
            var now = time.GetTimestamp();
            bucket.Level = Math.Min(Burst, bucket.Level + (time.GetElapsedTime(bucket.FilledAt, now).TotalSeconds * PerSecond));
            bucket.FilledAt = now;
            if (bucket.Level < count)
            {
                return false;
            }

            bucket.Level -= count;
            return true;
        }
    }

    private sealed class Bucket(long filledAt)
    {
        public double Level { get; set; } = Burst;

        public long FilledAt { get; set; } = filledAt;
    }
}
