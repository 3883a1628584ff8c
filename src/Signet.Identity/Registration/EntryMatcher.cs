using Signet.Identity.Spiffe;

namespace Signet.Identity.Registration;

/// <summary>Which entries apply; the same pure code on server and agent.</summary>
public static class EntryMatcher
{
    /// <summary>
    /// The entries whose selectors the workload all has, in the order of their creation and then as given, so that the first is a stable
    /// default (Workload API §8).
    /// </summary>
    public static IReadOnlyList<RegistrationEntry> ForWorkload(
        IEnumerable<RegistrationEntry> entries, IReadOnlySet<Selector> workload, DateTimeOffset now) =>
        [.. entries
            .Where(entry => !entry.HasExpired(now) && Applies(entry, workload))
            .OrderBy(entry => entry.CreatedAt)];

    /// <summary>
    /// The entries that an agent may serve: those under its own ID, those under a node alias that it matches (an entry whose parent is
    /// the server and whose selectors the node has), and, step by step, those under an entry found so far.
    /// </summary>
    public static IReadOnlyList<RegistrationEntry> ForAgent(
        IReadOnlyCollection<RegistrationEntry> entries, SpiffeId agent, IReadOnlySet<Selector> node, SpiffeId server, DateTimeOffset now)
    {
        var byParent = entries.Where(entry => !entry.HasExpired(now)).ToLookup(entry => entry.ParentId);
        var reached = new HashSet<SpiffeId> { agent };
        var parents = new Queue<SpiffeId>(reached);
        foreach (var alias in byParent[server].Where(entry => Applies(entry, node)))
        {
            if (reached.Add(alias.SpiffeId))
            {
                parents.Enqueue(alias.SpiffeId);
            }
        }

        var found = new List<RegistrationEntry>();
        while (parents.TryDequeue(out var parent))
        {
            foreach (var entry in byParent[parent])
            {
                found.Add(entry);
                if (reached.Add(entry.SpiffeId))
                {
                    parents.Enqueue(entry.SpiffeId);
                }
            }
        }

        return found;
    }

    private static bool Applies(RegistrationEntry entry, IReadOnlySet<Selector> selectors) =>
        !entry.Selectors.IsDefaultOrEmpty && entry.Selectors.All(selectors.Contains);
}
