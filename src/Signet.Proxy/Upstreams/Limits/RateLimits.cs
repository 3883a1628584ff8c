using System.Collections.Frozen;
using System.Globalization;
using Signet.Proxy.Config;
using Signet.Proxy.L7;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.Upstreams.Limits;

/// <summary>The ports that take only so many requests. Thread-safe.</summary>
internal sealed class RateLimits
{
    private readonly FrozenDictionary<object, TokenBucket> _buckets;
    private readonly TimeProvider _time;

    public RateLimits(ProxyConfig config, TimeProvider time)
    {
        _time = time;
        _buckets = config.Inbound.Select(port => port.RateLimit).Concat(config.Outbound.Select(service => service.RateLimit)).OfType<RateLimitConfig>()
            .ToFrozenDictionary(limit => (object)limit, limit => new TokenBucket(limit.RequestsPerSecond, limit.Burst, time.TimestampFrequency), ReferenceEqualityComparer.Instance);
    }

    /// <summary>What a request on a port gets that is one too many; null when it may go on.</summary>
    /// <param name="limit">That of the port or service, the very object of the configuration; null limits nothing.</param>
    /// <param name="record">Says so.</param>
    public Ruling? Judge(RateLimitConfig? limit, AccessRecord record)
    {
        if (limit is null || !_buckets.TryGetValue(limit, out var bucket) || bucket.TryTake(_time.GetTimestamp(), out var wait))
        {
            return null;
        }

        record.Refuse(RefusalReason.RateLimited, "the port takes no more requests for now (rateLimit)");
        var seconds = Math.Max(1, (long)Math.Ceiling(wait.TotalSeconds));
        return new Ruling(null, new Reply(429, [new("retry-after", seconds.ToString(CultureInfo.InvariantCulture))]));
    }
}
