using System.Net;
using Signet.Policy;

namespace Signet.Benchmarks;

/// <summary>A policy as the interpreter holds it: what a person would write down first when asked to program the documentation.</summary>
internal sealed record PlainPolicy(string Name, string Action, IReadOnlyList<PlainRule> Rules);

/// <summary>Alternatives of one rule; empty means any.</summary>
internal sealed record PlainRule(
    IReadOnlyList<string> Principals, IReadOnlyList<string> NotIpBlocks, IReadOnlyList<string> Methods, IReadOnlyList<string> Paths, IReadOnlyList<(string Key, IReadOnlyList<string> Values)> When);

/// <summary>
/// The same rules, interpreted without preparation: each request walks every policy and compares texts as they stand there. Nothing is shared
/// with the product but the facts.
/// </summary>
internal static class PlainPolicies
{
    /// <summary>Whether a request passes, and by which policy and rule.</summary>
    public static (bool Allowed, string? Policy, int? Rule) Decide(IReadOnlyList<PlainPolicy> policies, RequestFacts facts)
    {
        var path = Normalise(facts.Path ?? "");
        foreach (var action in new[] { "DENY", "ALLOW" })
        {
            foreach (var policy in policies.Where(policy => policy.Action == action))
            {
                for (var i = 0; i < policy.Rules.Count; i++)
                {
                    if (Matches(policy.Rules[i], facts, path))
                    {
                        return (action == "ALLOW", policy.Name, i);
                    }
                }
            }
        }

        return (!policies.Any(policy => policy.Action == "ALLOW"), null, null);
    }

    private static bool Matches(PlainRule rule, RequestFacts facts, string path)
    {
        var principal = facts.MutualTls ? facts.Peer?.Principal ?? "" : "";
        return Any(rule.Principals, principal)
            && !rule.NotIpBlocks.Any(block => IPNetwork.Parse(block).Contains(facts.SourceIp!))
            && Any(rule.Methods, facts.Method ?? "")
            && Any(rule.Paths, path)
            && rule.When.All(condition => Any(condition.Values, ValueOf(condition.Key, facts)));
    }

    private static string ValueOf(string key, RequestFacts facts) => key switch
    {
        "source.principal" => facts.Peer?.Principal ?? "",
        "connection.sni" => facts.Sni ?? "",
        _ when key.StartsWith("request.headers[", StringComparison.Ordinal) => string.Join(
            ',', facts.Headers.Where(header => header.Key.Equals(key["request.headers[".Length..^1], StringComparison.OrdinalIgnoreCase)).Select(header => header.Value)),
        _ => "",
    };

    private static bool Any(IReadOnlyList<string> patterns, string value) => patterns.Count == 0 || patterns.Any(pattern =>
        pattern == "*" ? value.Length > 0
        : pattern.EndsWith('*') ? value.StartsWith(pattern[..^1], StringComparison.Ordinal)
        : pattern.StartsWith('*') ? value.EndsWith(pattern[1..], StringComparison.Ordinal)
        : pattern == value);

    /// <summary>Cuts the query and resolves dot segments.</summary>
    private static string Normalise(string target)
    {
        var kept = new List<string>();
        foreach (var segment in target.Split('?')[0].Split('/').Skip(1))
        {
            if (segment == "..")
            {
                kept.RemoveRange(Math.Max(0, kept.Count - 1), Math.Min(1, kept.Count));
            }
            else if (segment != ".")
            {
                kept.Add(segment);
            }
        }

        return "/" + string.Join('/', kept);
    }
}
