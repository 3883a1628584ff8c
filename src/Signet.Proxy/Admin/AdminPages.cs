using System.Globalization;
using System.Text.Json.Nodes;
using Signet.Hosting.Admin;
using Signet.Hosting.Configuration;
using Signet.Hosting.Telemetry;
using Signet.Identity.X509;
using Signet.Policy;
using Signet.Proxy.Config;
using Signet.Proxy.Connections;
using Signet.Proxy.Listeners;
using Signet.Proxy.Probes;
using Signet.Proxy.Telemetry;

namespace Signet.Proxy.Admin;

/// <summary>What the proxy tells its operator. Everything is made from certificates, models and counters: no page can reach a key.</summary>
internal sealed class AdminPages(ProxyCore core, IReadOnlyList<Listener> listeners, MetricsCollector metrics, ReadinessBoard readiness, Func<Task> drain)
{
    /// <summary>For the loopback endpoint.</summary>
    public IReadOnlyList<AdminRoute> All =>
    [
        AdminRoute.Live,
        AdminRoute.Ready(readiness),
        AdminRoute.Get("/certs", _ => AdminAnswer.Json(200, Certificates())),
        AdminRoute.Get("/config", _ => AdminAnswer.Json(200, Config())),
        AdminRoute.Get("/connections", _ => AdminAnswer.Json(200, Connections())),
        AdminRoute.Get("/listeners", _ => AdminAnswer.Json(200, Listeners())),
        AdminRoute.Get("/upstreams", _ => AdminAnswer.Json(200, UpstreamStatePage.Of(core.Upstreams.States()))),
        AdminRoute.Get("/stats", _ => AdminAnswer.Json(200, Stats())),
        PrometheusText.Route(metrics),
        AdminRoute.Post("/drain", DrainAsync),
    ];

    /// <summary>For probes from another machine.</summary>
    public IReadOnlyList<AdminRoute> ForProbes => [AdminRoute.Live, AdminRoute.Ready(readiness), .. core.Config.Probes.Select(probe => new AppProbe(probe, core.Time).Route)];

    /// <summary>For scrapers from another machine.</summary>
    public IReadOnlyList<AdminRoute> ForScrapers => [PrometheusText.Route(metrics)];

    private JsonObject Certificates()
    {
        var identity = core.Identity.Current;
        var origin = core.Config.Identity switch
        {
            IdentityConfig.Files files => files.Certificate,
            IdentityConfig.Socket socket => socket.Address.ToString(),
            _ => "",
        };
        return new JsonObject
        {
            ["origin"] = origin,
            ["problem"] = core.Identity.Problem,
            ["rotations"] = core.Identity.Rotations,
            ["svids"] = new JsonArray([.. (identity?.Context.Svids ?? []).Select(svid => new JsonObject
            {
                ["spiffeId"] = svid.Id.Uri,
                ["hint"] = svid.Hint,
                ["notAfter"] = Time(svid.NotAfter),
                ["chain"] = new JsonArray([.. svid.Chain.Select(Of)]),
            })]),
            ["bundles"] = new JsonArray([.. (identity?.Context.Bundles.All ?? []).OrderBy(bundle => bundle.TrustDomain.Name, StringComparer.Ordinal).Select(bundle => new JsonObject
            {
                ["trustDomain"] = bundle.TrustDomain.Name,
                ["sequence"] = bundle.Sequence,
                ["authorities"] = new JsonArray([.. bundle.Authorities.Select(Of)]),
            })]),
        };
    }

    private JsonObject Of(Certificate certificate) => new()
    {
        ["spiffeId"] = certificate.UriNames.Count == 1 && Identity.Spiffe.SpiffeId.TryParse(certificate.UriNames[0], out var id, out _) ? id.Uri : null,
        ["serial"] = certificate.SerialHex,
        ["subject"] = certificate.Subject,
        ["issuer"] = certificate.Issuer,
        ["uris"] = Texts(certificate.UriNames.Select(name => Identity.Spiffe.Printable.Of(name))),
        ["dnsNames"] = Texts(certificate.DnsNames.Select(name => Identity.Spiffe.Printable.Of(name))),
        ["key"] = certificate.KeyDescription,
        ["signature"] = certificate.SignatureDescription,
        ["notBefore"] = Time(certificate.NotBefore),
        ["notAfter"] = Time(certificate.NotAfter),
        ["secondsLeft"] = (long)(certificate.NotAfter - core.Time.GetUtcNow()).TotalSeconds,
        ["sha256"] = certificate.Fingerprint,
    };

    private JsonObject Config()
    {
        var model = core.Model;
        var workload = core.Config.Workload;
        return new JsonObject
        {
            ["workload"] = new JsonObject
            {
                ["namespace"] = workload.Namespace,
                ["serviceAccount"] = workload.ServiceAccount,
                ["labels"] = new JsonObject([.. workload.Labels.Select(label => new KeyValuePair<string, JsonNode?>(label.Key, label.Value))]),
            },
            ["trustDomain"] = model?.TrustDomain.Name,
            ["capture"] = new JsonObject
            {
                ["mode"] = core.Config.Capture.Mode.ToString().ToLowerInvariant(),
                ["inbound"] = core.Config.Capture.Inbound.ToString(),
                ["outbound"] = core.Config.Capture.Outbound.ToString(),
                ["unmatched"] = core.Config.Capture.PassThrough ? "passthrough" : "refuse",
            },
            ["inbound"] = new JsonArray([.. core.Config.Inbound.Select(port => Of(port, model))]),
            ["outbound"] = new JsonArray([.. core.Config.Outbound.Select(service => Of(service, model))]),
            ["policy"] = new JsonObject
            {
                ["folder"] = core.Config.PolicyFolder,
                ["meshFile"] = core.Config.MeshFile,
                ["authorizationPolicies"] = Texts(model?.Policy.Policies.Select(policy => policy.Id) ?? []),
                ["problems"] = Texts(model?.Problems.Select(problem => problem.ToString()) ?? []),
            },
            ["limits"] = new JsonObject
            {
                ["connections"] = core.Config.Limits.Connections,
                ["handshakes"] = core.Config.Limits.Handshakes,
                ["checks"] = core.Config.Limits.Checks,
                ["idleUpstreams"] = core.Config.Limits.IdleUpstreams,
            },
        };
    }

    private static JsonObject Of(InboundConfig port, ProxyModel? model)
    {
        var mtls = model?.Policy.MtlsFor(port.Port);
        return new JsonObject
        {
            ["name"] = port.Name,
            ["listen"] = port.Listen?.ToString(),
            ["port"] = port.Port,
            ["protocol"] = Word(port.Protocol),
            ["app"] = EndPointText.Format(port.App),
            ["proxyProtocolFrom"] = Texts(port.ProxyProtocolFrom.Select(network => network.ToString())),
            ["sendProxyProtocol"] = port.SendProxyProtocol?.ToString().ToLowerInvariant(),
            ["mtls"] = mtls is { } known ? new JsonObject { ["mode"] = known.Mode.Word(), ["from"] = known.From } : null,
        };
    }

    private JsonObject Of(OutboundConfig service, ProxyModel? model)
    {
        var tls = model is null ? null : Upstreams.MeshDialer.TlsFor(service, core.Config.Workload, model);
        return new JsonObject
        {
            ["name"] = service.Name,
            ["listen"] = service.Listen?.ToString(),
            ["host"] = service.Host,
            ["port"] = service.Port,
            ["protocol"] = Word(service.Protocol),
            ["addresses"] = Texts(service.Addresses.Select(address => address.ToString())),
            ["endpoints"] = Texts(service.Endpoints.Select(EndPointText.Format)),
            ["serverIdentities"] = Texts(service.ServerIdentities.Select(id => id.Uri)),
            ["tls"] = tls is null ? null : new JsonObject { ["mode"] = tls.Mode.Word(), ["from"] = tls.From, ["reason"] = tls.Refusal ?? tls.Reason },
        };
    }

    private JsonObject Connections() => new()
    {
        ["connections"] = new JsonArray([.. core.Connections.All.Select(live => new JsonObject
        {
            ["id"] = live.Id,
            ["direction"] = ProxyMetrics.Name(live.Direction),
            ["listener"] = live.Listener,
            ["protocol"] = live.Protocol,
            ["source"] = live.Source.ToString(),
            ["peer"] = live.Peer?.Id?.Uri,
            ["peerHost"] = live.Peer?.Host,
            ["peerSerial"] = live.Peer?.Leaf.SerialHex,
            ["peerExpires"] = live.Peer is { } peer ? Time(peer.ExpiresAt) : null,
            ["policy"] = live.Policy,
            ["idle"] = live.IsIdle,
            ["opened"] = Time(live.Opened),
            ["ageSeconds"] = Math.Round(live.Age.TotalSeconds, 3),
            ["bytesIn"] = live.Received,
            ["bytesOut"] = live.Sent,
        })]),
    };

    private JsonObject Listeners() => new()
    {
        ["listeners"] = new JsonArray([.. listeners.Select(listener => new JsonObject
        {
            ["name"] = listener.Name,
            ["direction"] = ProxyMetrics.Name(listener.Direction),
            ["address"] = listener.LocalEndPoint.ToString(),
            ["accepting"] = listener.IsAccepting,
            ["connections"] = listener.Count,
        })]),
    };

    private JsonObject Stats() => new()
    {
        ["connections"] = core.Connections.Count,
        ["draining"] = core.IsDraining,
        ["rotations"] = core.Identity.Rotations,
        ["certificateSecondsLeft"] = core.Identity.Current is { } identity ? (long)(identity.ExpiresAt - core.Time.GetUtcNow()).TotalSeconds : null,
        ["handshakeTurnsFree"] = new JsonObject { ["inbound"] = core.InboundHandshakes.CurrentCount, ["outbound"] = core.OutboundHandshakes.CurrentCount },
    };

    private async ValueTask<AdminAnswer> DrainAsync(AdminRequest request, CancellationToken cancellationToken)
    {
        await drain().ConfigureAwait(false);
        return AdminAnswer.Json(202, new JsonObject { ["draining"] = true, ["connections"] = core.Connections.Count });
    }

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode?)text)]);

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    private static string Word(AppProtocol protocol) => protocol.ToString().ToLowerInvariant();
}
