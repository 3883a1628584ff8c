using System.Collections.Concurrent;
using System.Collections.Immutable;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Server.Attestation;

namespace Signet.Server.Registration;

/// <summary>The entries that one agent may serve, as they were at one version of the table. Immutable.</summary>
/// <param name="Version">The table's version.</param>
/// <param name="Node">The agent's selectors by which aliases were found.</param>
/// <param name="Reach">What was found.</param>
/// <param name="ById">The entries by their ID.</param>
internal sealed record AgentEntries(long Version, ImmutableArray<Selector> Node, EntryReach Reach, IReadOnlyDictionary<string, RegistrationEntry> ById)
{
    public static readonly AgentEntries None = new(-1, [], EntryReach.None, ImmutableDictionary<string, RegistrationEntry>.Empty);

    /// <summary>In the order of creation.</summary>
    public IEnumerable<RegistrationEntry> InOrder => ById.Values.OrderBy(entry => entry.CreatedAt).ThenBy(entry => entry.Id, StringComparer.Ordinal);

    public bool HoldsFor(EntryTable table, ImmutableArray<Selector> node, DateTimeOffset now) =>
        Version == table.Version && Node == node && !(Reach.Until <= now);
}

/// <summary>Which entries an agent may serve, from memory only, looked up once for each change. Thread-safe.</summary>
internal sealed class AuthorizedEntries(TrustDomain trustDomain, EntryDirectory entries, AgentDirectory agents, TimeProvider time)
{
    private readonly SpiffeId _server = ReservedIds.Server(trustDomain);
    private readonly ConcurrentDictionary<SpiffeId, AgentEntries> _found = new();

    /// <summary>None for an agent that is not attested or is banned.</summary>
    public AgentEntries For(SpiffeId agent)
    {
        if (agents.Find(agent) is not { Banned: false } attested)
        {
            _found.TryRemove(agent, out _);
            return AgentEntries.None;
        }

        var (table, now) = (entries.Table, time.GetUtcNow());
        if (!_found.TryGetValue(agent, out var found) || !found.HoldsFor(table, attested.Selectors, now))
        {
            var reach = EntryMatcher.ForAgent(table.Under, agent, attested.Selectors.ToHashSet(), _server, now);
            found = new AgentEntries(table.Version, attested.Selectors, reach, reach.Entries.ToDictionary(entry => entry.Id, StringComparer.Ordinal));
            _found[agent] = found;
        }

        return found;
    }
}
