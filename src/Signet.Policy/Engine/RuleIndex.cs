using System.Globalization;

namespace Signet.Policy.Engine;

/// <summary>What a rule can be looked up by, best first.</summary>
internal enum IndexDimension
{
    None,
    Principal,
    Path,
    ServiceAccount,
    Namespace,
    Port,
}

/// <summary>
/// Finds the rules that could match a request: those of which a principal, path, service account, namespace or port, exact or as a prefix, includes
/// the request's, and those that can't be looked up. So a decision costs what could match, not what exists. Immutable, thread-safe, no allocation.
/// </summary>
internal sealed class RuleIndex
{
    private static readonly IndexDimension[] Dimensions =
        [IndexDimension.Principal, IndexDimension.Path, IndexDimension.ServiceAccount, IndexDimension.Namespace, IndexDimension.Port];

    private readonly PatternTable _byPrincipal;
    private readonly PatternTable _byPath;
    private readonly PatternTable _byAccount;
    private readonly PatternTable _byNamespace;
    private readonly Dictionary<int, CompiledRule[]> _byPort;
    private readonly CompiledRule[] _rest;

    /// <param name="rules">In the order in which they are asked.</param>
    public RuleIndex(IReadOnlyList<CompiledRule> rules)
    {
        var found = rules.Select(rule => (Rule: rule, Where: Place(rule.Rule))).ToList();
        _byPrincipal = new PatternTable(In(IndexDimension.Principal));
        _byPath = new PatternTable(In(IndexDimension.Path));
        _byAccount = new PatternTable(In(IndexDimension.ServiceAccount));
        _byNamespace = new PatternTable(In(IndexDimension.Namespace));
        _byPort = In(IndexDimension.Port)
            .GroupBy(one => int.Parse(one.Pattern.Text, CultureInfo.InvariantCulture), one => one.Rule)
            .ToDictionary(group => group.Key, group => group.ToArray());
        _rest = [.. found.Where(one => one.Where.Dimension == IndexDimension.None).Select(one => one.Rule)];

        IEnumerable<(StringPattern Pattern, CompiledRule Rule)> In(IndexDimension dimension) =>
            found.Where(one => one.Where.Dimension == dimension).SelectMany(one => one.Where.Keys.Select(key => (key, one.Rule)));
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

        if (facts.Protocol == Protocol.Http && facts.Path is not null)
        {
            Try(_byPath, facts.NormalizedPath, facts, ref best, all);
        }

        if (facts.AuthenticatedPeer is not { } peer)
        {
            return;
        }

        Try(_byPrincipal, peer.Uri.AsSpan("spiffe://".Length), facts, ref best, all);
        TrySegmentsAfter("/sa/", _byAccount, peer.Path, facts, ref best, all);
        TrySegmentsAfter("/ns/", _byNamespace, peer.Path, facts, ref best, all);
    }

    // An ID may say /ns/ or /sa/ more than once; each of its namespaces and accounts counts, as it does for the clauses.
    private static void TrySegmentsAfter(string marker, PatternTable table, string path, RequestFacts facts, ref CompiledRule? best, List<CompiledRule>? all)
    {
        if (table.IsEmpty)
        {
            return;
        }

        for (var at = path.IndexOf(marker, StringComparison.Ordinal); at >= 0; at = path.IndexOf(marker, at + 1, StringComparison.Ordinal))
        {
            var rest = path.AsSpan(at + marker.Length);
            var end = rest.IndexOf('/');
            Try(table, end < 0 ? rest : rest[..end], facts, ref best, all);
        }
    }

    private static void Try(PatternTable table, ReadOnlySpan<char> value, RequestFacts facts, ref CompiledRule? best, List<CompiledRule>? all)
    {
        if (table.IsEmpty)
        {
            return;
        }

        Try(table.Exact(value), facts, ref best, all);
        for (var place = table.Longest(value); place >= 0; place = table.Shorter(place))
        {
            Try(table[place], facts, ref best, all);
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

    private static (IndexDimension Dimension, IReadOnlyList<StringPattern> Keys) Place(Rule rule)
    {
        foreach (var dimension in Dimensions)
        {
            foreach (var alternatives in new[] { rule.From, rule.To, [rule.When] })
            {
                var clauses = alternatives.Select(clauses => clauses.FirstOrDefault(clause => clause.Dimension == dimension)).ToList();
                if (clauses.Count > 0 && clauses.All(clause => clause is not null))
                {
                    return (dimension, [.. clauses.SelectMany(clause => clause!.IndexKeys).Distinct()]);
                }
            }
        }

        return (IndexDimension.None, []);
    }
}
