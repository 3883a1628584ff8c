using System.Globalization;
using Signet.Policy.Engine;
using Signet.Policy.Objects;

namespace Signet.Policy.Explaining;

/// <summary>Explains decisions with the very clauses that made them.</summary>
public static class Explainer
{
    private const int MaxNearMisses = 5;

    /// <summary>Explains a decision that was just made about these facts.</summary>
    public static Explanation Explain(WorkloadPolicy policy, RequestFacts facts, Decision decision)
    {
        var verdict = decision.Verdict;
        var misses = decision.Allowed || verdict.Stage != Stage.Default ? [] : NearMisses(policy, facts);
        return new Explanation(Summary(facts, decision), misses, NextStep(policy, facts, decision, misses));
    }

    private static string Summary(RequestFacts facts, Decision decision)
    {
        var who = facts.AuthenticatedPeer?.Principal ?? (facts.SourceIp is { } ip ? $"a peer without mutual TLS at {ip}" : "a peer without mutual TLS");
        var what = facts.Protocol == Protocol.Http
            ? string.Create(CultureInfo.InvariantCulture, $"{facts.Method ?? "a request"} {facts.Path} on port {facts.DestinationPort}")
            : string.Create(CultureInfo.InvariantCulture, $"a connection to port {facts.DestinationPort}");
        return $"{who}: {what} is {(decision.Allowed ? "allowed" : "denied")}. {Sentence(decision.Verdict.Reason)}";
    }

    private static string? NextStep(WorkloadPolicy policy, RequestFacts facts, Decision decision, IReadOnlyList<NearMiss> misses)
    {
        var verdict = decision.Verdict;
        if (decision.Allowed)
        {
            return null;
        }

        switch (verdict.Stage)
        {
            case Stage.PeerAuthentication:
                return $"Give the client an identity and let it connect with mutual TLS; while it can't, {verdict.Policy} could make the port PERMISSIVE.";
            case Stage.Request:
                return "The request itself is not acceptable, whatever the policies; correct the client.";
            case Stage.Custom when verdict.Rule is null:
                return "Define the external authoriser in the mesh settings under extensionProviders, or name one that is defined.";
            case Stage.Custom:
                return "Ask the external authoriser why it refuses, or narrow the CUSTOM policy.";
            case Stage.Deny when verdict.Rule is null:
                return "Correct the policy that can't be understood; signet policy lint shows where.";
            case Stage.Deny:
                return $"To let this through, change rule {verdict.Rule} of {verdict.Policy}; an ALLOW policy can't outweigh a DENY.";
            default:
                return misses switch
                {
                    [{ LeftOut: { } why } near, ..] => $"Rule {near.Rule} of {near.Policy} is not considered: {why}.",
                    [var near, ..] => $"Rule {near.Rule} of {near.Policy} comes nearest: {string.Join("; ", near.Missing)}.",
                    _ => policy.Policies.Where(one => one is { Action: PolicyAction.Allow, DryRun: false }).Select(one => one.Id).ToList() is var ids
                        ? $"{string.Join(", ", ids)} allow nothing, since they have no rules; add a rule or another ALLOW policy."
                        : null,
                };
        }
    }

    private static List<NearMiss> NearMisses(WorkloadPolicy policy, RequestFacts facts)
    {
        var misses = new List<NearMiss>();
        foreach (var one in policy.Policies.Where(one => one is { Action: PolicyAction.Allow, DryRun: false }))
        {
            foreach (var rule in one.Rules)
            {
                if (facts.Protocol == Protocol.Tcp && rule.ForTcp(one.Action) is null)
                {
                    var fields = string.Join(", ", rule.Clauses.Where(clause => clause.HttpOnly).Select(clause => clause.Field).Distinct(StringComparer.Ordinal));
                    misses.Add(new NearMiss(one.Id, rule.Index, [], $"the port is TCP, and the rule has {fields}, which only HTTP has"));
                    continue;
                }

                List<MissingClause> missing = [.. Nearest(rule.From, facts), .. Nearest(rule.To, facts), .. Failing(rule.When, facts)];
                if (missing.Count > 0)
                {
                    misses.Add(new NearMiss(one.Id, rule.Index, missing, null));
                }
            }
        }

        return [.. misses.OrderBy(miss => miss.LeftOut is null ? miss.Missing.Count : int.MaxValue).Take(MaxNearMisses)];
    }

    private static IReadOnlyList<MissingClause> Nearest(IReadOnlyList<IReadOnlyList<Clause>> alternatives, RequestFacts facts) =>
        alternatives.Count == 0 ? [] : alternatives.Select(clauses => Failing(clauses, facts)).MinBy(failing => failing.Count)!;

    private static List<MissingClause> Failing(IReadOnlyList<Clause> clauses, RequestFacts facts) =>
        [.. clauses.Where(clause => !clause.Matches(facts)).Select(clause => new MissingClause(clause.Field, clause.Negated, clause.Values, clause.Seen(facts)))];

    private static string Sentence(string reason) => reason.Length == 0 ? "" : char.ToUpperInvariant(reason[0]) + reason[1..] + ".";
}
