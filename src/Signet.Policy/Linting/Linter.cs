using Signet.Policy.Inputs;
using Signet.Policy.Objects;

namespace Signet.Policy.Linting;

/// <summary>
/// Finds what is legal and probably not meant. Without services it judges the policies alone; with them it also knows the workloads and
/// their ports. Pure; findings come in the order of files and lines.
/// </summary>
public static class Linter
{
    /// <summary>Everything that is wrong or doubtful, what reading found included.</summary>
    public static IReadOnlyList<PolicyProblem> Lint(PolicyLoad load, IReadOnlyList<WrittenService>? services)
    {
        var run = new LintRun(load.Set, services);
        AuthorizationLint.Run(run);
        PeerLint.Run(run);
        DestinationLint.Run(run);
        return [.. load.Problems.Concat(run.Findings)
            .Distinct()
            .OrderBy(problem => problem.File, StringComparer.Ordinal)
            .ThenBy(problem => problem.Line)
            .ThenBy(problem => problem.Code, StringComparer.Ordinal)];
    }
}

/// <summary>What the lint rules look at, and where they report.</summary>
internal sealed class LintRun(PolicySet set, IReadOnlyList<WrittenService>? services)
{
    public PolicySet Set => set;

    public IReadOnlyList<WrittenService>? Services => services;

    public List<PolicyProblem> Findings { get; } = [];

    /// <summary>The objects of a kind that could be understood, by namespace and name.</summary>
    public List<T> Objects<T>()
        where T : PolicyObject => [.. set.Objects.OfType<T>().Where(one => one.Unreadable is null).Order(Comparer<T>.Create(PolicyObject.ByName))];

    /// <summary>The workloads that services name, with their ports; null when no services were given.</summary>
    public IReadOnlyList<(Workload Workload, WrittenService Service)>? Workloads { get; } = services is null ? null :
        [.. services.SelectMany(service => service.Endpoints.Select(endpoint => (new Workload(service.Namespace, null, endpoint.Labels), service)))];

    public void Error(PolicyObject one, int line, string code, string message, string hint) => Report(one, line, code, PolicySeverity.Error, message, hint);

    public void Warning(PolicyObject one, int line, string code, string message, string hint) => Report(one, line, code, PolicySeverity.Warning, message, hint);

    /// <summary>Reports a selector that matches none of the workloads, when they are known.</summary>
    public void CheckSelector(PolicyObject one, bool reachesAllNamespaces)
    {
        if (Workloads is not null && one.Selector.Count > 0
            && !Workloads.Any(known => (reachesAllNamespaces || known.Workload.Namespace == one.Namespace) && known.Workload.HasLabels(one.Selector))
            && !services!.Any(service => (reachesAllNamespaces || service.Client.Namespace == one.Namespace) && service.Client.HasLabels(one.Selector)))
        {
            Warning(one, one.Line, LintCodes.SelectsNothing, $"the selector of {one.Kind} {one.Id} ({string.Join(", ", one.Selector.Select(label => label.Key + "=" + label.Value))}) matches no workload", "compare it with the workloads' labels");
        }
    }

    private void Report(PolicyObject one, int line, string code, PolicySeverity severity, string message, string hint) =>
        Findings.Add(new PolicyProblem(one.File, line, code, severity, message, hint));
}
