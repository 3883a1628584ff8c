using Signet.Hosting;
using Signet.Identity.Spiffe;

namespace Signet.Server.Registration;

/// <summary>
/// Wakes those whom a change of entries concerns, and nobody else: each follows the parents under which its entries lie, so that one
/// entry among many costs what the agents that serve it cost. Thread-safe.
/// </summary>
internal sealed class EntryWatchers(TimeProvider time)
{
    private readonly TimeProvider _time = time;
    private readonly Lock _gate = new();
    private readonly Dictionary<SpiffeId, HashSet<Watch>> _byParent = [];

    /// <summary>Begins to watch, following nothing yet. Whoever watches disposes it.</summary>
    public Watch Begin() => new(this);

    /// <summary>Wakes whoever follows one of these parents.</summary>
    public void Wake(IEnumerable<SpiffeId> parents)
    {
        HashSet<Watch> woken = [];
        lock (_gate)
        {
            foreach (var parent in parents)
            {
                if (_byParent.TryGetValue(parent, out var watches))
                {
                    woken.UnionWith(watches);
                }
            }
        }

        foreach (var watch in woken)
        {
            watch.Changes.Raise();
        }
    }

    /// <summary>One watcher. One caller follows; the signal may be awaited anywhere.</summary>
    internal sealed class Watch(EntryWatchers watchers) : IDisposable
    {
        private IReadOnlySet<SpiffeId> _followed = new HashSet<SpiffeId>();

        public ChangeSignal Changes { get; } = new(watchers._time);

        /// <summary>Follows these parents from now on, and no others.</summary>
        /// <returns>Whether one of them was not followed before: what lies under it may have changed unnoticed, so look again.</returns>
        public bool Follow(IReadOnlySet<SpiffeId> parents)
        {
            var gained = false;
            lock (watchers._gate)
            {
                foreach (var lost in _followed.Where(parent => !parents.Contains(parent)))
                {
                    Drop_NeedsLock(lost);
                }

                foreach (var parent in parents.Where(parent => !_followed.Contains(parent)))
                {
                    gained = true;
                    if (!watchers._byParent.TryGetValue(parent, out var watches))
                    {
                        watchers._byParent.Add(parent, watches = []);
                    }

                    watches.Add(this);
                }

                _followed = parents;
            }

            return gained;
        }

        public void Dispose() => Follow(new HashSet<SpiffeId>());

        private void Drop_NeedsLock(SpiffeId parent)
        {
            var watches = watchers._byParent[parent];
            watches.Remove(this);
            if (watches.Count == 0)
            {
                watchers._byParent.Remove(parent);
            }
        }
    }
}
