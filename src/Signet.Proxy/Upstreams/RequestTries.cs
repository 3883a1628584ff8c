using Signet.Proxy.Upstreams.Limits;

namespace Signet.Proxy.Upstreams;

/// <summary>
/// One request's way to an answer: which endpoints it has tried, how often, and how long it may still take. Holds a place among the retries while it
/// is one. Dispose when the request is over.
/// </summary>
internal sealed class RequestTries(Upstream? upstream, ProxyCore core) : IDisposable
{
    private readonly long _began = core.Config.Timeouts.Request is null ? 0 : core.Time.GetTimestamp();
    private bool _isBudgeted;
    private int _retries;

    /// <summary>Whether only a new connection will do: a kept one has just died.</summary>
    public bool WantsNew { get; private set; }

    /// <summary>Whether the time until the answer's head is limited; that of the own application never is.</summary>
    public bool IsLimited { get; } = upstream is not null && (core.Config.Timeouts.PerTry ?? core.Config.Timeouts.Request) is not null;

    /// <summary>The time that is left for the answer's head; null when it is not limited.</summary>
    public TimeSpan? Left => IsLimited && core.Config.Timeouts.Request is { } whole ? Max(whole - core.Time.GetElapsedTime(_began), TimeSpan.Zero) : null;

    /// <summary>Endpoints that are not asked again; null: none.</summary>
    public HashSet<UpstreamEndpoint>? Tried { get; private set; }

    /// <summary>Notes an attempt that failed, and whether there is another one; if so, it has begun.</summary>
    /// <param name="endpoint">Where it was made; null when there is nothing to choose.</param>
    /// <param name="end">How it ended.</param>
    /// <param name="method">The request's; null for a relayed connection.</param>
    /// <param name="isReplayable">Whether the whole request is still here.</param>
    /// <param name="wasKept">Whether the connection had been at rest.</param>
    public bool TryAgain(UpstreamEndpoint? endpoint, AttemptEnd end, string? method, bool isReplayable, bool wasKept)
    {
        // A connection that died at rest says nothing against its endpoint.
        if (endpoint is not null && !(wasKept && end == AttemptEnd.Broken))
        {
            (Tried ??= []).Add(endpoint);
        }

        var hasOther = upstream is not null && (Tried is null || upstream.HasOther(Tried));
        var facts = new AttemptFacts(end, method is not null && RetryRule.IsIdempotent(method), isReplayable, wasKept, hasOther, _retries);
        if (RetryRule.WhyNot(facts, core.Config.Limits.Retries) is not null || !HasTimeLeft || !TryBegin(end))
        {
            return false;
        }

        WantsNew |= wasKept;
        _retries++;
        return true;
    }

    /// <summary>The time in which the attempt that has sent its request must have its answer's head; null when it is not limited.</summary>
    public TimeSpan? LeftOfTry
    {
        get
        {
            var (perTry, left) = (IsLimited ? core.Config.Timeouts.PerTry : null, Left);
            return perTry is null ? left : left is null || perTry < left ? perTry : left;
        }
    }

    public void Dispose()
    {
        if (_isBudgeted)
        {
            _isBudgeted = false;
            upstream!.EndRetry();
        }
    }

    /// <summary>An attempt that had no connection has burdened nobody: the budget is for requests that are sent once more.</summary>
    private bool TryBegin(AttemptEnd end)
    {
        if (end == AttemptEnd.NotConnected)
        {
            upstream?.CountRetry();
        }
        else if (upstream is not null && !_isBudgeted)
        {
            _isBudgeted = upstream.TryBeginRetry();
            return _isBudgeted;
        }

        return true;
    }

    private bool HasTimeLeft => Left is not { } left || left > TimeSpan.Zero;

    private static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;
}
