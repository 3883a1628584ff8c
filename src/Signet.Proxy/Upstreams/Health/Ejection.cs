using Signet.Policy.Objects;

namespace Signet.Proxy.Upstreams.Health;

/// <summary>One endpoint's record with the outlier detection. Pure; times are timestamps of a clock that ticks so many times a second.</summary>
/// <param name="Runs">Failures in a row.</param>
/// <param name="Times">How often it was left out lately: each further absence is longer.</param>
/// <param name="Until">Until when it is left out; null when it is not.</param>
/// <param name="Cause">Why it is, or last was.</param>
/// <param name="Returned">When it last came back.</param>
internal readonly record struct Ejection(FailureRuns Runs, int Times, long? Until, EjectionCause Cause, long Returned)
{
    public bool IsOut => Until is not null;

    /// <summary>After one more result.</summary>
    /// <param name="settings">The rule's.</param>
    /// <param name="result">The result.</param>
    /// <param name="mayEject">Whether one more endpoint may be left out.</param>
    /// <param name="now">The time.</param>
    /// <param name="frequency">Ticks a second.</param>
    public Ejection After(OutlierDetection settings, EndpointResult result, bool mayEject, long now, long frequency)
    {
        var runs = OutlierRule.Next(Runs, settings, result);
        if (IsOut || OutlierRule.Judge(runs, settings) is not { } cause || !mayEject)
        {
            return this with { Runs = runs };
        }

        return this with { Runs = default, Times = Times + 1, Until = now + (long)(OutlierRule.Absence(settings, Times + 1).TotalSeconds * frequency), Cause = cause };
    }

    /// <summary>After a look around, once per interval: who has been away long enough comes back, and each interval that goes well shortens the next absence.</summary>
    public Ejection AtInterval(OutlierDetection settings, long now, long frequency)
    {
        if (Until is { } until)
        {
            return now >= until ? this with { Runs = default, Until = null, Returned = now } : this;
        }

        return Times > 0 && now - Returned >= (long)(settings.Interval.TotalSeconds * frequency) ? this with { Times = Times - 1 } : this;
    }
}
