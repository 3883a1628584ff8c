namespace Signet.Policy.Engine;

/// <summary>
/// Rules by exact values and by prefixes. The prefixes stand in order, each with the longest other one that begins it, so that all prefixes of a
/// value are found with one binary search and a walk from the longest to the shortest. Immutable, thread-safe, no allocation.
/// </summary>
internal sealed class PatternTable
{
    private readonly Dictionary<string, CompiledRule[]>.AlternateLookup<ReadOnlySpan<char>> _exact;
    private readonly string[] _prefixes;
    private readonly CompiledRule[][] _rulesOfPrefix;
    private readonly int[] _shorter;

    /// <param name="entries">Exact and prefix patterns, each with a rule; the rules of one pattern stay in their order.</param>
    public PatternTable(IEnumerable<(StringPattern Pattern, CompiledRule Rule)> entries)
    {
        var groups = entries.GroupBy(entry => entry.Pattern, entry => entry.Rule).ToList();
        _exact = groups.Where(group => group.Key.Kind == PatternKind.Exact)
            .ToDictionary(group => group.Key.Text, group => group.ToArray(), StringComparer.Ordinal)
            .GetAlternateLookup<ReadOnlySpan<char>>();
        var prefixes = groups.Where(group => group.Key.Kind == PatternKind.Prefix).OrderBy(group => group.Key.Text, StringComparer.Ordinal).ToList();
        _prefixes = [.. prefixes.Select(group => group.Key.Text)];
        _rulesOfPrefix = [.. prefixes.Select(group => group.ToArray())];
        _shorter = new int[_prefixes.Length];
        for (var i = 0; i < _prefixes.Length; i++)
        {
            var at = i - 1;
            while (at >= 0 && !_prefixes[i].StartsWith(_prefixes[at], StringComparison.Ordinal))
            {
                at = _shorter[at];
            }

            _shorter[i] = at;
        }
    }

    public bool IsEmpty => _exact.Dictionary.Count == 0 && _prefixes.Length == 0;

    /// <summary>The rules of the prefix at a place.</summary>
    public CompiledRule[] this[int place] => _rulesOfPrefix[place];

    public CompiledRule[] Exact(ReadOnlySpan<char> value) => _exact.TryGetValue(value, out var rules) ? rules : [];

    /// <summary>The place of the longest prefix of a value, or -1.</summary>
    public int Longest(ReadOnlySpan<char> value)
    {
        var (low, high) = (0, _prefixes.Length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_prefixes[middle].AsSpan().SequenceCompareTo(value) <= 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        // What stands between the longest prefix and the value begins with that prefix, so it lies on the way.
        var at = low - 1;
        while (at >= 0 && !value.StartsWith(_prefixes[at], StringComparison.Ordinal))
        {
            at = _shorter[at];
        }

        return at;
    }

    /// <summary>The place of the next shorter prefix of the same value, or -1.</summary>
    public int Shorter(int place) => _shorter[place];
}
