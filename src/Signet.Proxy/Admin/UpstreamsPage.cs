using System.Text.Json.Nodes;
using Signet.Hosting.Configuration;
using Signet.Policy;
using Signet.Policy.Objects;
using Signet.Proxy.Listeners;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Admin;

/// <summary><c>/upstreams</c>: where requests and connections go on to.</summary>
internal static class UpstreamsPage
{
    public static JsonObject Of(ProxyCore core, IReadOnlyList<InboundRoute> ports, IReadOnlyList<OutboundRoute> services)
    {
        var open = core.Connections.All.CountBy(live => live.Listener).ToDictionary(StringComparer.Ordinal);
        return new JsonObject
        {
            ["upstreams"] = new JsonArray([.. ports.Select(port => Of(port, open)), .. services.Select(service => Of(service, core, open))]),
            ["tunnels"] = core.Tunnels.Sum(tunnels => tunnels.Tunnels),
            ["nextPage"] = null,
        };
    }

    private static JsonObject Of(InboundRoute route, Dictionary<string, int> open) => new()
    {
        ["name"] = route.Port.Name,
        ["kind"] = "application",
        ["host"] = null,
        ["port"] = route.Port.Port,
        ["tls"] = null,
        ["clients"] = open.GetValueOrDefault(route.Port.Name),
        ["keptConnections"] = route.Pool.Unused,
        ["endpoints"] = new JsonArray(new JsonObject { ["address"] = EndPointText.Format(route.Port.App) }),
    };

    private static JsonObject Of(OutboundRoute route, ProxyCore core, Dictionary<string, int> open)
    {
        var service = route.Service;
        var state = core.Upstreams.Of(service).State();
        var tls = core.Model is { } model ? MeshDialer.TlsFor(service, core.Config.Workload, model) : null;
        return new JsonObject
        {
            ["name"] = service.Name,
            ["kind"] = "service",
            ["host"] = service.Host,
            ["port"] = service.Port,
            ["tls"] = tls is null ? null : new JsonObject { ["mode"] = tls.Mode.Word(), ["from"] = tls.From, ["reason"] = tls.Refusal ?? tls.Reason },
            ["rule"] = state.Rule,
            ["loadBalancer"] = state.Balancing switch { LoadBalancing.RoundRobin => "ROUND_ROBIN", LoadBalancing.Random => "RANDOM", _ => "LEAST_REQUEST" },
            ["clients"] = open.GetValueOrDefault(service.Name),
            ["connections"] = state.Connections,
            ["keptConnections"] = route.Pool.Unused,
            ["waiting"] = state.Waiting,
            ["active"] = state.Active,
            ["retries"] = state.Retries,
            ["retried"] = state.Retried,
            ["panic"] = state.IsPanicking,
            ["endpoints"] = new JsonArray([.. state.Endpoints.Select(Of)]),
        };
    }

    private static JsonObject Of(UpstreamEndpointState endpoint) => new()
    {
        ["address"] = endpoint.Endpoint,
        ["well"] = endpoint.IsWell,
        ["health"] = endpoint.Health,
        ["ejectedUntil"] = endpoint.EjectedUntil is { } until ? AdminPages.Time(until) : null,
        ["ejectedFor"] = endpoint.EjectedFor,
        ["connections"] = endpoint.Connections,
        ["active"] = endpoint.Active,
        ["connected"] = endpoint.Connected,
        ["failed"] = endpoint.Failed,
        ["ejected"] = endpoint.Ejected,
        ["answers"] = new JsonObject([.. endpoint.Answers.Select((count, i) => new KeyValuePair<string, JsonNode?>($"{i + 2}xx", count))]),
        ["lastFailure"] = endpoint.LastFailure,
        ["lastFailureAt"] = endpoint.LastFailureAt is { } at ? AdminPages.Time(at) : null,
    };
}
