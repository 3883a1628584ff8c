using System.Diagnostics.Metrics;
using Signet.Agent.Sds;

namespace Signet.Agent.Telemetry;

/// <summary>What is counted of SDS. Identities stand in labels only as far as <see cref="MaxIdentities"/>. Thread-safe.</summary>
internal sealed class SdsMetrics : IDisposable
{
    /// <summary>How many SPIFFE IDs are told apart; the others count together.</summary>
    public const int MaxIdentities = 200;

    private readonly Meter _meter = new("Signet.Agent");
    private readonly Counter<long> _accepted;
    private readonly Counter<long> _rejected;
    private readonly Counter<long> _missed;

    public SdsMetrics(SdsClients clients)
    {
        _accepted = _meter.CreateCounter<long>("signet.agent.sds.accepted", description: "SDS responses that a client took over.");
        _rejected = _meter.CreateCounter<long>("signet.agent.sds.rejected", description: "SDS responses that a client refused.");
        _missed = _meter.CreateCounter<long>("signet.agent.sds.missing", description: "Names that SDS clients asked for and did not get.");
        _meter.CreateObservableGauge("signet.agent.sds.streams", () => Streams(clients.Views), description: "Open SDS streams, by the client's SPIFFE ID and by how it stands with what it was sent last.");
    }

    public void Accepted() => _accepted.Add(1);

    public void Rejected() => _rejected.Add(1);

    public void Missed(int count) => _missed.Add(count);

    public void Dispose() => _meter.Dispose();

    internal static IEnumerable<Measurement<long>> Streams(IReadOnlyList<SdsClientView> views)
    {
        var named = views.Select(view => view.SpiffeId).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).Take(MaxIdentities).ToHashSet(StringComparer.Ordinal);
        return views
            .GroupBy(view => (Id: named.Contains(view.SpiffeId) ? view.SpiffeId : "others", Standing: SdsClientsRoute.WordOf(view.Standing)))
            .Select(group => new Measurement<long>(group.Count(), new KeyValuePair<string, object?>("client", group.Key.Id), new KeyValuePair<string, object?>("standing", group.Key.Standing)));
    }
}
