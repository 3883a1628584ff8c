namespace Signet.Identity.Rotation;

/// <summary>
/// Compares the wall clock with one that only counts on, to notice when somebody set the clock or the machine slept. After a jump nothing should be dropped
/// for good until the clock has proved itself for a while. One caller.
/// </summary>
/// <param name="time">Both clocks.</param>
/// <param name="isPlausible">Whether the clock can be believed at the start: it fits what is known from before.</param>
public sealed class ClockWatch(TimeProvider time, bool isPlausible)
{
    /// <summary>A smaller difference between the two clocks is slewing, or a busy machine.</summary>
    public static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(10);

    /// <summary>So long after a jump the clock counts as right.</summary>
    public static readonly TimeSpan Settling = TimeSpan.FromMinutes(10);

    private (DateTimeOffset Wall, long Steady)? _last;
    private long? _jumped = isPlausible ? null : time.GetTimestamp();

    /// <summary>Whether the clock has gone steadily for long enough.</summary>
    public bool IsSettled => _jumped is not { } since || time.GetElapsedTime(since) >= Settling;

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
