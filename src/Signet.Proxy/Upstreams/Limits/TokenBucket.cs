namespace Signet.Proxy.Upstreams.Limits;

/// <summary>So many per second in the long run, and so many at once after a rest. Thread-safe.</summary>
/// <param name="perSecond">Tokens that come in per second.</param>
/// <param name="burst">Tokens that it holds, and begins with.</param>
/// <param name="frequency">Ticks a second of the clock that it is asked with.</param>
internal sealed class TokenBucket(int perSecond, int burst, long frequency)
{
    private readonly Lock _gate = new();
    private double _tokens = burst;
    private long? _last;

    /// <param name="now">A timestamp.</param>
    /// <param name="wait">When there is no token: until there is one.</param>
    public bool TryTake(long now, out TimeSpan wait)
    {
        lock (_gate)
        {
            var elapsed = Math.Max(0, now - (_last ?? now));
            _last = Math.Max(now, _last ?? now);
            _tokens = Math.Min(burst, _tokens + ((double)elapsed * perSecond / frequency));
            if (_tokens >= 1)
            {
                _tokens--;
                wait = default;
                return true;
            }

            wait = TimeSpan.FromSeconds((1 - _tokens) / perSecond);
            return false;
        }
    }
}
