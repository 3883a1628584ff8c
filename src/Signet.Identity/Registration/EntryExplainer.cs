namespace Signet.Identity.Registration;

/// <summary>An entry that a workload does not get, and why.</summary>
/// <param name="Entry">The entry.</param>
/// <param name="Missing">The selectors that the workload lacks; empty when it is something else.</param>
/// <param name="Reasons">A sentence for each thing that stands in the way.</param>
public sealed record EntryNearMiss(RegistrationEntry Entry, IReadOnlyList<Selector> Missing, IReadOnlyList<string> Reasons);

/// <summary>Which entries fit a workload, and which come nearest to it without fitting.</summary>
/// <param name="Matches">In the order in which the workload gets them.</param>
/// <param name="NearMisses">The nearest first.</param>
public sealed record EntryExplanation(IReadOnlyList<RegistrationEntry> Matches, IReadOnlyList<EntryNearMiss> NearMisses);

/// <summary>Says why a workload gets an identity or does not; the same matching as <see cref="EntryMatcher"/>, pure.</summary>
public static class EntryExplainer
{
    /// <summary>So many near misses are told; more would hide the one that was meant.</summary>
    public const int MaxNearMisses = 5;

    /// <param name="entries">The entries in question.</param>
    /// <param name="workload">The workload's selectors.</param>
    /// <param name="obstacle">What else stands in the way of an entry, such as its parent; null when nothing does.</param>
    /// <param name="now">The time at which entries expire.</param>
    public static EntryExplanation Explain(
        IReadOnlyCollection<RegistrationEntry> entries, IReadOnlySet<Selector> workload, Func<RegistrationEntry, string?> obstacle, DateTimeOffset now)
    {
        var fit = EntryMatcher.ForWorkload(entries, workload, now);
        var matches = fit.Where(entry => obstacle(entry) is null).ToArray();
        var nearMisses = entries
            .Except(matches)
            .Select(entry => Miss(entry, workload, obstacle, now))
            .Where(miss => miss.Missing.Count < miss.Entry.Selectors.Length || miss.Missing.Any(missing => Instead(missing, workload).Any()))
            .OrderBy(miss => miss.Reasons.Count)
            .ThenByDescending(miss => miss.Entry.Selectors.Length - miss.Missing.Count)
            .ThenBy(miss => miss.Entry.CreatedAt)
            .ThenBy(miss => miss.Entry.Id, StringComparer.Ordinal)
            .Take(MaxNearMisses)
            .ToArray();
        return new EntryExplanation(matches, nearMisses);
    }

    private static EntryNearMiss Miss(RegistrationEntry entry, IReadOnlySet<Selector> workload, Func<RegistrationEntry, string?> obstacle, DateTimeOffset now)
    {
        var missing = entry.Selectors.Where(selector => !workload.Contains(selector)).Distinct().ToArray();
        var reasons = missing.Select(selector => Reason(selector, workload)).ToList();
        if (entry.HasExpired(now))
        {
            reasons.Add($"the entry expired at {entry.ExpiresAt:u}");
        }

        if (obstacle(entry) is { } other)
        {
            reasons.Add(other);
        }

        return new EntryNearMiss(entry, missing, reasons);
    }

    private static string Reason(Selector missing, IReadOnlySet<Selector> workload)
    {
        var instead = string.Join(", ", Instead(missing, workload).Select(selector => selector.ToString()).Order(StringComparer.Ordinal));
        return instead.Length > 0 ? $"it demands {missing}, and the workload has {instead}"
            : workload.Any(selector => selector.Type == missing.Type) ? $"it demands {missing}, which the workload does not have"
            : $"it demands {missing}, and nothing of type {missing.Type} is known of the workload: is that attestor on at its agent?";
    }

    // What the workload has for the same question.
    private static IEnumerable<Selector> Instead(Selector missing, IReadOnlySet<Selector> workload)
    {
        var key = Key(missing);
        return workload.Where(selector => selector.Type == missing.Type && Key(selector) == key);
    }

    private static string Key(Selector selector) =>
        selector.Value.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon ? selector.Value[..colon] : "";
}
