using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json.Nodes;
using Signet.Hosting.Admin;
using Signet.Hosting.Configuration;
using Signet.Identity;
using Signet.Identity.Spiffe;
using Signet.Proxy.Connections;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.Admin;

/// <summary><c>/connections</c>: those that are open, filtered, sorted and bounded.</summary>
internal static class ConnectionsPage
{
    private const int DefaultLimit = 1000;
    private const int MaxLimit = 10_000;

    private static readonly string[] Names = ["direction", "listener", "protocol", "peer", "policy", "state", "sort", "limit"];

    public static AdminAnswer Answer(ProxyCore core, IReadOnlyDictionary<string, string> query)
    {
        if (!TryRead(query, out var wanted, out var problem))
        {
            return AdminAnswer.Problem(400, problem, $"what can be asked for: {string.Join(", ", Names)}");
        }

        var matching = core.Connections.All.Where(wanted.Matches).ToList();
        return AdminAnswer.Json(200, new JsonObject
        {
            ["connections"] = new JsonArray([.. wanted.Sort(matching).Take(wanted.Limit).Select(Of)]),
            ["total"] = matching.Count,
            ["nextPage"] = null,
        });
    }

    private static JsonObject Of(LiveConnection live) => new()
    {
        ["id"] = live.Id,
        ["direction"] = ProxyMetrics.Name(live.Direction),
        ["listener"] = live.Listener,
        ["protocol"] = live.Protocol,
        ["tunnel"] = live.Tunnel,
        ["source"] = live.Source.ToString(),
        ["peer"] = live.Peer?.Id?.Uri,
        ["peerHost"] = live.Peer?.Host,
        ["peerSerial"] = live.Peer?.Leaf.SerialHex,
        ["peerExpires"] = live.Peer is { } peer ? AdminPages.Time(peer.ExpiresAt) : null,
        ["tls"] = live.Tls is { } tls ? new JsonObject { ["version"] = tls.Version, ["cipher"] = tls.CipherSuite, ["alpn"] = tls.Alpn, ["resumed"] = tls.IsResumed } : null,
        ["policy"] = live.Policy,
        ["idle"] = live.IsIdle,
        ["opened"] = AdminPages.Time(live.Opened),
        ["ageSeconds"] = Math.Round(live.Age.TotalSeconds, 3),
        ["bytesIn"] = live.Received,
        ["bytesOut"] = live.Sent,
    };

    private static bool TryRead(IReadOnlyDictionary<string, string> query, [NotNullWhen(true)] out Wanted? wanted, out string problem)
    {
        wanted = null;
        if (query.Keys.FirstOrDefault(name => !Names.Contains(name, StringComparer.Ordinal)) is { } unknown)
        {
            problem = $"\"{Printable.Of(unknown)}\" cannot be asked for" + (NearestWord.To(unknown, Names) is { } near ? $"; did you mean \"{near}\"?" : "");
            return false;
        }

        var limit = DefaultLimit;
        problem = Text("direction") is not (null or "inbound" or "outbound") ? "direction is inbound or outbound"
            : Text("state") is not (null or "idle" or "active") ? "state is idle or active"
            : Text("sort") is not (null or "id" or "age" or "bytes" or "peer") ? "sort is id (the oldest first), age (the youngest first), bytes (the most first) or peer"
            : Text("limit") is { } text && !(int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out limit) && limit is > 0 and <= MaxLimit) ? $"limit is a number from 1 to {MaxLimit}"
            : "";
        wanted = new Wanted(Text("direction"), Text("listener"), Text("protocol"), Text("peer"), Text("policy"), Text("state"), Text("sort"), limit);
        return problem.Length == 0;

        string? Text(string name) => query.GetValueOrDefault(name);
    }

    private sealed record Wanted(string? Direction, string? Listener, string? Protocol, string? Peer, string? Policy, string? State, string? Order, int Limit)
    {
        public bool Matches(LiveConnection live) =>
            (Direction is null || Direction == ProxyMetrics.Name(live.Direction))
            && (Listener is null || Listener == live.Listener)
            && (Protocol is null || Protocol == live.Protocol)
            && (Policy is null || Policy == live.Policy)
            && (State is null || State == "idle" == live.IsIdle)
            && (Peer is null || AccessFilter.IsName(Peer, live.Peer) || AccessFilter.IsName(Peer, live.Source.Address.ToString()));

        public IEnumerable<LiveConnection> Sort(IReadOnlyList<LiveConnection> connections) => Order switch
        {
            "age" => connections.OrderByDescending(live => live.Id),
            "bytes" => connections.OrderByDescending(live => live.Received + live.Sent),
            "peer" => connections.OrderBy(live => live.Peer?.Id?.Uri, StringComparer.Ordinal).ThenBy(live => live.Id),
            _ => connections,
        };
    }
}
