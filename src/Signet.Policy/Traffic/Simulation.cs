using Signet.Policy.Engine;
using Signet.Policy.Objects;

namespace Signet.Policy.Traffic;

/// <summary>
/// Replays recorded traffic against policies that are not in force yet, and counts per client and server what would change. Not
/// thread-safe. It keeps one line per edge, not per request.
/// </summary>
public sealed class Simulation(PolicySet policies)
{
    /// <summary>The most edges that are told apart; traffic of more is counted as left out.</summary>
    public const int MaxEdges = 100_000;

    private readonly Dictionary<string, (WorkloadPolicy Policy, bool IsUncertain)> _compiled = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Client, string Server, int Port), Tally> _edges = [];

    /// <summary>Requests on edges beyond <see cref="MaxEdges"/>.</summary>
    public long LeftOut { get; private set; }

    /// <summary>Counts one recorded request.</summary>
    public void Add(AccessLogEntry entry)
    {
        var server = entry.Destination.Namespace + "/" + (entry.Destination.Labels.GetValueOrDefault("app") ?? entry.Destination.ServiceAccount ?? "*");
        var client = entry.Facts.Peer?.Principal ?? entry.Facts.SourceIp?.ToString() ?? "unknown";
        var key = (client, server, entry.Facts.DestinationPort);
        if (!_edges.TryGetValue(key, out var tally))
        {
            if (_edges.Count == MaxEdges)
            {
                LeftOut++;
                return;
            }

            _edges.Add(key, tally = new Tally());
        }

        var (policy, isUncertain) = Compile(entry.Destination);
        var decision = Decide(policy, entry);
        tally.IsUncertain |= isUncertain;
        tally.Count(entry.Allowed, decision);
    }

    /// <summary>What would change, edges with the most new refusals first.</summary>
    public IReadOnlyList<SimulatedEdge> Edges() =>
    [
        .. _edges.Select(edge => new SimulatedEdge(
                edge.Key.Client, edge.Key.Server, edge.Key.Port, edge.Value.Requests, edge.Value.Refused, edge.Value.Admitted, edge.Value.IsUncertain, edge.Value.Reason))
            .OrderByDescending(edge => edge.NewlyRefused)
            .ThenByDescending(edge => edge.NewlyAdmitted)
            .ThenBy(edge => edge.Client, StringComparer.Ordinal)
            .ThenBy(edge => edge.Server, StringComparer.Ordinal)
            .ThenBy(edge => edge.Port),
    ];

    // What an external authoriser said then is in the recorded verdict; it is taken to say the same again.
    private static Decision Decide(WorkloadPolicy policy, AccessLogEntry entry)
    {
        var decision = policy.Decide(entry.Facts);
        while (decision.Ask is { } question)
        {
            entry.Facts.Answer(question, new CustomAnswer(entry.Allowed ? CustomOutcome.Allowed : CustomOutcome.Denied, "as recorded"));
            decision = policy.Decide(entry.Facts);
        }

        return decision;
    }

    private (WorkloadPolicy Policy, bool IsUncertain) Compile(Workload workload)
    {
        var key = workload.Key;
        if (!_compiled.TryGetValue(key, out var compiled))
        {
            var policy = policies.ForWorkload(workload);
            _compiled.Add(key, compiled = (policy, policy.Policies.Any(AsksForMoreThanLogsHold)));
        }

        return compiled;
    }

    private static bool AsksForMoreThanLogsHold(AuthorizationPolicy policy) =>
        policy is { DryRun: false, Action: not PolicyAction.Audit }
        && (policy.Action == PolicyAction.Custom || policy.Rules.Any(rule => rule.Clauses.Any(clause => clause is HeaderClause or ClaimClause or RequestPrincipalClause)));

    private sealed class Tally
    {
        public long Requests { get; private set; }

        public long Refused { get; private set; }

        public long Admitted { get; private set; }

        public bool IsUncertain { get; set; }

        public string? Reason { get; private set; }

        public void Count(bool allowedThen, Decision now)
        {
            Requests++;
            if (allowedThen == now.Allowed)
            {
                return;
            }

            Refused += now.Allowed ? 0 : 1;
            Admitted += now.Allowed ? 1 : 0;
            Reason = Reason is null || !now.Allowed ? now.Verdict.Reason : Reason;
        }
    }
}

/// <summary>A client and a server port, and what the new policies would change between them.</summary>
/// <param name="Client">The principal, or the address of a client without one.</param>
/// <param name="Server">Namespace and app.</param>
/// <param name="Port">The workload's port.</param>
/// <param name="Requests">How many were recorded.</param>
/// <param name="NewlyRefused">Allowed then, denied by the new policies.</param>
/// <param name="NewlyAdmitted">Denied then, allowed by the new policies.</param>
/// <param name="IsUncertain">Whether the policies ask for something that logs don't hold: headers, tokens, an external authoriser.</param>
/// <param name="Reason">Why the last change would happen, or null when nothing changes.</param>
public sealed record SimulatedEdge(string Client, string Server, int Port, long Requests, long NewlyRefused, long NewlyAdmitted, bool IsUncertain, string? Reason);
