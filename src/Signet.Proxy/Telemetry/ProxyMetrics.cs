using System.Diagnostics;
using System.Diagnostics.Metrics;
using Signet.Hosting.Telemetry;
using Signet.Policy;
using Signet.Proxy.Authorization;
using Signet.Proxy.Connections;
using Signet.Proxy.Tls;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Telemetry;

/// <summary>
/// What the proxy counts. Labels here only take values that the operator or the code chose, never a peer, so their number is bounded; where
/// peers have a say, <see cref="TrafficMetrics"/> bounds it.
/// </summary>
public sealed class ProxyMetrics : IDisposable
{
    /// <summary>The meter's name, for whoever exports.</summary>
    public const string MeterName = "Signet.Proxy";

    private readonly Meter _meter = new(MeterName);
    private readonly Counter<long> _opened;
    private readonly Counter<long> _closed;
    private readonly Counter<long> _handshakes;
    private readonly Counter<long> _refusals;
    private readonly Counter<long> _denials;
    private readonly Counter<long> _recordsDropped;
    private readonly Counter<long> _spans;
    private readonly Counter<long> _checks;
    private readonly Counter<long> _keyFetches;
    private readonly Counter<long> _passedThrough;
    private readonly Counter<long> _handovers;

    public ProxyMetrics()
    {
        _opened = _meter.CreateCounter<long>("signet.proxy.connections.opened", description: "Connections accepted.");
        _closed = _meter.CreateCounter<long>("signet.proxy.connections.closed", description: "Connections ended.");
        _handshakes = _meter.CreateCounter<long>("signet.proxy.handshakes", description: "TLS handshakes ended; result is \"ok\" or a refusal reason, kind \"full\" or \"resumed\".");
        _refusals = _meter.CreateCounter<long>("signet.proxy.refusals", description: "Connections and requests refused or failed, by reason.");
        _denials = _meter.CreateCounter<long>("signet.proxy.policy.denials", description: "Connections and requests denied, by the deciding policy.");
        _recordsDropped = _meter.CreateCounter<long>("signet.proxy.access_records.dropped", description: "Access log lines lost because the log could not keep up.");
        _spans = _meter.CreateCounter<long>("signet.proxy.spans", description: "Spans of sampled requests; result is \"exported\" or \"dropped\".");
        _checks = _meter.CreateCounter<long>("signet.proxy.authoriser.checks", description: "Questions to external authorisers, by provider and how they ended.");
        _passedThrough = _meter.CreateCounter<long>("signet.proxy.passthrough.connections", description: "Captured connections to places outside the mesh, carried on as they were.");
        _handovers = _meter.CreateCounter<long>("signet.proxy.handovers", description: "Handovers to another process, by result: \"taken\" by this one, \"given\" or \"refused\" by it.");
        _keyFetches = _meter.CreateCounter<long>("signet.proxy.token_keys.fetches", description: "Fetches of token issuers' keys; result is \"ok\" or \"failed\".");
    }

    /// <summary>Whether to collect an instrument for this proxy: what another one in the same process counts is its own.</summary>
    internal bool Wants(Instrument instrument) => MetricsCollector.IsUsual(instrument) && (instrument.Meter.Name != MeterName || instrument.Meter == _meter);

    /// <summary>Values that are read when somebody looks.</summary>
    internal void Observe(IdentityState identity, LiveConnections connections)
    {
        _meter.CreateObservableGauge(
            "signet.proxy.certificate.expiry_timestamp", () => identity.Current?.ExpiresAt.ToUnixTimeSeconds() ?? 0, unit: "s", description: "When the own SVID ends, in Unix time; 0 without one.");
        _meter.CreateObservableGauge(
            "signet.proxy.bundle.expiry_timestamp", () => BundleEnds(identity), unit: "s", description: "When the last authority of a trust domain ends, in Unix time; from then on nobody of it is believed.");
        _meter.CreateObservableCounter("signet.proxy.rotations", () => identity.Rotations, description: "Times that the own SVID or the bundles were replaced.");
        _meter.CreateObservableGauge("signet.proxy.connections.live", () => Live(connections), description: "Connections open now, those in tunnels among them.");
    }

    /// <summary>Which policies are in force.</summary>
    /// <param name="revision">The revision of the agent's configuration; 0 for a folder.</param>
    /// <param name="isNewest">Whether they are the newest, as far as the proxy knows.</param>
    internal void ObservePolicies(Func<ulong> revision, Func<bool> isNewest)
    {
        _meter.CreateObservableGauge("signet.proxy.policy.revision", () => (long)revision(), description: "The revision of the agent's configuration that is in force; 0 before the first, and with a policy folder.");
        _meter.CreateObservableGauge("signet.proxy.policy.current", () => isNewest() ? 1 : 0, description: "1 while the policies in force are the newest, as far as the proxy knows; 0 when they were refused, or the folder or the agent is out of reach.");
    }

    /// <summary>What went through the proxy, by who, where to and how it ended.</summary>
    internal TrafficMetrics Traffic { get; } = new();

    /// <summary>How services and their endpoints are; their number is that of the configuration.</summary>
    internal void ObserveUpstreams(Func<IReadOnlyList<UpstreamState>> states)
    {
        Observe("connections", "Connections to an endpoint, open now.", endpoint => endpoint.Connections);
        Observe("active", "Requests and relayed connections at an endpoint, under way now.", endpoint => endpoint.Active);
        Observe("well", "1 while an endpoint is neither left out nor fails its checks.", endpoint => endpoint.IsWell ? 1 : 0);
        Count("connected", "Connections to an endpoint that came about.", endpoint => endpoint.Connected);
        Count("failures", "Connections to an endpoint that did not come about, and requests without an answer.", endpoint => endpoint.Failed);
        Count("ejections", "Times that an endpoint was left out by outlier detection.", endpoint => endpoint.Ejected);
        _meter.CreateObservableCounter("signet.proxy.upstream.retries", () => states().Select(state => new Measurement<long>(state.Retried, Service(state))), description: "Requests and connections tried again.");
        _meter.CreateObservableGauge("signet.proxy.upstream.waiting", () => states().Select(state => new Measurement<long>(state.Waiting, Service(state))), description: "Requests that wait for a connection now.");
        _meter.CreateObservableCounter(
            "signet.proxy.upstream.answers",
            () => Endpoints((state, endpoint) => Enumerable.Range(2, 4).Select(hundreds => new Measurement<long>(endpoint.Answers[hundreds - 2], [.. Labels(state, endpoint), new("class", $"{hundreds}xx")]))),
            description: "Answers of an endpoint, by class.");

        void Observe(string name, string description, Func<UpstreamEndpointState, long> value) =>
            _meter.CreateObservableGauge($"signet.proxy.upstream.{name}", () => Endpoints((state, endpoint) => [new Measurement<long>(value(endpoint), Labels(state, endpoint))]), description: description);

        void Count(string name, string description, Func<UpstreamEndpointState, long> value) =>
            _meter.CreateObservableCounter($"signet.proxy.upstream.{name}", () => Endpoints((state, endpoint) => [new Measurement<long>(value(endpoint), Labels(state, endpoint))]), description: description);

        IEnumerable<Measurement<long>> Endpoints(Func<UpstreamState, UpstreamEndpointState, IEnumerable<Measurement<long>>> measure) =>
            states().SelectMany(state => state.Endpoints.SelectMany(endpoint => measure(state, endpoint)));

        static KeyValuePair<string, object?> Service(UpstreamState state) => new("service", state.Service);

        static KeyValuePair<string, object?>[] Labels(UpstreamState state, UpstreamEndpointState endpoint) => [Service(state), new("endpoint", endpoint.Endpoint)];
    }

    internal void Opened(LiveConnection live) => _opened.Add(1, Labels(live));

    internal void Closed(LiveConnection live, AccessRecord record)
    {
        var labels = Labels(live);
        labels.Add("reason", record.Refusal?.ToString() ?? "none");
        _closed.Add(1, labels);
    }

    internal void Handshake(Direction direction, TlsOutcome outcome) => _handshakes.Add(
        1,
        new("side", direction == Direction.Inbound ? "server" : "client"),
        new("result", (outcome as TlsOutcome.Refused)?.Reason.ToString() ?? "ok"),
        new("kind", outcome is TlsOutcome.Established { Session.IsResumed: true } ? "resumed" : "full"),
        new("tls_version", (outcome as TlsOutcome.Established)?.Session.Version ?? "none"));

    /// <summary>Counts what a finished record says.</summary>
    internal void Count(AccessRecord record)
    {
        if (record.Refusal is { } refusal)
        {
            var direction = new KeyValuePair<string, object?>("direction", Name(record.Direction));
            _refusals.Add(1, direction, new("reason", refusal.ToString()));
            if (refusal is RefusalReason.PolicyDenied or RefusalReason.PolicyChanged)
            {
                _denials.Add(1, direction, new("policy", record.Verdict?.Policy ?? "none"), new("stage", record.Verdict is { } verdict ? verdict.Stage.Word() : "none"));
            }
        }

        Traffic.Count(record);
    }

    internal void Checked(string provider, CheckResult result) => _checks.Add(1, new("provider", provider), new("result", result.ToString()));

    internal void KeysFetched(bool ok) => _keyFetches.Add(1, new KeyValuePair<string, object?>("result", ok ? "ok" : "failed"));

    internal void HandedOver(string result) => _handovers.Add(1, new KeyValuePair<string, object?>("result", result));

    internal void PassedThrough() => _passedThrough.Add(1);

    internal void SpansExported(int count) => _spans.Add(count, new KeyValuePair<string, object?>("result", "exported"));

    internal void SpansDropped(int count) => _spans.Add(count, new KeyValuePair<string, object?>("result", "dropped"));

    internal void RecordsDropped(int count) => _recordsDropped.Add(count);

    public void Dispose() => _meter.Dispose();

    internal static string Name(Direction direction) => direction == Direction.Inbound ? "inbound" : "outbound";

    private static IEnumerable<Measurement<long>> BundleEnds(IdentityState identity) => (identity.Current?.Context.Bundles.All ?? [])
        .Where(bundle => bundle.Authorities.Count > 0)
        .Select(bundle => new Measurement<long>(
            bundle.Authorities.Max(authority => authority.NotAfter).ToUnixTimeSeconds(), new KeyValuePair<string, object?>("trust_domain", bundle.TrustDomain.Name)));

    private static IEnumerable<Measurement<int>> Live(LiveConnections connections) => connections.All
        .CountBy(live => (live.Direction, Protocol: live.Protocol ?? "unknown", State: live.IsIdle ? "idle" : "active"))
        .Select(same => new Measurement<int>(same.Value, new("direction", Name(same.Key.Direction)), new("protocol", same.Key.Protocol), new("state", same.Key.State)));

    private static TagList Labels(LiveConnection live) => new([new("direction", Name(live.Direction)), new("listener", live.Listener)]);
}
