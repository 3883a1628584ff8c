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
    /// <param name="under">The entries whose parent is an ID, each at most once.</param>
    /// <param name="agent">The agent.</param>
    /// <param name="node">What its attestor found out about the node.</param>
    /// <param name="server">The server's ID.</param>
    /// <param name="now">Entries that have expired at this time don't count.</param>
    public static EntryReach ForAgent(
        Func<SpiffeId, IEnumerable<RegistrationEntry>> under, SpiffeId agent, IReadOnlySet<Selector> node, SpiffeId server, DateTimeOffset now)
    {
        var reached = new HashSet<SpiffeId> { agent };
        var parents = new Queue<SpiffeId>(reached);
        DateTimeOffset? until = null;
        foreach (var alias in under(server).Where(entry => !entry.HasExpired(now) && Applies(entry, node)))
        {
            Reach(alias);
        }

        var found = new List<RegistrationEntry>();
        while (parents.TryDequeue(out var parent))
        {
            foreach (var entry in under(parent).Where(entry => !entry.HasExpired(now)))
            {
                found.Add(entry);
                Reach(entry);
            }
        }

        reached.Add(server);
        return new EntryReach(found, reached, until);

        void Reach(RegistrationEntry entry)
        {
            until = until is null || entry.ExpiresAt < until ? entry.ExpiresAt ?? until : until;
            if (reached.Add(entry.SpiffeId))
            {
                parents.Enqueue(entry.SpiffeId);
            }
        }
    }

    private static bool Applies(RegistrationEntry entry, IReadOnlySet<Selector> selectors) =>
        !entry.Selectors.IsDefaultOrEmpty && entry.Selectors.All(selectors.Contains);
}

/// <summary>The entries that an agent may serve.</summary>
/// <param name="Entries">Each once.</param>
/// <param name="Parents">The IDs under which an entry would be among them; the server's stands for aliases.</param>
/// <param name="Until">When the first of them expires and the answer changes; null is never.</param>
public sealed record EntryReach(IReadOnlyList<RegistrationEntry> Entries, IReadOnlySet<SpiffeId> Parents, DateTimeOffset? Until)
{
    public static readonly EntryReach None = new([], new HashSet<SpiffeId>(), null);
}
