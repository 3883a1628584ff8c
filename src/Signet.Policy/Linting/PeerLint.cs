using System.Globalization;
using Signet.Policy.Objects;

namespace Signet.Policy.Linting;

internal static class PeerLint
{
    public static void Run(LintRun run)
    {
        var all = run.Objects<PeerAuthentication>();
        foreach (var policy in all)
        {
            if (policy.Namespace == run.Set.Mesh.RootNamespace && policy.Selector.Count > 0)
            {
                run.Warning(policy, policy.Line, LintCodes.RootSelectorIgnored, $"PeerAuthentication {policy.Id} has a selector in the root namespace and is ignored", "move it to the workload's namespace, or remove the selector to make it the mesh's default");
                continue;
            }

            run.CheckSelector(policy, reachesAllNamespaces: false);
            CheckPorts(run, policy);
        }

        foreach (var scope in all.GroupBy(policy => policy.Namespace, StringComparer.Ordinal))
        {
            CheckScope(run, [.. scope.Order(Comparer<PeerAuthentication>.Create(PolicyObject.ByAge))]);
        }
    }

    // In each scope the oldest counts. Two selectors share a scope when whatever the narrower selects, the wider selects too.
    private static void CheckScope(LintRun run, List<PeerAuthentication> oldestFirst)
    {
        for (var i = 1; i < oldestFirst.Count; i++)
        {
            var younger = oldestFirst[i];
            var winner = oldestFirst.Take(i).FirstOrDefault(older => (older.Selector.Count == 0) == (younger.Selector.Count == 0) && Covers(older, younger));
            if (winner is not null)
            {
                run.Warning(younger, younger.Line, LintCodes.TwoInOneScope, $"PeerAuthentication {younger.Id} has no effect where {winner.Id} applies, which is older: in one scope only the oldest counts", "merge them into one");
            }
            else if (oldestFirst.Take(i).FirstOrDefault(older => younger.Selector.Count > 0 && older.Selector.Count > 0 && Covers(younger, older)) is { } narrower)
            {
                run.Warning(younger, younger.Line, LintCodes.TwoInOneScope, $"PeerAuthentication {younger.Id} does not reach the workloads of {narrower.Id}, which is older: in one scope only the oldest counts", "make their selectors exclude each other");
            }
        }
    }

    private static bool Covers(PeerAuthentication wider, PeerAuthentication narrower) =>
        wider.Selector.All(label => narrower.Selector.TryGetValue(label.Key, out var value) && value == label.Value);

    private static void CheckPorts(LintRun run, PeerAuthentication policy)
    {
        if (run.Workloads is null)
        {
            return;
        }

        var covered = run.Workloads.Where(known => known.Workload.Namespace == policy.Namespace && known.Workload.HasLabels(policy.Selector)).Select(known => known.Service).ToList();
        foreach (var (port, own) in policy.Ports)
        {
            if (covered.Count == 0 || covered.Exists(service => service.TargetPort == port))
            {
                continue;
            }

            var asService = covered.Find(service => service.Port == port);
            run.Warning(
                policy,
                own.Line,
                LintCodes.NoSuchWorkloadPort,
                string.Create(CultureInfo.InvariantCulture, $"PeerAuthentication {policy.Id} sets a mode for port {port}, which no workload that it selects listens on"),
                asService is null ? "keys of portLevelMtls are the workload's ports" : string.Create(CultureInfo.InvariantCulture, $"{port} is the service's port; the workload's is {asService.TargetPort}"));
        }
    }
}
