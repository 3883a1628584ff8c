using System.Collections.Immutable;
using Signet.Identity.Registration;

namespace Signet.Agent.Identities;

/// <summary>Which of a node's entries are to have an SVID, as a pure function of the limits and of what workloads use.</summary>
/// <param name="Entries">The most important first; never more than the limits allow.</param>
/// <param name="IsTight">Whether there are more entries than there is room for, so that only what is used gets an SVID.</param>
/// <param name="Refused">How many that workloads wait for have no room.</param>
internal sealed record SvidChoice(IReadOnlyList<RegistrationEntry> Entries, bool IsTight, int Refused)
{
    /// <param name="view">What the server said.</param>
    /// <param name="held">What is there.</param>
    /// <param name="subscribed">The selectors of the workloads whose streams are open.</param>
    /// <param name="recent">The IDs of entries that workloads asked for, the last one first.</param>
    /// <param name="limits">How much room there is.</param>
    /// <param name="now">The time.</param>
    public static SvidChoice Of(
        NodeView view,
        ImmutableDictionary<string, HeldSvid> held,
        IReadOnlyCollection<IReadOnlySet<Selector>> subscribed,
        IReadOnlyCollection<string> recent,
        CacheConfig limits,
        DateTimeOffset now)
    {
        if (view.Entries.Length <= limits.Svids && view.Entries.Sum(Bytes) <= limits.Bytes)
        {
            return new SvidChoice(view.Entries, IsTight: false, Refused: 0);
        }

        // 1. What streams wait for. Who is served already goes on being served, whoever else comes.
        var snapshot = new IdentitySnapshot(view, held);
        var wanted = subscribed.SelectMany(selectors => snapshot.Matching(selectors, now)).DistinctBy(entry => entry.Id, StringComparer.Ordinal).ToArray();

        // 2. What was asked for lately, as far as there is room.
        var asked = recent.ToHashSet(StringComparer.Ordinal);
        var byId = view.Entries.Where(entry => asked.Contains(entry.Id)).ToDictionary(entry => entry.Id, StringComparer.Ordinal);
        var order = wanted.Where(entry => held.ContainsKey(entry.Id))
            .Concat(wanted.Where(entry => !held.ContainsKey(entry.Id)))
            .Concat(recent.Select(byId.GetValueOrDefault).OfType<RegistrationEntry>())
            .DistinctBy(entry => entry.Id, StringComparer.Ordinal);
        var chosen = new List<RegistrationEntry>();
        var bytes = 0L;
        foreach (var entry in order)
        {
            bytes += Bytes(entry);
            if (chosen.Count == limits.Svids || bytes > limits.Bytes)
            {
                break;
            }

            chosen.Add(entry);
        }

        return new SvidChoice(chosen, IsTight: true, Math.Max(0, wanted.Length - chosen.Count));

        long Bytes(RegistrationEntry entry) => held.GetValueOrDefault(entry.Id)?.Bytes ?? HeldSvid.TypicalBytes;
    }
}
