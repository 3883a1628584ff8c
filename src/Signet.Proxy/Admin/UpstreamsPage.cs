using System.Text.Json.Nodes;
using Signet.Hosting.Configuration;
using Signet.Policy;
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
        ["endpoints"] = new JsonArray(Endpoint(EndPointText.Format(route.Port.App))),
    };

    private static JsonObject Of(OutboundRoute route, ProxyCore core, Dictionary<string, int> open)
    {
        var service = route.Service;
        var tls = core.Model is { } model ? MeshDialer.TlsFor(service, core.Config.Workload, model) : null;
        return new JsonObject
        {
            ["name"] = service.Name,
            ["kind"] = "service",
            ["host"] = service.Host,
            ["port"] = service.Port,
            ["tls"] = tls is null ? null : new JsonObject { ["mode"] = tls.Mode.Word(), ["from"] = tls.From, ["reason"] = tls.Refusal ?? tls.Reason },
            ["clients"] = open.GetValueOrDefault(service.Name),
            ["keptConnections"] = route.Pool.Unused,
            ["endpoints"] = new JsonArray([.. service.Endpoints.Select(endpoint => Endpoint(EndPointText.Format(endpoint)))]),
        };
    }

    /// <summary>One place that can be connected to.</summary>
    private static JsonObject Endpoint(string address) => new() { ["address"] = address };
}
