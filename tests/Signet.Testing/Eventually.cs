using System.Diagnostics;

namespace Signet.Testing;

/// <summary>Waits for something that happens on another thread: polls with a deadline, so that a test never sleeps longer than it must.</summary>
public static class Eventually
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan PassedAtEachLook = TimeSpan.FromMilliseconds(100);

    /// <exception cref="TimeoutException">The condition did not come true in time, which is within 90 s unless said otherwise.</exception>
    public static Task IsTrueAsync(Func<bool> condition, string what, TimeSpan? deadline = null) => IsTrueAsync(() => Task.FromResult(condition()), what, deadline);

    /// <inheritdoc cref="IsTrueAsync(Func{bool}, string, TimeSpan?)"/>
    public static async Task IsTrueAsync(Func<Task<bool>> condition, string what, TimeSpan? deadline = null)
    {
        var (watch, limit) = (Stopwatch.StartNew(), deadline ?? Deadline);
        while (!await condition())
        {
            if (watch.Elapsed > limit)
            {
                throw new TimeoutException($"waited {limit.TotalSeconds} s in vain for: {what}");
            }

            await Task.Delay(Pause);
        }
    }

    /// <summary>While it waits, a little virtual time passes at each look, slowly enough for calls not to run out of theirs.</summary>
    /// <inheritdoc cref="IsTrueAsync(Func{bool}, string)"/>
    public static Task IsTrueAsync(Func<bool> condition, string what, ManualTimeProvider passing) => IsTrueAsync(() => Task.FromResult(condition()), what, passing);

    /// <inheritdoc cref="IsTrueAsync(Func{bool}, string, ManualTimeProvider)"/>
    public static Task IsTrueAsync(Func<Task<bool>> condition, string what, ManualTimeProvider passing) => IsTrueAsync(
        async () =>
        {
            if (await condition())
            {
                return true;
            }

            passing.Advance(PassedAtEachLook);
            return false;
        },
        what);
}
