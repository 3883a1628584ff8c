namespace Signet.Identity.Rotation;

/// <summary>
/// When to warn that something in use is about to expire: more urgent with each step that is passed. Each step is a part of the lifetime or a time
/// before its end, whichever is later. Pure.
/// </summary>
public sealed class ExpiryWarning(params (double Fraction, TimeSpan Cap)[] steps)
{
    /// <summary>What people must replace, or carry to other places: 60, 30, 7 days and one day ahead.</summary>
    public static readonly ExpiryWarning ByHand = new((1.0 / 2, TimeSpan.FromDays(60)), (1.0 / 3, TimeSpan.FromDays(30)), (1.0 / 6, TimeSpan.FromDays(7)), (1.0 / 24, TimeSpan.FromDays(1)));

    /// <summary>What replaces itself: only once that should have happened long ago.</summary>
    public static readonly ExpiryWarning Automatic = new((1.0 / 12, TimeSpan.FromDays(3)), (1.0 / 24, TimeSpan.FromDays(1)));

    /// <summary>How many steps are passed; 0 is no reason to warn.</summary>
    public int LevelOf(Validity validity, DateTimeOffset now)
    {
        var remaining = validity.Remaining(now);
        return steps.Count(step => remaining <= (validity.Lifetime * step.Fraction < step.Cap ? validity.Lifetime * step.Fraction : step.Cap));
    }
}
