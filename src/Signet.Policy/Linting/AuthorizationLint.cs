using Signet.Policy.Engine;
using Signet.Policy.Objects;

namespace Signet.Policy.Linting;

internal static class AuthorizationLint
{
    public static void Run(LintRun run)
    {
        foreach (var policy in run.Objects<AuthorizationPolicy>())
        {
            CheckPolicy(run, policy);
            for (var i = 0; i < policy.Rules.Count; i++)
            {
                CheckRule(run, policy, policy.Rules[i]);
                CheckReachable(run, policy, i);
            }
        }

        foreach (var rules in run.Objects<RequestAuthentication>())
        {
            CheckTargets(run, rules, rules.HasTargetRefs);
        }
    }

    private static void CheckPolicy(LintRun run, AuthorizationPolicy policy)
    {
        CheckTargets(run, policy, policy.HasTargetRefs);
        if (policy.Action == PolicyAction.Custom && run.Set.Mesh.Provider(policy.Provider!) is null)
        {
            run.Error(policy, policy.Line, LintCodes.UndefinedProvider, $"{policy.Id} names the external authoriser \"{policy.Provider}\", which the mesh settings do not define: everything it covers is denied", "add it to extensionProviders, or give the settings with --mesh");
        }

        if (policy is { Action: PolicyAction.Audit, Rules.Count: 0 })
        {
            run.Warning(policy, policy.Line, LintCodes.AuditWithoutRules, $"{policy.Id} is an AUDIT policy without rules: it notes nothing", "to note everything write rules: [{}]");
        }
    }

    private static void CheckTargets(LintRun run, PolicyObject one, bool hasTargetRefs)
    {
        if (hasTargetRefs)
        {
            run.Warning(one, one.Line, LintCodes.TargetRefsIgnored, $"{one.Kind} {one.Id} has targetRefs: it is about gateways or waypoints, and no sidecar applies it", "use spec.selector for workloads");
            return;
        }

        run.CheckSelector(one, reachesAllNamespaces: one.Namespace == run.Set.Mesh.RootNamespace);
    }

    private static void CheckRule(LintRun run, AuthorizationPolicy policy, Rule rule)
    {
        if (policy.Action == PolicyAction.Allow && AdmitsPlaintext(rule, out var named))
        {
            run.Warning(policy, rule.Line, LintCodes.AllowsPlaintext, $"rule {rule.Index} of {policy.Id} admits peers without mutual TLS: {named} only excludes, and a peer without an identity is not excluded", "add principals: [\"*\"] to ask for mutual TLS");
        }

        var httpOnly = rule.Clauses.Where(clause => clause.HttpOnly).Select(clause => clause.Field).Distinct(StringComparer.Ordinal).ToList();
        if (policy.Action == PolicyAction.Deny && httpOnly.Count > 0)
        {
            run.Warning(policy, rule.Line, LintCodes.DenyWiderOnTcp, $"on a TCP port rule {rule.Index} of {policy.Id} denies more than it says: {string.Join(", ", httpOnly)} can't be known there and count as matching", "name the HTTP ports with ports, or make sure that the workload has no TCP port");
        }

        foreach (var clause in rule.Clauses.OfType<PrincipalClause>())
        {
            CheckPrincipals(run, policy, rule, clause);
        }

        if (policy is { Action: PolicyAction.Deny, DryRun: false } && rule.Clauses.FirstOrDefault(clause => clause is { NeedsPeer: true, Negated: false }) is { } byPeer
            && run.Set.MtlsFor(new Workload(policy.Namespace, null, policy.Selector), 0).Mode != MtlsMode.Strict)
        {
            run.Warning(policy, rule.Line, LintCodes.DenyByPeerWithoutStrict, $"rule {rule.Index} of {policy.Id} denies by {byPeer.Field}, but peers can come without mutual TLS and so without a name", "make the workload STRICT, or deny notPrincipals: [\"*\"] as well");
        }
    }

    private static void CheckPrincipals(LintRun run, AuthorizationPolicy policy, Rule rule, PrincipalClause clause)
    {
        foreach (var value in clause.Values)
        {
            var inner = value.Trim('*');
            if (value.StartsWith("spiffe://", StringComparison.Ordinal))
            {
                run.Error(policy, rule.Line, LintCodes.PrincipalNeverMatches, $"rule {rule.Index} of {policy.Id} has the principal \"{value}\", which never matches: principals have no scheme", $"write {value["spiffe://".Length..]}");
            }
            else if (inner.Contains('*', StringComparison.Ordinal) || (value.Length > 1 && value.StartsWith('*') && value.EndsWith('*')))
            {
                run.Error(policy, rule.Line, LintCodes.PrincipalNeverMatches, $"rule {rule.Index} of {policy.Id} has the principal \"{value}\", in which only a star at one end is a wildcard; it matches nothing", "list the principals, or use namespaces or serviceAccounts");
            }
            else if (!clause.Negated && policy.Action == PolicyAction.Allow && value.Contains('*', StringComparison.Ordinal))
            {
                run.Warning(policy, rule.Line, LintCodes.WildcardPrincipal, $"rule {rule.Index} of {policy.Id} allows the principals \"{value}\"{(value.StartsWith('*') ? ", of whatever trust domain" : "")}", "name the principals that need it");
            }
            else if (value.Split('/') is [var trustDomain, "ns", _, "sa", _] && trustDomain != "cluster.local" && !trustDomain.Contains('*', StringComparison.Ordinal)
                && !run.Set.Mesh.TrustDomains.Contains(trustDomain))
            {
                run.Warning(policy, rule.Line, LintCodes.ForeignTrustDomain, $"rule {rule.Index} of {policy.Id} names the trust domain \"{trustDomain}\"; the mesh is {string.Join(", ", run.Set.Mesh.TrustDomains)}", "correct it, or give the mesh settings with --mesh; a federated trust domain is fine");
            }
        }
    }

    // Some alternative says something about the peer, and only what it must not be.
    private static bool AdmitsPlaintext(Rule rule, out string named)
    {
        named = "";
        if (rule.When.Any(clause => clause is { NeedsPeer: true, Negated: false }))
        {
            return false;
        }

        IReadOnlyList<IReadOnlyList<Clause>> alternatives = rule.From.Count > 0 ? rule.From : [[]];
        foreach (var alternative in alternatives)
        {
            var aboutPeers = alternative.Concat(rule.When).Where(clause => clause.NeedsPeer).ToList();
            if (aboutPeers.Count > 0 && aboutPeers.TrueForAll(clause => clause.Negated))
            {
                named = aboutPeers[0].ToString();
                return true;
            }
        }

        return false;
    }

    private static void CheckReachable(LintRun run, AuthorizationPolicy policy, int index)
    {
        var rule = policy.Rules[index];
        var earlier = policy.Rules.Take(index).FirstOrDefault(other => other.MatchesEverything || Same(other, rule));
        if (earlier is not null)
        {
            run.Warning(policy, rule.Line, LintCodes.UnreachableRule, $"rule {rule.Index} of {policy.Id} never decides: rule {earlier.Index} matches everything that it does", "remove one of them");
        }
        else if (Contradicts(rule) is { } clause)
        {
            run.Warning(policy, rule.Line, LintCodes.UnreachableRule, $"rule {rule.Index} of {policy.Id} never matches: it wants {clause} and excludes the same", "remove the contradiction");
        }
    }

    private static bool Same(Rule a, Rule b) => Text(a) == Text(b);

    private static string Text(Rule rule) => string.Join(" | ", rule.From.Select(Text)) + " -> " + string.Join(" | ", rule.To.Select(Text)) + " when " + Text(rule.When);

    private static string Text(IReadOnlyList<Clause> clauses) => string.Join(" and ", clauses.Select(clause => clause.ToString()).Order(StringComparer.Ordinal));

    // Contradictory in every alternative: each has a field all of whose values it also excludes.
    private static Clause? Contradicts(Rule rule)
    {
        var when = Contradiction(rule.When);
        if (when is not null)
        {
            return when;
        }

        foreach (var alternatives in new[] { rule.From, rule.To })
        {
            var found = alternatives.Select(Contradiction).ToList();
            if (found.Count > 0 && found.TrueForAll(clause => clause is not null))
            {
                return found[0];
            }
        }

        return null;
    }

    private static Clause? Contradiction(IReadOnlyList<Clause> clauses) => clauses.FirstOrDefault(wanted => !wanted.Negated
        && clauses.Any(excluded => excluded.Negated && excluded.Field == wanted.Field && (excluded.Values.Contains("*") || wanted.Values.All(excluded.Values.Contains))));
}
