using Signet.Policy.Objects;

namespace Signet.Policy.Engine;

/// <summary>A rule in its place among all rules of a workload, with what it says when it decides. Thread-safe; the reasons are made once.</summary>
internal sealed class CompiledRule
{
    private static readonly Clause[][] Anything = [[]];

    private readonly Clause[][] _from;
    private readonly Clause[][] _to;
    private readonly Clause[] _when;
    private readonly string?[] _reasons;

    public CompiledRule(int order, AuthorizationPolicy policy, Rule rule)
    {
        (Order, Policy, PolicyId, Rule) = (order, policy, policy.Id, rule);
        _from = rule.From.Count == 0 ? Anything : [.. rule.From.Select(clauses => clauses.ToArray())];
        _to = rule.To.Count == 0 ? Anything : [.. rule.To.Select(clauses => clauses.ToArray())];
        _when = [.. rule.When];
        _reasons = new string?[_from.Length * _to.Length];
        Permit = new Permit(policy.Id);
        AuditFindings = new Findings([policy.Id], []);
        DryRunFindings = new Findings([], [new DryRunFinding(policy.Id, policy.Action, rule.Index)]);
    }

    /// <summary>The place in which it is asked; also its identity.</summary>
    public int Order { get; }

    public AuthorizationPolicy Policy { get; }

    /// <summary>The policy's name, put together once.</summary>
    public string PolicyId { get; }

    public Rule Rule { get; }

    /// <summary>What it hands out if it allows.</summary>
    public Permit Permit { get; }

    public Findings AuditFindings { get; }

    public Findings DryRunFindings { get; }

    public bool Matches(RequestFacts facts) => AllMatch(_when, facts) && IndexOfMatch(_from, facts) >= 0 && IndexOfMatch(_to, facts) >= 0;

    /// <summary>The sentence for a request that matches, naming the clauses that made it match.</summary>
    public string Reason(RequestFacts facts)
    {
        var (from, to) = (Math.Max(0, IndexOfMatch(_from, facts)), Math.Max(0, IndexOfMatch(_to, facts)));
        ref var reason = ref _reasons[(from * _to.Length) + to];
        return reason ??= Describe(_from[from], _to[to]);
    }

    private string Describe(Clause[] from, Clause[] to)
    {
        var clauses = string.Join(" and ", from.Concat(to).Concat(_when));
        var verb = Policy.Action switch
        {
            PolicyAction.Allow => "allowed by",
            PolicyAction.Deny => "denied by",
            PolicyAction.Custom => "sent to an external authoriser by",
            _ => "noted by",
        };
        return $"{verb} {PolicyId} rule {Rule.Index}: {(clauses.Length == 0 ? "it matches everything" : clauses)}";
    }

    private static int IndexOfMatch(Clause[][] alternatives, RequestFacts facts)
    {
        for (var i = 0; i < alternatives.Length; i++)
        {
            if (AllMatch(alternatives[i], facts))
            {
                return i;
            }
        }

        return -1;
    }

    private static bool AllMatch(Clause[] clauses, RequestFacts facts)
    {
        foreach (var clause in clauses)
        {
            if (!clause.Matches(facts))
            {
                return false;
            }
        }

        return true;
    }
}
