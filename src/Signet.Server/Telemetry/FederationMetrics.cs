using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Signet.Identity.Spiffe;
using Signet.Server.Federation;

namespace Signet.Server.Telemetry;

/// <summary>What federation counts. Trust domains as labels are those that an operator chose, and bounded in number. Thread-safe.</summary>
internal sealed class FederationMetrics : IDisposable
{
    private readonly Meter _meter = new("Signet.Server");
    private readonly Counter<long> _refreshes;
    private readonly ConcurrentDictionary<TrustDomain, DateTimeOffset> _heardAt = new();

    public FederationMetrics() => _refreshes = _meter.CreateCounter<long>("signet.server.federation.refreshes", description: "Attempts to fetch another trust domain's bundle, by result.");

    /// <summary>Values that are read when somebody looks.</summary>
    public void Observe(FederationRelationships relationships, FederatedBundles bundles, TimeProvider time)
    {
        _meter.CreateObservableGauge("signet.server.federation.relationships", () => relationships.Current.Count, description: "Relationships with other trust domains.");
        _meter.CreateObservableGauge("signet.server.federation.bundles", () => bundles.Current.Count, description: "Bundles of other trust domains.");
        _meter.CreateObservableGauge(
            "signet.server.federation.bundle.age",
            () => _heardAt.Select(pair => new Measurement<double>((time.GetUtcNow() - pair.Value).TotalSeconds, new KeyValuePair<string, object?>("trust_domain", pair.Key.Name))),
            "s",
            "Time since the trust domain's endpoint last answered with a bundle that holds, since this server started.");
    }

    public void Refreshed(TrustDomain trustDomain, RefreshOutcome outcome, DateTimeOffset now)
    {
        _refreshes.Add(1, new KeyValuePair<string, object?>("result", outcome.ToString().ToLowerInvariant()));
        if (outcome is RefreshOutcome.Changed or RefreshOutcome.Unchanged)
        {
            _heardAt[trustDomain] = now;
        }
    }

    public void Forget(TrustDomain trustDomain) => _heardAt.TryRemove(trustDomain, out _);

    public void Dispose() => _meter.Dispose();
}
