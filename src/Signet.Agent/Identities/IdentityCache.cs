using System.Collections.Immutable;
using Signet.Hosting;
using Signet.Identity.Registration;

namespace Signet.Agent.Identities;

/// <summary>All that the agent can hand out at one moment. Immutable.</summary>
internal sealed record IdentitySnapshot(NodeView View, ImmutableDictionary<string, HeldSvid> Held)
{
    /// <summary>
    /// A workload has so many identities at most, its oldest entries'. All go into one message, and those of 500 stay well below the 4 MiB that clients accept.
    /// </summary>
    public const int MaxPerWorkload = 500;

    public static readonly IdentitySnapshot Empty = new(NodeView.Nothing, ImmutableDictionary<string, HeldSvid>.Empty);

    /// <summary>The entries that fit a workload, oldest first.</summary>
    public IReadOnlyList<RegistrationEntry> Matching(IReadOnlySet<Selector> selectors, DateTimeOffset now)
    {
        var matching = View.Index.ForWorkload(selectors, now);
        return matching.Count <= MaxPerWorkload ? matching : [.. matching.Take(MaxPerWorkload)];
    }

    /// <summary>The valid SVIDs of those entries that have one, in the same order.</summary>
    public IReadOnlyList<HeldSvid> Svids(IReadOnlyList<RegistrationEntry> matching, DateTimeOffset now) =>
        [.. matching.Select(entry => Held.GetValueOrDefault(entry.Id)).OfType<HeldSvid>().Where(held => held.IsValid(now))];
}

/// <summary>
/// The one snapshot that the agent serves from, and what of it workloads use. One owner publishes, any number read, use and wait.
/// </summary>
internal sealed class IdentityCache
{
    private readonly Lock _gate = new();
    private readonly int _maxRecent;
    private readonly LinkedList<string> _recent = [];
    private readonly Dictionary<string, LinkedListNode<string>> _places = new(StringComparer.Ordinal);
    private IdentitySnapshot _current;

    /// <param name="restored">What was kept from before a restart; it was in use, so it counts as used.</param>
    /// <param name="maxRecent">Of so many entries it is remembered that they were used; of two, the one used last.</param>
    public IdentityCache(IdentitySnapshot? restored = null, int maxRecent = 10_000)
    {
        (_current, _maxRecent) = (restored ?? IdentitySnapshot.Empty, maxRecent);
        foreach (var id in _current.Held.Keys.Take(maxRecent))
        {
            _places[id] = _recent.AddLast(id);
        }
    }

    public IdentitySnapshot Current => Volatile.Read(ref _current);

    /// <summary>Raised after each publication.</summary>
    public ChangeSignal Changes { get; } = new();

    /// <summary>Raised when somebody used an entry that has no SVID.</summary>
    public ChangeSignal Wanted { get; } = new();

    /// <summary>The IDs of the entries that were used, the last one first.</summary>
    public IReadOnlyList<string> Recent
    {
        get
        {
            lock (_gate)
            {
                return [.. _recent];
            }
        }
    }

    public void Publish(IdentitySnapshot snapshot)
    {
        Volatile.Write(ref _current, snapshot);
        Changes.Raise();
    }

    /// <summary>A workload may have what these entries grant and has asked for it.</summary>
    public void Use(IReadOnlyList<RegistrationEntry> matching)
    {
        lock (_gate)
        {
            foreach (var entry in matching)
            {
                if (_places.TryGetValue(entry.Id, out var place))
                {
                    _recent.Remove(place);
                    _recent.AddFirst(place);
                }
                else
                {
                    _places[entry.Id] = _recent.AddFirst(entry.Id);
                }
            }

            while (_places.Count > _maxRecent)
            {
                _places.Remove(_recent.Last!.Value);
                _recent.RemoveLast();
            }
        }

        var held = Current.Held;
        if (matching.Any(entry => !held.ContainsKey(entry.Id)))
        {
            Wanted.Raise();
        }
    }
}
