using Microsoft.Extensions.Logging;
using Signet.Agent.Telemetry;
using Signet.Agent.WorkloadApi;
using Signet.Hosting.Daemons;
using Signet.Hosting.Files;
using Signet.Identity.Rotation;

namespace Signet.Agent.Identities;

/// <summary>All that keeps a node's identities: its membership, its server's word, its SVIDs, and the disk. Put together and not yet started.</summary>
internal sealed class NodeIdentities
{
    private NodeIdentities(SealedFolder? kept, IdentityCache cache, NodeMembership membership, NodeSync sync, IdentityKeeper keeper, IReadOnlyList<BackgroundPart> parts) =>
        (Kept, Cache, Membership, Sync, Keeper, Parts) = (kept, cache, membership, sync, keeper, parts);

    /// <summary>Where other parts of the agent may keep theirs, each under a kind of its own; null when nothing is to be kept on the disk.</summary>
    public SealedFolder? Kept { get; }

    public IdentityCache Cache { get; }

    public NodeMembership Membership { get; }

    public NodeSync Sync { get; }

    public IdentityKeeper Keeper { get; }

    /// <summary>What to start.</summary>
    public IReadOnlyList<BackgroundPart> Parts { get; }

    /// <summary>Resumes what was kept.</summary>
    /// <exception cref="PlaceException">The folder is not fit to hold keys.</exception>
    public static NodeIdentities Build(
        AgentConfig config, AgentIdentity identity, ServerLink server, ClientLedger clients, AgentMetrics metrics, TimeProvider time, Func<double> chance, ILoggerFactory logs)
    {
        // 1. What is left of before.
        var renewal = new RenewalRule(config.AvailabilityTarget);
        var folder = Path.Combine(config.DataDir, "cache");
        SealedFolder? kept = null;
        if (config.Cache.Disk)
        {
            kept = SealedFolder.Open(folder);
        }
        else
        {
            SealedFolder.Remove(folder);
        }

        var memory = kept is null ? null : new NodeMemory(kept, identity, renewal, config.Cache.MaxAge, time, chance, logs.CreateLogger<NodeMemory>());
        var cache = new IdentityCache(memory?.Restore(), config.Cache.Svids);

        // 2. What keeps it fresh.
        var membership = new NodeMembership(identity, server, config.Attestor.Build(), metrics, time, chance, logs.CreateLogger<NodeMembership>());
        var sync = new NodeSync(identity, membership, server, cache, clients, time, chance, logs.CreateLogger<NodeSync>());
        var keeper = new IdentityKeeper(sync, server, cache, clients, config.Cache, renewal, metrics, time, chance, logs.CreateLogger<IdentityKeeper>());
        metrics.Observe(identity, cache, clients, sync, keeper, time);
        return new NodeIdentities(kept, cache, membership, sync, keeper,
        [
            new BackgroundPart("membership", membership.RunAsync),
            new BackgroundPart("node", sync.RunAsync),
            new BackgroundPart("identities", keeper.RunAsync),
            .. memory is null ? (IEnumerable<BackgroundPart>)[] : [new BackgroundPart("cache", cancellationToken => memory.RunAsync(cache, sync, cancellationToken))],
        ]);
    }
}
