using System.Collections.Concurrent;
using Grpc.Core;
using Signet.Identity.Spiffe;

namespace Signet.Server.Upkeep;

/// <summary>
/// What can be seen of agents that acknowledge nothing, as those of SPIRE. They fetch the bundle at the beginning of each synchronisation, so whoever begins
/// the next one has lived through what the last one brought. An answer alone proves nothing, and neither does a return after a call that failed: that
/// synchronisation may have been dropped whole. Lives in memory only. Thread-safe.
/// </summary>
internal sealed class BundleFetches(TimeProvider time)
{
    private readonly ConcurrentDictionary<SpiffeId, Seen> _seen = new();

    /// <summary>The newest bundle that the agent is known to have taken, by its number; null when it never fetched one.</summary>
    public ulong? HeldBy(SpiffeId agent) => _seen.TryGetValue(agent, out var seen) ? seen.Held : null;

    /// <summary>Whether the agent began another synchronisation after a moment, and nothing failed since.</summary>
    public bool CameBackAfter(SpiffeId agent, DateTimeOffset moment) => _seen.TryGetValue(agent, out var seen) && seen.BeganAt > moment;

    /// <summary>The agent begins to synchronise, and will be answered with a bundle.</summary>
    public void Began(SpiffeId agent)
    {
        var now = time.GetUtcNow();
        _seen.AddOrUpdate(agent, _ => new Seen(0, null, now), (_, seen) => new Seen(Math.Max(seen.Held, seen.Answered ?? 0), null, now));
    }

    /// <summary>The agent was answered with this bundle.</summary>
    public void Answered(SpiffeId agent, ulong sequence) => Change(agent, seen => seen with { Answered = sequence });

    /// <summary>The agent says itself which bundle it serves.</summary>
    public void Stated(SpiffeId agent, ulong sequence) =>
        _seen.AddOrUpdate(agent, _ => new Seen(sequence, null, null), (_, seen) => seen with { Held = Math.Max(seen.Held, sequence) });

    /// <summary>A call of the agent has ended.</summary>
    public void Ended(SpiffeId agent, StatusCode code)
    {
        // That something is not there is an answer like any other.
        if (code is not (StatusCode.OK or StatusCode.NotFound or StatusCode.Unimplemented))
        {
            Change(agent, seen => seen with { Answered = null, BeganAt = null });
        }
    }

    /// <summary>Forgets agents that are gone.</summary>
    public void Prune(Func<SpiffeId, bool> isGone)
    {
        foreach (var gone in _seen.Keys.Where(isGone))
        {
            _seen.TryRemove(gone, out _);
        }
    }

    private void Change(SpiffeId agent, Func<Seen, Seen> change)
    {
        while (_seen.TryGetValue(agent, out var seen) && !_seen.TryUpdate(agent, change(seen), seen))
        {
        }
    }

    /// <param name="Held">What it has for certain; 0 for nothing.</param>
    /// <param name="Answered">What it was answered with last, and has not come back from.</param>
    /// <param name="BeganAt">When it last began, unless a call failed since.</param>
    private sealed record Seen(ulong Held, ulong? Answered, DateTimeOffset? BeganAt);
}
