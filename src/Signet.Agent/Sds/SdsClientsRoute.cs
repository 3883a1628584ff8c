using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Signet.Hosting.Admin;

namespace Signet.Agent.Sds;

/// <summary>What operators read at <c>/sds</c>: each client, what it was sent, and whether it uses it.</summary>
internal static class SdsClientsRoute
{
    /// <summary>How many clients one answer holds; those that refused something come first.</summary>
    public const int MaxClients = 1000;

    /// <summary>What an HTTP endpoint shows: of clients nothing to other machines, which have the metrics.</summary>
    public static IReadOnlyList<AdminRoute> At(IPEndPoint listen, SdsClients clients) => IPAddress.IsLoopback(listen.Address)
        ? [AdminRoute.Get("/sds", _ => AdminAnswer.Json(200, Json(clients.Views))) with { About = "SDS clients: what each was sent, accepted and rejected" }]
        : [];

    internal static JsonObject Json(IReadOnlyList<SdsClientView> views) => new()
    {
        ["clients"] = new JsonArray([.. views.OrderByDescending(view => view.Standing == SdsStanding.Rejected).Take(MaxClients).Select(Json)]),
        ["open"] = views.Count,
    };

    private static JsonObject Json(SdsClientView view) => new()
    {
        ["node"] = view.Node,
        ["userAgent"] = view.UserAgent,
        ["pid"] = view.Pid,
        ["uid"] = view.Uid,
        ["spiffeId"] = view.SpiffeId,
        ["protocol"] = view.Protocol,
        ["since"] = Text(view.Since),
        ["names"] = new JsonArray([.. view.Names.Select(name => JsonValue.Create(name))]),
        ["missing"] = new JsonObject(view.Missing.Select(pair => KeyValuePair.Create<string, JsonNode?>(pair.Key, pair.Value))),
        ["standing"] = WordOf(view.Standing),
        ["sent"] = view.Sent is { } sent ? new JsonObject { ["version"] = sent.Version, ["at"] = Text(sent.At) } : null,
        ["accepted"] = view.Accepted is { } accepted ? new JsonObject { ["version"] = accepted.Version, ["at"] = Text(accepted.At) } : null,
        ["rejected"] = view.Rejected is { } rejected ? new JsonObject { ["version"] = rejected.Version, ["at"] = Text(rejected.At), ["problem"] = rejected.Problem } : null,
        ["responses"] = view.Responses,
        ["rejections"] = view.Rejections,
    };

    /// <summary>The standing in a word, as metrics and JSON have it.</summary>
    public static string WordOf(SdsStanding standing) => standing switch
    {
        SdsStanding.Waiting => "waiting",
        SdsStanding.Accepted => "accepted",
        SdsStanding.Rejected => "rejected",
        _ => "nothing",
    };

    private static string Text(DateTimeOffset at) => at.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}
