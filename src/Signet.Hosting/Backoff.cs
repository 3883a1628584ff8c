namespace Signet.Hosting;

/// <summary>How long to wait after a failure: twice as long each time up to a limit, and each wait cut by chance so that many clients don't come back at once.</summary>
/// <param name="First">The longest first wait.</param>
/// <param name="Max">The longest wait of all.</param>
/// <param name="Least">The part of a wait that chance leaves: a half, or less where thousands wait for the same server and should come back evenly spread.</param>
public readonly record struct BackoffRule(TimeSpan First, TimeSpan Max, double Least = 0.5)
{
    private const int MaxDoublings = 62;

    /// <summary>The wait after a number of failures in a row.</summary>
    /// <param name="failures">From 1.</param>
    /// <param name="chance">From 0 to 1: where between the least part of the wait and the whole of it.</param>
    public TimeSpan After(int failures, double chance)
    {
        var whole = Math.Min(First.Ticks * Math.Pow(2, Math.Clamp(failures - 1, 0, MaxDoublings)), Max.Ticks);
        return TimeSpan.FromTicks((long)(whole * (Least + (Math.Clamp(chance, 0, 1) * (1 - Least)))));
    }
}

/// <summary>Counts failures in a row for a <see cref="BackoffRule"/>. Not thread-safe: one loop owns it.</summary>
/// <param name="rule">How the wait grows.</param>
/// <param name="chance">Gives numbers from 0 to 1.</param>
public sealed class Backoff(BackoffRule rule, Func<double> chance)
{
    /// <summary>Failures in a row so far.</summary>
    public int Failures { get; private set; }

    /// <summary>Counts a failure and says how long to wait.</summary>
    public TimeSpan Next()
    {
        Failures = Failures == int.MaxValue ? Failures : Failures + 1;
        return rule.After(Failures, chance());
    }

    /// <summary>It worked: the next failure waits as the first.</summary>
    public void Reset() => Failures = 0;
}
