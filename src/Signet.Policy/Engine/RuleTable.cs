using Signet.Policy.Objects;

namespace Signet.Policy.Engine;

/// <summary>
/// All AuthorizationPolicies of a workload for one protocol, in Istio's order: CUSTOM, then DENY, then ALLOW, then the default. AUDIT and
/// dry-run policies are heard and never obeyed. Immutable, thread-safe; a decision does not allocate unless more than one of those matches.
/// </summary>
internal sealed class RuleTable
{
    private static readonly Permit NoAllowPolicies = new(null);

    private readonly CustomStage[] _custom;
    private readonly RuleIndex _deny;
    private readonly RuleIndex _allow;
    private readonly RuleIndex _heard;
    private readonly bool _hasAllow;
    private readonly bool _hasHeard;

    public RuleTable(IReadOnlyList<AuthorizationPolicy> policies, Protocol protocol, MeshSettings mesh)
    {
        var rules = new List<CompiledRule>();
        foreach (var policy in policies)
        {
            foreach (var rule in policy.Rules)
            {
                if ((protocol == Protocol.Http ? rule : rule.ForTcp(policy.Action)) is { } kept)
                {
                    rules.Add(new CompiledRule(rules.Count, policy, kept));
                }
            }
        }

        _deny = new RuleIndex([.. rules.Where(rule => rule.Policy is { Action: PolicyAction.Deny, DryRun: false })]);
        _allow = new RuleIndex([.. rules.Where(rule => rule.Policy is { Action: PolicyAction.Allow, DryRun: false })]);
        CompiledRule[] heard = [.. rules.Where(rule => rule.Policy.DryRun || rule.Policy.Action == PolicyAction.Audit)];
        _heard = new RuleIndex(heard);
        _hasHeard = heard.Length > 0;
        _hasAllow = policies.Any(policy => policy is { Action: PolicyAction.Allow, DryRun: false });
        _custom = [.. policies
            .Where(policy => policy is { Action: PolicyAction.Custom, DryRun: false })
            .GroupBy(policy => policy.Provider!, StringComparer.Ordinal)
            .OrderBy(group => group.Key, StringComparer.Ordinal)
            .Select(group => new CustomStage(group.First(), mesh.Provider(group.Key), [.. rules.Where(rule => group.Contains(rule.Policy))]))];
    }

    public Decision Decide(RequestFacts facts)
    {
        var findings = _hasHeard ? Listen(facts) : Findings.None;
        foreach (var stage in _custom)
        {
            if (stage.Denial(facts, findings) is { } denial)
            {
                return denial;
            }
        }

        if (_deny.FirstMatch(facts) is { } deny)
        {
            return new Decision(new Verdict(Stage.Deny, deny.PolicyId, deny.Rule.Index, deny.Reason(facts), findings), null);
        }

        if (!_hasAllow)
        {
            return new Decision(new Verdict(Stage.Default, null, null, "allowed: no ALLOW policy covers the workload", findings), NoAllowPolicies);
        }

        return _allow.FirstMatch(facts) is { } allow
            ? new Decision(new Verdict(Stage.Allow, allow.PolicyId, allow.Rule.Index, allow.Reason(facts), findings), allow.Permit)
            : new Decision(new Verdict(Stage.Default, null, null, "denied: ALLOW policies cover the workload and none of them matches", findings), null);
    }

    private Findings Listen(RequestFacts facts)
    {
        var matched = facts.Matched;
        matched.Clear();
        _heard.AllMatches(facts, matched);
        if (matched.Count == 0)
        {
            return Findings.None;
        }

        if (matched.Count == 1)
        {
            return matched[0].Policy.DryRun ? matched[0].DryRunFindings : matched[0].AuditFindings;
        }

        var first = matched.OrderBy(rule => rule.Order).DistinctBy(rule => rule.PolicyId, StringComparer.Ordinal).ToList();
        return new Findings(
            [.. first.Where(rule => !rule.Policy.DryRun).Select(rule => rule.PolicyId)],
            [.. first.Where(rule => rule.Policy.DryRun).SelectMany(rule => rule.DryRunFindings.DryRun)]);
    }
}
