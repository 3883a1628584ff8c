using System.Collections.Immutable;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Server.Registration;

/// <summary>All registration entries at one moment, to be found by ID, by parent and by what they say. Immutable.</summary>
internal sealed class EntryTable
{
    public static readonly EntryTable Empty = new(
        0,
        ImmutableDictionary.Create<string, RegistrationEntry>(StringComparer.Ordinal),
        ImmutableDictionary<SpiffeId, ImmutableDictionary<string, RegistrationEntry>>.Empty,
        ImmutableDictionary.Create<RegistrationEntry, string>(EntryMeaning.Same));

    private readonly ImmutableDictionary<string, RegistrationEntry> _byId;
    private readonly ImmutableDictionary<SpiffeId, ImmutableDictionary<string, RegistrationEntry>> _byParent;
    private readonly ImmutableDictionary<RegistrationEntry, string> _byMeaning;

    private EntryTable(
        long version,
        ImmutableDictionary<string, RegistrationEntry> byId,
        ImmutableDictionary<SpiffeId, ImmutableDictionary<string, RegistrationEntry>> byParent,
        ImmutableDictionary<RegistrationEntry, string> byMeaning) =>
        (Version, _byId, _byParent, _byMeaning) = (version, byId, byParent, byMeaning);

    /// <summary>Differs between any two tables of one directory that hold different entries.</summary>
    public long Version { get; }

    public IReadOnlyDictionary<string, RegistrationEntry> ById => _byId;

    /// <summary>The entries whose parent is this ID, in no order.</summary>
    public IEnumerable<RegistrationEntry> Under(SpiffeId parent) => _byParent.TryGetValue(parent, out var children) ? children.Values : [];

    /// <summary>The entry that gives the same workloads the same identity, if there is one.</summary>
    public RegistrationEntry? SameAs(RegistrationEntry entry) => _byMeaning.TryGetValue(entry, out var id) ? _byId[id] : null;

    /// <summary>With these entries added, or in the place of those with the same ID.</summary>
    public EntryTable With(IEnumerable<RegistrationEntry> entries)
    {
        var edit = new Edit(this);
        foreach (var entry in entries)
        {
            edit.Remove(entry.Id);
            edit.Add(entry);
        }

        return edit.Done();
    }

    public EntryTable Without(IEnumerable<string> ids)
    {
        var edit = new Edit(this);
        foreach (var id in ids)
        {
            edit.Remove(id);
        }

        return edit.Done();
    }

    private sealed class Edit(EntryTable before)
    {
        private readonly ImmutableDictionary<string, RegistrationEntry>.Builder _byId = before._byId.ToBuilder();
        private readonly ImmutableDictionary<SpiffeId, ImmutableDictionary<string, RegistrationEntry>>.Builder _byParent = before._byParent.ToBuilder();
        private readonly ImmutableDictionary<RegistrationEntry, string>.Builder _byMeaning = before._byMeaning.ToBuilder();

        public void Add(RegistrationEntry entry)
        {
            _byId.Add(entry.Id, entry);
            _byParent[entry.ParentId] = _byParent.GetValueOrDefault(entry.ParentId, Empty._byId).Add(entry.Id, entry);
            _byMeaning[entry] = entry.Id;
        }

        public void Remove(string id)
        {
            if (!_byId.Remove(id, out var entry))
            {
                return;
            }

            var siblings = _byParent[entry.ParentId].Remove(id);
            if (siblings.IsEmpty)
            {
                _byParent.Remove(entry.ParentId);
            }
            else
            {
                _byParent[entry.ParentId] = siblings;
            }

            if (_byMeaning.GetValueOrDefault(entry) == id)
            {
                _byMeaning.Remove(entry);
            }
        }

        public EntryTable Done() => new(before.Version + 1, _byId.ToImmutable(), _byParent.ToImmutable(), _byMeaning.ToImmutable());
    }
}
