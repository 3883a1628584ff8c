namespace Signet.Identity.Rotation;

/// <summary>
/// Compares the wall clock with one that only counts on, to notice when somebody set the clock or the machine slept. After a jump, and at the start, nothing
/// should be dropped for good until the clock has proved itself for a while. One caller.
/// </summary>
/// <param name="time">Both clocks.</param>
public sealed class ClockWatch(TimeProvider time)
{
    /// <summary>A smaller difference between the two clocks is slewing, or a busy machine.</summary>
    public static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(10);

    /// <summary>So long after a jump the clock counts as right.</summary>
    public static readonly TimeSpan Settling = TimeSpan.FromMinutes(10);

    private readonly long _started = time.GetTimestamp();
    private (DateTimeOffset Wall, long Steady)? _last;
    private long? _jumped;

    /// <summary>Whether the clock has gone steadily for long enough.</summary>
    public bool IsSettled => time.GetElapsedTime(_jumped ?? _started) >= Settling;

    /// <summary>Looks at both clocks.</summary>
    /// <returns>By how much the wall clock has jumped since the last look, backwards when negative; zero when it has not.</returns>
    public TimeSpan Look()
    {
        var (wall, steady) = (time.GetUtcNow(), time.GetTimestamp());
        var jump = _last is { } last ? wall - last.Wall - time.GetElapsedTime(last.Steady, steady) : TimeSpan.Zero;
        _last = (wall, steady);
        if (jump.Duration() <= Tolerance)
        {
            return TimeSpan.Zero;
        }

        _jumped = steady;
        return jump;
    }
}
