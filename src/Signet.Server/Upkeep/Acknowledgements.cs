using System.Collections.Concurrent;
using System.Collections.Immutable;
using Signet.Authority.Rotation;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Node;
using Signet.Server.Attestation;
using Signet.Server.Telemetry;

namespace Signet.Server.Upkeep;

/// <summary>
/// What each agent last said that it and its clients have applied; of agents that never say it, as those of SPIRE, what can be seen
/// (<see cref="BundleFetches"/>). Lives in memory only: after a restart of the server every agent says it again when it comes back, and counts as behind until
/// then. Thread-safe.
/// </summary>
internal sealed class Acknowledgements(AuthorityRotation authorities, AgentDirectory agents, ServerMetrics metrics, TimeProvider time)
{
    private const int MaxNames = 8;
    private const int MaxIssuers = 64;

    private readonly ConcurrentDictionary<SpiffeId, Heard> _heard = new();
    private readonly Lock _counting = new();
    private (ulong Sequence, DateTimeOffset Since) _newest;

    /// <summary>What agents that acknowledge nothing were seen to fetch.</summary>
    public BundleFetches Fetches { get; } = new(time);

    /// <summary>Agents to wait for: those that are not banned and whose certificate has not expired.</summary>
    public IReadOnlyCollection<AttestedAgent> Expected
    {
        get
        {
            var now = time.GetUtcNow();
            return [.. agents.Agents.Where(agent => !agent.Banned && agent.NotAfter >= now).OrderBy(agent => agent.SpiffeId.Uri, StringComparer.Ordinal)];
        }
    }

    /// <summary>How long the slowest agent has been behind the newest bundle; zero when none is.</summary>
    public TimeSpan Lag => Behind().Count > 0 ? time.GetUtcNow() - Newest().Since : TimeSpan.Zero;

    /// <summary>Takes what an agent says on its stream.</summary>
    public void Record(SpiffeId agent, WatchRequest request)
    {
        var before = _heard.GetValueOrDefault(agent)?.Sequence ?? 0;
        _heard[agent] = new Heard(
            request.AppliedBundleSequence,
            [.. request.IssuersInUse.Take(MaxIssuers)],
            [.. request.LaggingClients.Take(MaxNames).Select(name => Printable.Of(name))],
            (int)Math.Min(request.LaggingClientCount, int.MaxValue));
        var newest = Newest();
        if (before < newest.Sequence && request.AppliedBundleSequence >= newest.Sequence)
        {
            metrics.Acknowledged(time.GetUtcNow() - newest.Since);
        }
    }

    /// <summary>A new bundle may have been published: its age is counted from now.</summary>
    public void Published() => Newest();

    /// <summary>Forgets agents that are gone.</summary>
    public void Prune()
    {
        foreach (var gone in _heard.Keys.Where(agent => agents.Find(agent) is null))
        {
            _heard.TryRemove(gone, out _);
        }

        Fetches.Prune(agent => agents.Find(agent) is null);
    }

    /// <summary>Those who have not applied the newest bundle.</summary>
    public IReadOnlyList<Laggard> Behind()
    {
        var sequence = authorities.Current.Bundle.Sequence ?? 0;
        return
        [
            .. Expected
                .Select(agent => (agent.SpiffeId, Heard: _heard.GetValueOrDefault(agent.SpiffeId), Fetched: Fetches.HeldBy(agent.SpiffeId), agent.NotAfter))
                .Where(agent => (agent.Heard?.Sequence ?? agent.Fetched ?? 0) < sequence)
                .Select(agent => new Laggard(agent.SpiffeId.Uri, (agent.Heard, agent.Fetched) switch
                {
                    (null, null) => $"has not been in touch since the server started; counts until its certificate expires at {agent.NotAfter:u}",
                    (null, _) => $"acknowledges nothing, and was not seen yet to fetch bundle {sequence} and to come back after it; counts until its certificate expires at {agent.NotAfter:u}",
                    ({ ClientCount: > 0 } heard, _) => $"{heard.ClientCount} of its clients are behind: {string.Join(", ", heard.Clients)}",
                    var (heard, _) => $"has bundle {heard.Sequence}, the newest is {sequence}; counts until its certificate expires at {agent.NotAfter:u}",
                })),
        ];
    }

    /// <summary>How many of those that are not behind acknowledged nothing and were only seen to fetch the newest bundle.</summary>
    public int CountFetched()
    {
        var sequence = authorities.Current.Bundle.Sequence ?? 0;
        return Expected.Count(agent => !_heard.ContainsKey(agent.SpiffeId) && Fetches.HeldBy(agent.SpiffeId) >= sequence);
    }

    /// <summary>Agents that said that they or their clients use certificates of these authorities.</summary>
    public IReadOnlyList<Laggard> Using(IReadOnlySet<string> issuers) =>
    [
        .. Expected
            .Where(agent => _heard.GetValueOrDefault(agent.SpiffeId)?.Issuers.Any(issuers.Contains) == true)
            .Select(agent => new Laggard(agent.SpiffeId.Uri, "it or a client of it uses a certificate that is to be replaced")),
    ];

    /// <summary>Whether an agent said that neither it nor any client uses a certificate of these authorities.</summary>
    public bool HasLeft(SpiffeId agent, IReadOnlySet<string> issuers) => _heard.TryGetValue(agent, out var heard) && !heard.Issuers.Any(issuers.Contains);

    /// <summary>Whether an agent that acknowledges nothing has lived through the replacement of its certificates: the last was signed before it began anew.</summary>
    public bool HasReplaced(SpiffeId agent, DateTimeOffset lastSignedAt) => !_heard.ContainsKey(agent) && Fetches.CameBackAfter(agent, lastSignedAt);

    /// <summary>Takes what an agent says of itself in passing; a bundle that does not exist yet is nothing that it can have.</summary>
    public void Stated(SpiffeId agent, ulong sequence)
    {
        if (sequence > 0 && sequence <= (authorities.Current.Bundle.Sequence ?? 0))
        {
            Fetches.Stated(agent, sequence);
        }
    }

    private (ulong Sequence, DateTimeOffset Since) Newest()
    {
        lock (_counting)
        {
            var sequence = authorities.Current.Bundle.Sequence ?? 0;
            if (_newest.Sequence != sequence)
            {
                _newest = (sequence, time.GetUtcNow());
            }

            return _newest;
        }
    }

    private sealed record Heard(ulong Sequence, ImmutableArray<string> Issuers, ImmutableArray<string> Clients, int ClientCount);
}
