namespace Signet.Policy.Engine;

/// <summary>What a rule can be looked up by, best first.</summary>
internal enum IndexDimension
{
    None,
    Principal,
    Path,
    Namespace,
    Port,
}

/// <summary>
/// Finds the rules that could match a request: those whose exact principals, paths, namespaces or ports include the request's, and those
/// that can't be looked up. So a decision costs what could match, not what exists. Immutable, thread-safe, no allocation.
/// </summary>
internal sealed class RuleIndex
{
    private static readonly IndexDimension[] Dimensions = [IndexDimension.Principal, IndexDimension.Path, IndexDimension.Namespace, IndexDimension.Port];

    private readonly Dictionary<string, CompiledRule[]>.AlternateLookup<ReadOnlySpan<char>> _byPrincipal;
    private readonly Dictionary<string, CompiledRule[]>.AlternateLookup<ReadOnlySpan<char>> _byPath;
    private readonly Dictionary<string, CompiledRule[]>.AlternateLookup<ReadOnlySpan<char>> _byNamespace;
    private readonly Dictionary<int, CompiledRule[]> _byPort;
    private readonly CompiledRule[] _rest;

    /// <param name="rules">In the order in which they are asked.</param>
    public RuleIndex(IReadOnlyList<CompiledRule> rules)
    {
        var found = rules.Select(rule => (Rule: rule, Where: Place(rule.Rule))).ToList();
        _byPrincipal = Group(IndexDimension.Principal).GetAlternateLookup<ReadOnlySpan<char>>();
        _byPath = Group(IndexDimension.Path).GetAlternateLookup<ReadOnlySpan<char>>();
        _byNamespace = Group(IndexDimension.Namespace).GetAlternateLookup<ReadOnlySpan<char>>();
        _byPort = Group(IndexDimension.Port).ToDictionary(pair => int.Parse(pair.Key, System.Globalization.CultureInfo.InvariantCulture), pair => pair.Value);
        _rest = [.. found.Where(one => one.Where.Dimension == IndexDimension.None).Select(one => one.Rule)];

        Dictionary<string, CompiledRule[]> Group(IndexDimension dimension) => found
            .Where(one => one.Where.Dimension == dimension)
            .SelectMany(one => one.Where.Keys.Select(key => (Key: key, one.Rule)))
            .GroupBy(one => one.Key, one => one.Rule, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.ToArray(), StringComparer.Ordinal);
    }

    /// <summary>The first rule that matches, in their order, or null.</summary>
    public CompiledRule? FirstMatch(RequestFacts facts)
    {
        CompiledRule? best = null;
        Search(facts, ref best, all: null);
        return best;
    }

    /// <summary>Adds all rules that match, in no order; none twice.</summary>
    public void AllMatches(RequestFacts facts, List<CompiledRule> all)
    {
        CompiledRule? ignored = null;
        Search(facts, ref ignored, all);
    }

    private void Search(RequestFacts facts, ref CompiledRule? best, List<CompiledRule>? all)
    {
        Try(_rest, facts, ref best, all);
        if (_byPort.Count > 0 && _byPort.TryGetValue(facts.DestinationPort, out var rules))
        {
            Try(rules, facts, ref best, all);
        }

        if (_byPath.Dictionary.Count > 0 && facts.Protocol == Protocol.Http && facts.Path is not null && _byPath.TryGetValue(facts.NormalizedPath, out rules))
        {
            Try(rules, facts, ref best, all);
        }

        if (facts.AuthenticatedPeer is not { } peer)
        {
            return;
        }

        if (_byPrincipal.Dictionary.Count > 0 && _byPrincipal.TryGetValue(peer.Uri.AsSpan("spiffe://".Length), out rules))
        {
            Try(rules, facts, ref best, all);
        }

        if (_byNamespace.Dictionary.Count > 0)
        {
            SearchNamespaces(peer.Path, facts, ref best, all);
        }
    }

    // An ID may say /ns/ more than once; each of its namespaces counts, as it does for NamespaceClause.
    private void SearchNamespaces(string path, RequestFacts facts, ref CompiledRule? best, List<CompiledRule>? all)
    {
        const string marker = "/ns/";
        for (var at = path.IndexOf(marker, StringComparison.Ordinal); at >= 0; at = path.IndexOf(marker, at + 1, StringComparison.Ordinal))
        {
            var rest = path.AsSpan(at + marker.Length);
            var end = rest.IndexOf('/');
            if (end >= 0 && _byNamespace.TryGetValue(rest[..end], out var rules))
            {
                Try(rules, facts, ref best, all);
            }
        }
    }

    private static void Try(CompiledRule[] rules, RequestFacts facts, ref CompiledRule? best, List<CompiledRule>? all)
    {
        foreach (var rule in rules)
        {
            if (best is not null && rule.Order >= best.Order)
            {
                return;
            }

            if (rule.Matches(facts))
            {
                if (all is null)
                {
                    best = rule;
                    return;
                }

                if (!all.Contains(rule))
                {
                    all.Add(rule);
                }
            }
        }
    }

    private static (IndexDimension Dimension, IReadOnlyList<string> Keys) Place(Rule rule)
    {
        foreach (var dimension in Dimensions)
        {
            foreach (var alternatives in new[] { rule.From, rule.To, [rule.When] })
            {
                var clauses = alternatives.Select(clauses => clauses.FirstOrDefault(clause => clause.Dimension == dimension)).ToList();
                if (clauses.Count > 0 && clauses.All(clause => clause is not null))
                {
                    return (dimension, [.. clauses.SelectMany(clause => clause!.IndexKeys).Distinct(StringComparer.Ordinal)]);
                }
            }
        }

        return (IndexDimension.None, []);
    }
}
