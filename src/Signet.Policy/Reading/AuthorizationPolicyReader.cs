using Signet.Identity;
using Signet.Identity.Spiffe;
using Signet.Policy.Engine;
using Signet.Policy.Objects;

namespace Signet.Policy.Reading;

internal static class AuthorizationPolicyReader
{
    public static readonly string[] SpecFields = ["selector", "targetRef", "targetRefs", "rules", "action", "provider"];

    private const int MaxRules = 512;
    private const string DryRunAnnotation = "istio.io/dry-run";

    public static PolicyObject Read(Header header, Fields spec, ReadingContext context)
    {
        var problems = context.Problems;
        var action = spec.Word("action", "ALLOW", "DENY", "AUDIT", "CUSTOM") switch
        {
            "DENY" => PolicyAction.Deny,
            "AUDIT" => PolicyAction.Audit,
            "CUSTOM" => PolicyAction.Custom,
            _ => PolicyAction.Allow,
        };
        var provider = spec.Open("provider", "name")?.Text("name");
        if (action == PolicyAction.Custom && string.IsNullOrEmpty(provider))
        {
            problems.Error(spec.Line, PolicyCodes.BadValue, "spec.action is CUSTOM but spec.provider.name is missing", "name the external authoriser of the mesh settings");
        }
        else if (action != PolicyAction.Custom && spec.Has("provider"))
        {
            problems.Error(spec.LineOf("provider"), PolicyCodes.BadValue, $"spec.provider only goes with action CUSTOM, not {action.Word()}");
        }

        var items = spec.Items("rules");
        if (items.Count > MaxRules)
        {
            problems.Error(spec.LineOf("rules"), PolicyCodes.BadValue, $"spec.rules has {items.Count} rules; the limit is {MaxRules}", "split the policy");
        }

        if (items.Count == 0 && action is PolicyAction.Deny or PolicyAction.Custom)
        {
            problems.Error(spec.Line, PolicyCodes.NeverTriggered, $"a {action.Word()} policy without rules never matches anything", "to match everything write rules: [{}]");
        }

        return new AuthorizationPolicy
        {
            Namespace = header.Namespace,
            Name = header.Name,
            File = header.File,
            Line = header.Line,
            Created = header.Created,
            Selector = context.Selector(spec),
            Action = action,
            Provider = provider ?? (action == PolicyAction.Custom ? "" : null),
            DryRun = ReadDryRun(header, problems),
            HasTargetRefs = context.HasTargetRefs(spec),
            Rules = [.. items.Take(MaxRules).Select((item, index) => new RuleReader(header.Namespace, action, context).Read(item, index)).OfType<Rule>()],
        };
    }

    // Exactly the words that Istio takes for true; anything else enforces the policy, and a slip is told.
    private static bool ReadDryRun(Header header, ProblemList problems)
    {
        foreach (var (name, value) in header.Annotations)
        {
            if (name == DryRunAnnotation)
            {
                if (value is not ("1" or "t" or "T" or "true" or "TRUE" or "True" or "0" or "f" or "F" or "false" or "FALSE" or "False"))
                {
                    problems.Warning(header.AnnotationsLine, PolicyCodes.DryRunTypo, $"the annotation {DryRunAnnotation} is \"{Printable.Of(value)}\", neither true nor false: the policy is enforced", "write \"true\"");
                }
            }
            else if (NearestWord.To(name, DryRunAnnotation) is not null)
            {
                problems.Warning(header.AnnotationsLine, PolicyCodes.DryRunTypo, $"the annotation {Printable.Of(name)} means nothing: the policy is enforced", $"write {DryRunAnnotation}: \"true\"");
            }
        }

        return header.Annotations.TryGetValue(DryRunAnnotation, out var written) && written is "1" or "t" or "T" or "true" or "TRUE" or "True";
    }
}
