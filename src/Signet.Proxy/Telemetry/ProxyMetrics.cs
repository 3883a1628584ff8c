using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using Signet.Policy;
using Signet.Proxy.Authorization;
using Signet.Proxy.Connections;
using Signet.Proxy.Tls;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Telemetry;

/// <summary>
/// What the proxy counts. Labels only take values that the operator or the code chose, never a peer, so their number is bounded.
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
    private readonly Counter<long> _requests;
    private readonly Counter<long> _denials;
    private readonly Counter<long> _bytes;
    private readonly Counter<long> _recordsDropped;
    private readonly Counter<long> _checks;
    private readonly Counter<long> _keyFetches;
    private readonly Counter<long> _passedThrough;

    public ProxyMetrics()
    {
        _opened = _meter.CreateCounter<long>("signet.proxy.connections.opened", description: "Connections accepted.");
        _closed = _meter.CreateCounter<long>("signet.proxy.connections.closed", description: "Connections ended.");
        _handshakes = _meter.CreateCounter<long>("signet.proxy.handshakes", description: "TLS handshakes ended; result is \"ok\" or a refusal reason, kind \"full\" or \"resumed\".");
        _refusals = _meter.CreateCounter<long>("signet.proxy.refusals", description: "Connections and requests refused or failed, by reason.");
        _requests = _meter.CreateCounter<long>("signet.proxy.requests", description: "HTTP requests answered.");
        _denials = _meter.CreateCounter<long>("signet.proxy.policy.denials", description: "Connections and requests denied, by the deciding policy.");
        _bytes = _meter.CreateCounter<long>("signet.proxy.bytes", unit: "By", description: "Payload moved.");
        _recordsDropped = _meter.CreateCounter<long>("signet.proxy.access_records.dropped", description: "Access log lines lost because the log could not keep up.");
        _checks = _meter.CreateCounter<long>("signet.proxy.authoriser.checks", description: "Questions to external authorisers, by provider and how they ended.");
        _passedThrough = _meter.CreateCounter<long>("signet.proxy.passthrough.connections", description: "Captured connections to places outside the mesh, carried on as they were.");
        _keyFetches = _meter.CreateCounter<long>("signet.proxy.token_keys.fetches", description: "Fetches of token issuers' keys; result is \"ok\" or \"failed\".");
    }

    /// <summary>Values that are read when somebody looks.</summary>
    internal void Observe(Func<DateTimeOffset?> certificateExpiry, Func<long> rotations, Func<int> connections)
    {
        _meter.CreateObservableGauge(
            "signet.proxy.certificate.expiry_timestamp", () => certificateExpiry()?.ToUnixTimeSeconds() ?? 0, unit: "s", description: "When the own SVID ends, in Unix time; 0 without one.");
        _meter.CreateObservableCounter("signet.proxy.rotations", rotations, description: "Times that the own SVID or the bundles were replaced.");
        _meter.CreateObservableGauge("signet.proxy.connections.live", connections, description: "Connections open now.");
    }

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
        new("kind", outcome is TlsOutcome.Established { Session.IsResumed: true } ? "resumed" : "full"));

    /// <summary>Counts what a finished record says.</summary>
    internal void Count(AccessRecord record)
    {
        var direction = new KeyValuePair<string, object?>("direction", Name(record.Direction));
        if (record.Refusal is { } refusal)
        {
            _refusals.Add(1, direction, new("reason", refusal.ToString()));
        }

        if (record.Refusal is RefusalReason.PolicyDenied or RefusalReason.PolicyChanged)
        {
            _denials.Add(1, direction, new("policy", record.Verdict?.Policy ?? "none"), new("stage", record.Verdict is { } verdict ? verdict.Stage.Word() : "none"));
        }

        if (record.Method is not null)
        {
            _requests.Add(1, direction, new("code", record.Code?.ToString(CultureInfo.InvariantCulture) ?? "none"), new("verdict", record.Refusal is RefusalReason.PolicyDenied or RefusalReason.TokenInvalid ? "deny" : "allow"));
        }

        _bytes.Add(record.BytesReceived, direction, new("way", "received"));
        _bytes.Add(record.BytesSent, direction, new("way", "sent"));
    }

    internal void Checked(string provider, CheckResult result) => _checks.Add(1, new("provider", provider), new("result", result.ToString()));

    internal void KeysFetched(bool ok) => _keyFetches.Add(1, new KeyValuePair<string, object?>("result", ok ? "ok" : "failed"));

    internal void PassedThrough() => _passedThrough.Add(1);

    internal void RecordsDropped(int count) => _recordsDropped.Add(count);

    public void Dispose() => _meter.Dispose();

    internal static string Name(Direction direction) => direction == Direction.Inbound ? "inbound" : "outbound";

    private static TagList Labels(LiveConnection live) => new([new("direction", Name(live.Direction)), new("listener", live.Listener)]);
}
