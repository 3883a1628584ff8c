using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Signet.Identity.Registration;

/// <summary>
/// Entries, found by a workload's selectors without looking at all of them: each is filed under that one of its selectors which the fewest entries
/// have, so that a workload looks only at entries with which it shares something rare. Immutable, thread-safe; equal when it is made of the same array.
/// </summary>
public sealed class EntryIndex : IEquatable<EntryIndex>
{
    /// <summary>None.</summary>
    public static readonly EntryIndex Empty = new([]);

    private const int End = -1;

    // The first entry under a selector, and after each entry the next one under the same.
    private readonly Dictionary<Selector, int> _first;
    private readonly int[] _next;
    private readonly FrozenSet<(string Type, string Key)> _questions;

    /// <summary>Files the entries; takes time in proportion to their selectors.</summary>
    public EntryIndex(ImmutableArray<RegistrationEntry> entries)
    {
        Entries = entries;
        var counts = new Dictionary<Selector, int>(entries.Length);
        foreach (var selector in entries.SelectMany(entry => entry.Selectors.IsDefault ? [] : entry.Selectors))
        {
            counts[selector] = counts.GetValueOrDefault(selector) + 1;
        }

        _questions = counts.Keys.Select(selector => (selector.Type, Key(selector))).ToFrozenSet();
        _first = new Dictionary<Selector, int>(Math.Min(counts.Count, entries.Length));
        _next = new int[entries.Length];
        for (var i = entries.Length - 1; i >= 0; i--)
        {
            // An entry without selectors fits nobody.
            if (!entries[i].Selectors.IsDefaultOrEmpty)
            {
                var rarest = entries[i].Selectors.MinBy(selector => counts[selector]);
                _next[i] = _first.TryGetValue(rarest, out var after) ? after : End;
                _first[rarest] = i;
            }
        }

        _first.TrimExcess();
    }

    /// <summary>All of them, in the order given.</summary>
    public ImmutableArray<RegistrationEntry> Entries { get; }

    /// <summary>The same as <see cref="EntryMatcher.ForWorkload"/> of all entries.</summary>
    public IReadOnlyList<RegistrationEntry> ForWorkload(IReadOnlySet<Selector> workload, DateTimeOffset now)
    {
        var found = new List<int>();
        foreach (var selector in workload)
        {
            for (var i = _first.GetValueOrDefault(selector, End); i != End; i = _next[i])
            {
                found.Add(i);
            }
        }

        found.Sort();
        return EntryMatcher.ForWorkload(found.Select(i => Entries[i]), workload, now);
    }

    /// <summary>Whether any entry demands something of this kind, such as type <c>unix</c> and key <c>sha256</c>.</summary>
    public bool Asks(string type, string key) => _questions.Contains((type, key));

    /// <summary>The keys for which entries demand something of a type, such as <c>uid</c> and <c>path</c> for type <c>unix</c>; empty for a value without a key.</summary>
    public IEnumerable<string> KeysOf(string type) => _questions.Where(question => question.Type == type).Select(question => question.Key);

    public bool Equals(EntryIndex? other) => other is not null && Entries == other.Entries;

    public override bool Equals(object? obj) => Equals(obj as EntryIndex);

    public override int GetHashCode() => Entries.GetHashCode();

    private static string Key(Selector selector)
    {
        var colon = selector.Value.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? "" : selector.Value[..colon];
    }
}
