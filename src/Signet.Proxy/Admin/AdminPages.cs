using System.Globalization;
using System.Text.Json.Nodes;
using Signet.Hosting.Admin;
using Signet.Hosting.Logging;
using Signet.Hosting.Telemetry;
using Signet.Proxy.Listeners;
using Signet.Proxy.Probes;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.Admin;

/// <summary>What pages are about beside the core.</summary>
/// <param name="Listeners">Where connections come in.</param>
/// <param name="Ports">The application's ports.</param>
/// <param name="Services">The services that it calls.</param>
/// <param name="Levels">How much is logged; null when that cannot be changed.</param>
internal sealed record AdminSubjects(IReadOnlyList<Listener> Listeners, IReadOnlyList<InboundRoute> Ports, IReadOnlyList<OutboundRoute> Services, ILogLevels? Levels);

/// <summary>What the proxy tells its operator. Everything is made from certificates, models and counters: no page can reach a key.</summary>
internal sealed class AdminPages(ProxyCore core, AdminSubjects subjects, MetricsCollector metrics, ReadinessBoard readiness, Func<Task> drain)
{
    /// <summary>For the loopback endpoint.</summary>
    public IReadOnlyList<AdminRoute> All
    {
        get
        {
            AdminRoute[] routes =
            [
                AdminRoute.Get("/certs", _ => AdminAnswer.Json(200, CertificatesPage.Of(core))) with { About = "what is presented and trusted, until when, and where it comes from" },
                AdminRoute.Get("/config", _ => AdminAnswer.Json(200, ConfigPage.Of(core))) with { About = "the configuration and the policies in force" },
                AdminRoute.Get("/connections", request => ConnectionsPage.Answer(core, request.Query)) with { About = "connections that are open; ?direction= &listener= &protocol= &peer= &policy= &state= &sort= &limit=" },
                AdminRoute.Get("/listeners", _ => AdminAnswer.Json(200, Listeners())) with { About = "where connections come in" },
                AdminRoute.Get("/upstreams", _ => AdminAnswer.Json(200, UpstreamsPage.Of(core, subjects.Ports, subjects.Services))) with { About = "the application, services, their endpoints, and connections that are kept" },
                AdminRoute.Get("/stats", _ => AdminAnswer.Json(200, Stats())) with { About = "the most important counters" },
                PrometheusText.Route(metrics),
                AdminRoute.Get("/watch", request => WatchPage.Answer(core.AccessLog.Taps, request.Query)) with { About = "access records while they happen; ?direction= &source= &destination= &method= &path= &code= &reason= &verdict= &count=" },
                AdminRoute.Get("/logging", _ => LoggingPage.Show(subjects.Levels)) with { About = "how much is logged" },
                AdminRoute.Post("/logging", (request, _) => new(LoggingPage.Change(subjects.Levels, request.Body, core.Time))) with { About = "changes it: {\"level\": \"debug\", \"for\": \"10m\"}; {\"level\": null} takes it back" },
                AdminRoute.Post("/drain", DrainAsync) with { About = "takes no new connections and lets those under way end" },
                AdminRoute.Ready(readiness),
                AdminRoute.Live,
            ];
            return [AdminRoute.Index(routes), .. routes];
        }
    }

    /// <summary>For probes from another machine.</summary>
    public IReadOnlyList<AdminRoute> ForProbes => [AdminRoute.Live, AdminRoute.Ready(readiness), .. core.Config.Probes.Select(probe => new AppProbe(probe, core.Time).Route)];

    /// <summary>For scrapers from another machine.</summary>
    public IReadOnlyList<AdminRoute> ForScrapers => [PrometheusText.Route(metrics)];

    internal static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode?)text)]);

    internal static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    private JsonObject Listeners() => new()
    {
        ["listeners"] = new JsonArray([.. subjects.Listeners.OrderBy(listener => listener.Name, StringComparer.Ordinal).Select(listener => new JsonObject
        {
            ["name"] = listener.Name,
            ["direction"] = ProxyMetrics.Name(listener.Direction),
            ["address"] = listener.LocalEndPoint.ToString(),
            ["accepting"] = listener.IsAccepting,
            ["connections"] = listener.Count,
            ["limit"] = core.Config.Limits.Connections,
        })]),
        ["nextPage"] = null,
    };

    private JsonObject Stats()
    {
        var totals = core.Metrics.Traffic.Totals();
        return new()
        {
            ["connections"] = core.Connections.Count,
            ["idleConnections"] = core.Connections.All.Count(live => live.IsIdle),
            ["requests"] = totals.Requests,
            ["denied"] = totals.Denied,
            ["bytesIn"] = totals.BytesIn,
            ["bytesOut"] = totals.BytesOut,
            ["draining"] = core.IsDraining,
            ["rotations"] = core.Identity.Rotations,
            ["certificateSecondsLeft"] = core.Identity.Current is { } identity ? (long)(identity.ExpiresAt - core.Time.GetUtcNow()).TotalSeconds : null,
            ["handshakeTurnsFree"] = new JsonObject { ["inbound"] = core.InboundHandshakes.Free, ["outbound"] = core.OutboundHandshakes.Free },
            ["tunnels"] = core.Tunnels.Sum(tunnels => tunnels.Tunnels),
            ["loops"] = core.Loops.All.Count,
            ["memoryBytes"] = Environment.WorkingSet,
        };
    }

    private async ValueTask<AdminAnswer> DrainAsync(AdminRequest request, CancellationToken cancellationToken)
    {
        await drain().ConfigureAwait(false);
        return AdminAnswer.Json(202, new JsonObject { ["draining"] = true, ["connections"] = core.Connections.Count });
    }
}
