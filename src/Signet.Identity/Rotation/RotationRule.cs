namespace Signet.Identity.Rotation;

/// <summary>What the owner of a pair of slots (current and next) should do now.</summary>
public enum RotationStep
{
    /// <summary>Nothing is due.</summary>
    Wait,

    /// <summary>Make the next one, so that everybody can learn of it before it is used.</summary>
    Prepare,

    /// <summary>Begin to use the next one; the current one becomes old.</summary>
    Activate,

    /// <summary>Drop one that has expired and is not in use.</summary>
    Forget,
}

/// <summary>
/// When to prepare and when to activate a successor, as a pure function of the two slots and the time. The owner of the slots does what
/// it says and asks again; it holds for authorities and for any other certificate that has a current and a next slot.
/// </summary>
/// <param name="PrepareFraction">Prepare once no more than this part of the lifetime is left …</param>
/// <param name="PrepareCap">… or this much time, whichever is later in the life of the certificate.</param>
/// <param name="ActivateFraction">Activate once no more than this part of the lifetime is left …</param>
/// <param name="ActivateCap">… or this much time, whichever is later.</param>
public sealed record RotationRule(double PrepareFraction, TimeSpan PrepareCap, double ActivateFraction, TimeSpan ActivateCap)
{
    /// <summary>Authorities: prepare at half of life (at most 30 days before the end), activate at the last sixth (at most 7 days).</summary>
    public static readonly RotationRule Authority = new(1.0 / 2, TimeSpan.FromDays(30), 1.0 / 6, TimeSpan.FromDays(7));

    /// <summary>What is due for a row of slots: first what can go, then what <see cref="Next(Validity?, Validity?, DateTimeOffset)"/> says of the two newest.</summary>
    /// <param name="slots">In the order of their making.</param>
    /// <param name="now">The time.</param>
    /// <param name="mayForget">
    /// Whether the clock can be believed enough to drop something for good. Preparing one too many is cheap; what was dropped under a clock that stood
    /// wrong for a moment is missed by everybody who still relies on it.
    /// </param>
    public SlotAction Next(IReadOnlyCollection<Slot> slots, DateTimeOffset now, bool mayForget)
    {
        foreach (var slot in slots)
        {
            if (mayForget && slot.State != SlotState.Active && slot.Validity.HasExpired(now))
            {
                return new SlotAction(RotationStep.Forget, slot.Id);
            }
        }

        var prepared = Last(slots, SlotState.Prepared);
        var step = Next(Last(slots, SlotState.Active)?.Validity, prepared?.Validity, now);
        return new SlotAction(step, step == RotationStep.Activate ? prepared!.Value.Id : "");
    }

    /// <summary>
    /// What is due for this pair of slots. A current slot that is empty, has expired or is not valid yet (the clock was wrong when it was
    /// made) is replaced at once.
    /// </summary>
    public RotationStep Next(Validity? current, Validity? next, DateTimeOffset now)
    {
        if (current is not { } active || !active.Covers(now))
        {
            return next is { } ready && ready.Covers(now) ? RotationStep.Activate : RotationStep.Prepare;
        }

        var remaining = active.Remaining(now);
        if (next is not { } successor || successor.HasExpired(now))
        {
            return remaining <= Threshold(active, PrepareFraction, PrepareCap) ? RotationStep.Prepare : RotationStep.Wait;
        }

        return IsEnding(active, now) && successor.Covers(now) ? RotationStep.Activate : RotationStep.Wait;
    }

    /// <summary>Whether so little is left that the successor should be in use by now.</summary>
    public bool IsEnding(Validity validity, DateTimeOffset now) => validity.Remaining(now) <= Threshold(validity, ActivateFraction, ActivateCap);

    /// <summary>The longest lifetime that something signed under such an authority can always be given, whatever the moment.</summary>
    public TimeSpan GuaranteedLifetime(TimeSpan authorityLifetime) => Min(authorityLifetime * ActivateFraction, ActivateCap);

    private static Slot? Last(IEnumerable<Slot> slots, SlotState state)
    {
        Slot? last = null;
        foreach (var slot in slots)
        {
            last = slot.State == state ? slot : last;
        }

        return last;
    }

    private static TimeSpan Threshold(Validity validity, double fraction, TimeSpan cap) => Min(validity.Lifetime * fraction, cap);

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
