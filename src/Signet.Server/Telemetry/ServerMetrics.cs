using System.Diagnostics.Metrics;
using Signet.Authority.Rotation;
using Signet.Server.Attestation;
using Signet.Server.Registration;
using Signet.Server.Upkeep;

namespace Signet.Server.Telemetry;

/// <summary>What the server counts. Labels take values that the code chose, never a peer's, so their number is bounded. Thread-safe.</summary>
internal sealed class ServerMetrics : IDisposable
{
    private readonly Meter _meter = new("Signet.Server");
    private readonly Histogram<double> _signing;
    private readonly Counter<long> _signed;
    private readonly Counter<long> _tokens;
    private readonly Counter<long> _refused;
    private readonly Counter<long> _failures;
    private readonly Histogram<double> _acknowledged;
    private readonly Counter<long> _drift;
    private readonly Counter<long> _limited;
    private readonly Counter<long> _attestations;
    private int _connected;
    private int _desiredBroken;

    public ServerMetrics()
    {
        _signing = _meter.CreateHistogram(
            "signet.server.signing.duration",
            "s",
            "How long it took to sign, check and remember the certificates of one call.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1] });
        _signed = _meter.CreateCounter<long>("signet.server.certificates.signed", description: "Certificates signed.");
        _tokens = _meter.CreateCounter<long>("signet.server.tokens.signed", description: "JWT-SVIDs signed.");
        _refused = _meter.CreateCounter<long>("signet.server.calls.refused", description: "Calls that were not open to their caller.");
        _failures = _meter.CreateCounter<long>("signet.server.signing.errors", description: "Times that nothing could be signed: the authority has expired, its key failed, or the log could not remember.");
        _acknowledged = _meter.CreateHistogram(
            "signet.server.bundle.acknowledgement.duration",
            "s",
            "From the publication of a bundle until an agent said that it and its clients have applied it.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600] });
        _drift = _meter.CreateCounter<long>("signet.server.entries.drift", description: "Entries of the folder that were changed by hand and put back.");
        _meter.CreateObservableGauge("signet.server.entries.folder.broken", () => Volatile.Read(ref _desiredBroken), description: "1 while the folder of entries cannot be applied, else 0.");
        _limited = _meter.CreateCounter<long>("signet.server.calls.limited", description: "Calls that came faster than a limit allows.");
        _attestations = _meter.CreateCounter<long>("signet.server.attestations", description: "Nodes that proved themselves, or did not, by attestor and result.");
        _meter.CreateObservableUpDownCounter("signet.server.agents.connected", () => Volatile.Read(ref _connected), description: "Agents that hold their stream open.");
    }

    /// <summary>Values that are read when somebody looks.</summary>
    public void Observe(AuthorityRotation authorities, EntryDirectory entries, AgentDirectory agents, TimeProvider time)
    {
        _meter.CreateObservableGauge("signet.server.entries", () => entries.Entries.Count, description: "Registration entries.");
        _meter.CreateObservableGauge("signet.server.agents", () => agents.Agents.Count, description: "Attested agents.");
        _meter.CreateObservableGauge(
            "signet.server.authority.expiry",
            () => authorities.Current.Records
                .GroupBy(record => (record.Tier, record.State))
                .Select(group => new Measurement<double>(
                    group.Min(record => (record.Validity.NotAfter - time.GetUtcNow()).TotalSeconds),
                    new("tier", group.Key.Tier.ToString().ToLowerInvariant()),
                    new("state", group.Key.State.ToString().ToLowerInvariant()))),
            "s",
            "Time until the authority expires; the soonest of its tier and state.");
    }

    /// <summary>How far the rotation of the anchor is, and who holds it up.</summary>
    public void Observe(AuthorityRotation authorities, Acknowledgements acknowledgements, AnchorRotationKeeper anchor)
    {
        _meter.CreateObservableGauge("signet.server.certificates.revoked", () => authorities.Current.Ledger.RevokedCertificates.Count, description: "Certificates that are revoked one by one.");
        _meter.CreateObservableGauge("signet.server.bundle.sequence", () => (long)(authorities.Current.Bundle.Sequence ?? 0), description: "The sequence number of the trust bundle.");
        _meter.CreateObservableGauge("signet.server.bundle.agents.behind", () => acknowledgements.Behind().Count, description: "Agents that have not acknowledged the newest bundle for themselves and all of their clients.");
        _meter.CreateObservableGauge("signet.server.bundle.agents.fetched", acknowledgements.CountFetched, description: "Agents that acknowledge nothing, as those of SPIRE, and were seen to fetch the newest bundle and to come back.");
        _meter.CreateObservableGauge("signet.server.bundle.acknowledgement.lag", () => acknowledgements.Lag.TotalSeconds, "s", "Since when the slowest agent is behind the newest bundle; 0 when none is.");
        _meter.CreateObservableGauge(
            "signet.server.anchor.rotation.stage",
            () => authorities.Current.Rotation is { IsUnderWay: true } rotation ? (int)rotation.Stage + 1 : 0,
            description: "The rotation of the anchor: 0 none, 1 announced, 2 replacing.");
        _meter.CreateObservableGauge("signet.server.anchor.rotation.laggards", () => anchor.Laggards.Count, description: "Whom the stage of the anchor's rotation waits for.");
    }

    /// <summary>Counters without labels stand at zero from now on, so that the first time is seen to be one more.</summary>
    public void BeginAtZero()
    {
        foreach (var counter in new[] { _signed, _tokens, _refused, _failures, _drift })
        {
            counter.Add(0);
        }
    }

    public void Signed(int count, TimeSpan took)
    {
        _signed.Add(count);
        _signing.Record(took.TotalSeconds);
    }

    public void TokenSigned() => _tokens.Add(1);

    public void SigningFailed() => _failures.Add(1);

    /// <param name="took">Since the bundle was published.</param>
    public void Acknowledged(TimeSpan took) => _acknowledged.Record(took.TotalSeconds);

    public void DriftPutBack(int entries) => _drift.Add(entries);

    public void DesiredStateHolds(bool holds) => Volatile.Write(ref _desiredBroken, holds ? 0 : 1);

    public void Refused() => _refused.Add(1);

    /// <param name="limit">Its name in the configuration.</param>
    public void Limited(string limit) => _limited.Add(1, new KeyValuePair<string, object?>("limit", limit));

    public void Attested(string attestor, bool isAdmitted) => _attestations.Add(1, new("attestor", attestor), new("result", isAdmitted ? "admitted" : "refused"));

    public void AgentConnected() => Interlocked.Increment(ref _connected);

    public void AgentDisconnected() => Interlocked.Decrement(ref _connected);

    public void Dispose() => _meter.Dispose();
}
