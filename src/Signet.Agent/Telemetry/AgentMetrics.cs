using System.Diagnostics.Metrics;
using Signet.Agent.Identities;
using Signet.Agent.WorkloadApi;

namespace Signet.Agent.Telemetry;

/// <summary>What the agent counts. Labels take values that the code chose, so their number is bounded. Thread-safe.</summary>
internal sealed class AgentMetrics : IDisposable
{
    private readonly Meter _meter = new("Signet.Agent");
    private readonly Counter<long> _renewed;
    private readonly Counter<long> _failed;
    private readonly Counter<long> _attested;
    private readonly Counter<long> _membershipFailed;
    private readonly Counter<long> _asked;

    public AgentMetrics()
    {
        _renewed = _meter.CreateCounter<long>("signet.agent.svids.renewed", description: "SVIDs signed for workloads.");
        _failed = _meter.CreateCounter<long>("signet.agent.renewals.failed", description: "Calls to the server for SVIDs that failed; the valid ones stay in use.");
        _attested = _meter.CreateCounter<long>("signet.agent.workloads.attested", description: "Workloads that called, by outcome.");
        _asked = _meter.CreateCounter<long>("signet.agent.signing.calls", description: "Calls to the server for SVIDs, each for up to 200.");
        _membershipFailed = _meter.CreateCounter<long>("signet.agent.membership.failed", description: "Attempts to get the agent's own certificate that failed: to attest, or to renew one that is still valid.");
    }

    /// <summary>Values that are read when somebody looks.</summary>
    public void Observe(AgentIdentity identity, IdentityCache cache, ClientLedger clients, NodeSync sync, IdentityKeeper keeper, TimeProvider time)
    {
        _meter.CreateObservableGauge("signet.agent.svids", () => cache.Current.Held.Count, description: "Workload SVIDs held.");
        _meter.CreateObservableGauge("signet.agent.svids.bytes", () => cache.Current.Held.Values.Sum(held => (long)held.Bytes), "By", "What the workload SVIDs take in memory, about.");
        _meter.CreateObservableGauge("signet.agent.svids.without.room", () => keeper.WithoutRoom, description: "SVIDs that workloads wait for and for which the cache has no room.");
        _meter.CreateObservableGauge("signet.agent.entries", () => cache.Current.View.Entries.Length, description: "Entries that this agent may serve.");
        _meter.CreateObservableGauge("signet.agent.bundle.sequence", () => (long)(cache.Current.View.Own?.Sequence ?? 0), description: "The sequence number of the trust bundle that the agent serves.");
        _meter.CreateObservableGauge(
            "signet.agent.bundle.clients.behind",
            () => clients.Standing(cache.Current, identity.Credential?.Svid).Lagging.Length,
            description: "Clients on the agent's socket that have not applied that bundle.");
        _meter.CreateObservableGauge("signet.agent.server.connected", () => sync.Problem.Length == 0 ? 1 : 0, description: "Whether the server's stream is open.");
        _meter.CreateObservableGauge(
            "signet.agent.certificate.expiry",
            () => identity.Credential is { } own ? (own.Svid.NotAfter - time.GetUtcNow()).TotalSeconds : 0,
            "s",
            "Time until the agent's own certificate expires; 0 before it has joined.");
        _meter.CreateObservableGauge(
            "signet.agent.svid.expiry",
            () => cache.Current.Held.Values.Select(held => (held.Svid.NotAfter - time.GetUtcNow()).TotalSeconds).DefaultIfEmpty(0).Min(),
            "s",
            "Time until the first of the workload SVIDs expires; 0 when there is none.");
    }

    public void Asked() => _asked.Add(1);

    public void Renewed(int count) => _renewed.Add(count);

    public void RenewalFailed() => _failed.Add(1);

    /// <param name="outcome"><c>served</c>, <c>no_entry</c> or <c>failed</c>.</param>
    public void Attested(string outcome) => _attested.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    /// <param name="attempt"><c>attest</c> or <c>renew</c>.</param>
    public void MembershipFailed(string attempt) => _membershipFailed.Add(1, new KeyValuePair<string, object?>("attempt", attempt));

    public void Dispose() => _meter.Dispose();
}
