using System.Globalization;
using System.Text.Json.Nodes;
using Signet.Policy.Objects;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Admin;

/// <summary>The services that are called and how their endpoints are doing, as JSON. Pure.</summary>
internal static class UpstreamStatePage
{
    public static JsonObject Of(IReadOnlyList<UpstreamState> states) => new() { ["upstreams"] = new JsonArray([.. states.Select(Of)]) };

    private static JsonObject Of(UpstreamState state) => new()
    {
        ["service"] = state.Service,
        ["host"] = state.Host,
        ["port"] = state.Port,
        ["rule"] = state.Rule,
        ["loadBalancer"] = state.Balancing switch { LoadBalancing.RoundRobin => "ROUND_ROBIN", LoadBalancing.Random => "RANDOM", _ => "LEAST_REQUEST" },
        ["connections"] = state.Connections,
        ["waiting"] = state.Waiting,
        ["active"] = state.Active,
        ["retries"] = state.Retries,
        ["retried"] = state.Retried,
        ["panic"] = state.IsPanicking,
        ["endpoints"] = new JsonArray([.. state.Endpoints.Select(Of)]),
    };

    private static JsonObject Of(UpstreamEndpointState endpoint) => new()
    {
        ["endpoint"] = endpoint.Endpoint,
        ["well"] = endpoint.IsWell,
        ["health"] = endpoint.Health,
        ["ejectedUntil"] = Time(endpoint.EjectedUntil),
        ["ejectedFor"] = endpoint.EjectedFor,
        ["connections"] = endpoint.Connections,
        ["active"] = endpoint.Active,
        ["connected"] = endpoint.Connected,
        ["failed"] = endpoint.Failed,
        ["ejected"] = endpoint.Ejected,
        ["answers"] = new JsonObject([.. endpoint.Answers.Select((count, i) => new KeyValuePair<string, JsonNode?>($"{i + 2}xx", count))]),
        ["lastFailure"] = endpoint.LastFailure,
        ["lastFailureAt"] = Time(endpoint.LastFailureAt),
    };

    private static string? Time(DateTimeOffset? time) => time?.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
}
