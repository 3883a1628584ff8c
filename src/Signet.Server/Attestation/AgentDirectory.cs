using System.Collections.Concurrent;
using Signet.Identity.Spiffe;

namespace Signet.Server.Attestation;

/// <summary>
/// The attested agents in memory, written through to the store, so that no agent's call reads the database. Writers go one at a time. A ban
/// outlives whatever is saved over it; only forgetting the agent lifts it. Thread-safe.
/// </summary>
public sealed class AgentDirectory : IDisposable
{
    private readonly IAgentStore _store;
    private readonly ConcurrentDictionary<SpiffeId, AttestedAgent> _agents;
    private readonly SemaphoreSlim _writer = new(1, 1);

    private AgentDirectory(IAgentStore store, IEnumerable<AttestedAgent> agents)
    {
        _store = store;
        _agents = new(agents.Select(agent => KeyValuePair.Create(agent.SpiffeId, agent)));
    }

    /// <summary>Called after an agent's record was made, changed or removed.</summary>
    public Action<SpiffeId> Changed { get; set; } = _ => { };

    public int Count => _agents.Count;

    public IReadOnlyCollection<AttestedAgent> Agents => [.. _agents.Values];

    public static async Task<AgentDirectory> LoadAsync(IAgentStore store, CancellationToken cancellationToken) =>
        new(store, await store.LoadAsync(cancellationToken).ConfigureAwait(false));

    public AttestedAgent? Find(SpiffeId id) => _agents.GetValueOrDefault(id);

    /// <summary>Takes over an agent that the store already keeps.</summary>
    public void Adopt(AttestedAgent agent)
    {
        _agents.AddOrUpdate(agent.SpiffeId, agent, (_, known) => agent with { Banned = known.Banned || agent.Banned });
        Changed(agent.SpiffeId);
    }

    /// <summary>Adds an agent that proved itself, or what it proved anew.</summary>
    public Task SaveAsync(AttestedAgent agent, CancellationToken cancellationToken) => AloneAsync(
        async () =>
        {
            await _store.SaveAsync(agent, cancellationToken).ConfigureAwait(false);
            Adopt(agent);
        },
        cancellationToken);

    /// <summary>Adds an agent that is not known yet.</summary>
    /// <returns>False when it is; then nothing was changed.</returns>
    public async Task<bool> TryAddAsync(AttestedAgent agent, CancellationToken cancellationToken)
    {
        var isNew = false;
        await AloneAsync(
            async () =>
            {
                isNew = Find(agent.SpiffeId) is null;
                if (isNew)
                {
                    await _store.SaveAsync(agent, cancellationToken).ConfigureAwait(false);
                    Adopt(agent);
                }
            },
            cancellationToken).ConfigureAwait(false);
        return isNew;
    }

    /// <summary>Changes an agent as it stands at this moment.</summary>
    /// <param name="id">Which.</param>
    /// <param name="change">What it becomes; null to leave it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The agent afterwards; null when there is no such agent.</returns>
    public async Task<AttestedAgent?> ChangeAsync(SpiffeId id, Func<AttestedAgent, AttestedAgent?> change, CancellationToken cancellationToken)
    {
        AttestedAgent? after = null;
        await AloneAsync(
            async () =>
            {
                after = Find(id);
                if (after is not null && change(after) is { } changed)
                {
                    await _store.SaveAsync(changed, cancellationToken).ConfigureAwait(false);
                    Adopt(changed);
                    after = changed;
                }
            },
            cancellationToken).ConfigureAwait(false);
        return after;
    }

    /// <summary>Shuts an agent out until it is forgotten.</summary>
    /// <returns>False when there is no such agent.</returns>
    public async Task<bool> BanAsync(SpiffeId id, CancellationToken cancellationToken) =>
        await ChangeAsync(id, agent => agent with { Banned = true }, cancellationToken).ConfigureAwait(false) is not null;

    /// <summary>Forgets an agent, and its ban; it may attest again.</summary>
    /// <returns>False when there is no such agent.</returns>
    public async Task<bool> ForgetAsync(SpiffeId id, CancellationToken cancellationToken) =>
        await ForgetAsync(agent => agent.SpiffeId == id, cancellationToken).ConfigureAwait(false) > 0;

    /// <summary>Forgets the agents that expired before a moment and could prove themselves again. Banned ones stay banned.</summary>
    /// <returns>How many.</returns>
    public Task<int> PurgeAsync(DateTimeOffset expiredBefore, CancellationToken cancellationToken) =>
        ForgetAsync(agent => agent is { Banned: false, CanReattest: true } && agent.NotAfter < expiredBefore, cancellationToken);

    public void Dispose() => _writer.Dispose();

    private async Task<int> ForgetAsync(Func<AttestedAgent, bool> isGone, CancellationToken cancellationToken)
    {
        var count = 0;
        await AloneAsync(
            async () =>
            {
                var gone = _agents.Values.Where(isGone).Select(agent => agent.SpiffeId).ToArray();
                count = gone.Length;
                if (count == 0)
                {
                    return;
                }

                await _store.DeleteAsync(gone, cancellationToken).ConfigureAwait(false);
                foreach (var id in gone)
                {
                    _agents.TryRemove(id, out _);
                    Changed(id);
                }
            },
            cancellationToken).ConfigureAwait(false);
        return count;
    }

    private async Task AloneAsync(Func<Task> work, CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await work().ConfigureAwait(false);
        }
        finally
        {
            _writer.Release();
        }
    }
}
