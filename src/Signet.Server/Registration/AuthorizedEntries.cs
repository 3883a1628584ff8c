using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Server.Attestation;

namespace Signet.Server.Registration;

/// <summary>Which entries an agent may serve, from memory only. Thread-safe.</summary>
internal sealed class AuthorizedEntries(TrustDomain trustDomain, EntryDirectory entries, AgentDirectory agents, TimeProvider time)
{
    private readonly SpiffeId _server = ReservedIds.Server(trustDomain);

    /// <summary>In the order of creation; empty for an agent that is not attested or is banned.</summary>
    public IReadOnlyList<RegistrationEntry> For(SpiffeId agent) =>
        agents.Find(agent) is { Banned: false } attested
            ? [.. EntryMatcher.ForAgent([.. entries.Entries.Values], agent, attested.Selectors.ToHashSet(), _server, time.GetUtcNow())
                .OrderBy(entry => entry.CreatedAt)
                .ThenBy(entry => entry.Id, StringComparer.Ordinal)]
            : [];
}
