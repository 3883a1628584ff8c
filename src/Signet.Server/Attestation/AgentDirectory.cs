using System.Collections.Concurrent;
using Signet.Identity.Spiffe;

namespace Signet.Server.Attestation;

/// <summary>The attested agents in memory, written through to the store, so that no agent's call reads the database. Thread-safe.</summary>
public sealed class AgentDirectory
{
    private readonly IAgentStore _store;
    private readonly ConcurrentDictionary<SpiffeId, AttestedAgent> _agents;

    private AgentDirectory(IAgentStore store, IEnumerable<AttestedAgent> agents)
    {
        _store = store;
        _agents = new(agents.Select(agent => KeyValuePair.Create(agent.SpiffeId, agent)));
    }

    /// <summary>Called after an agent's record was made, changed or removed.</summary>
    public Action<SpiffeId> Changed { get; set; } = _ => { };

    public IReadOnlyCollection<AttestedAgent> Agents => [.. _agents.Values];

    public static async Task<AgentDirectory> LoadAsync(IAgentStore store, CancellationToken cancellationToken) =>
        new(store, await store.LoadAsync(cancellationToken).ConfigureAwait(false));

    public AttestedAgent? Find(SpiffeId id) => _agents.GetValueOrDefault(id);

    /// <summary>Takes over an agent that the store already keeps.</summary>
    public void Adopt(AttestedAgent agent)
    {
        _agents[agent.SpiffeId] = agent;
        Changed(agent.SpiffeId);
    }

    public async Task SaveAsync(AttestedAgent agent, CancellationToken cancellationToken)
    {
        await _store.SaveAsync(agent, cancellationToken).ConfigureAwait(false);
        Adopt(agent);
    }
}
