namespace Signet.Proxy.Upstreams.Limits;

/// <summary>How an attempt to have a request answered ended, before anything of an answer had come.</summary>
internal enum AttemptEnd
{
    /// <summary>There was no connection, so nothing was sent.</summary>
    NotConnected,

    /// <summary>The other side says that it has not looked at it (HTTP/2 REFUSED_STREAM, or GOAWAY with a lower stream).</summary>
    Unprocessed,

    /// <summary>The connection broke after the request may have arrived.</summary>
    Broken,

    /// <summary>No answer came in time.</summary>
    TimedOut,
}

/// <param name="End">How the attempt ended.</param>
/// <param name="IsIdempotent">Whether doing it twice is the same as doing it once (RFC 9110 §9.2.2).</param>
/// <param name="IsReplayable">Whether the whole request is still here: it has no body, or none of it was read.</param>
/// <param name="WasKept">Whether the connection had been at rest: its end and the request may have crossed on the way.</param>
/// <param name="HasOther">Whether another endpoint could be asked.</param>
/// <param name="Retries">How often it was sent again already.</param>
internal readonly record struct AttemptFacts(AttemptEnd End, bool IsIdempotent, bool IsReplayable, bool WasKept, bool HasOther, int Retries);

/// <summary>
/// Whether a request is sent again. Never when it could have been processed and is not idempotent, never when some of it is gone, and not where it
/// failed unless that proves nothing. Pure.
/// </summary>
internal static class RetryRule
{
    private static readonly HashSet<string> Idempotent = new(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"], StringComparer.Ordinal);

    public static bool IsIdempotent(string method) => Idempotent.Contains(method);

    /// <returns>Null when it may be, as far as the request is concerned; else why not.</returns>
    public static string? WhyNot(in AttemptFacts facts, int maxRetries) => facts switch
    {
        { IsReplayable: false } => "some of its body is gone",
        { End: AttemptEnd.Broken or AttemptEnd.TimedOut, IsIdempotent: false } => "it may have been processed",
        _ when facts.Retries >= maxRetries => "it was tried often enough",
        { End: AttemptEnd.NotConnected or AttemptEnd.TimedOut, HasOther: false } => "there is no other endpoint",
        { End: AttemptEnd.Broken, WasKept: false, HasOther: false } => "there is no other endpoint",
        _ => null,
    };

    /// <summary>How many retries may be under way beside the requests that are.</summary>
    public static int Budget(Policy.Objects.RetryBudget budget, int? maxRetries, int active) =>
        Math.Min(maxRetries ?? int.MaxValue, Math.Max(budget.MinConcurrency, (int)(active * budget.Percent / 100)));
}
