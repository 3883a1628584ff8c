using System.Text.Json.Nodes;
using Signet.Hosting.Configuration;
using Signet.Policy;
using Signet.Proxy.Config;
using Signet.Proxy.Upstreams;

namespace Signet.Proxy.Admin;

/// <summary><c>/config</c>: what is in force, defaults included, with what policies make of it. A proxy's configuration has paths to keys and no keys.</summary>
internal static class ConfigPage
{
    public static JsonObject Of(ProxyCore core)
    {
        var (config, model) = (core.Config, core.Model);
        return new JsonObject
        {
            ["workload"] = new JsonObject
            {
                ["namespace"] = config.Workload.Namespace,
                ["serviceAccount"] = config.Workload.ServiceAccount,
                ["labels"] = new JsonObject([.. config.Workload.Labels.Select(label => new KeyValuePair<string, JsonNode?>(label.Key, label.Value))]),
            },
            ["identity"] = config.Identity switch
            {
                IdentityConfig.Files files => new JsonObject { ["certificate"] = files.Certificate, ["key"] = files.Key, ["roots"] = files.Roots },
                IdentityConfig.Socket socket => new JsonObject { ["socket"] = socket.Address.ToString() },
                _ => null,
            },
            ["trustDomain"] = model?.TrustDomain.Name ?? config.TrustDomain?.Name,
            ["capture"] = new JsonObject
            {
                ["mode"] = Word(config.Capture.Mode),
                ["inbound"] = config.Capture.Inbound.ToString(),
                ["outbound"] = config.Capture.Outbound.ToString(),
                ["unmatched"] = config.Capture.PassThrough ? "passthrough" : "refuse",
            },
            ["inbound"] = new JsonArray([.. config.Inbound.Select(port => Of(port, model))]),
            ["outbound"] = new JsonArray([.. config.Outbound.Select(service => Of(service, config.Workload, model))]),
            ["policy"] = new JsonObject
            {
                ["folder"] = config.PolicyFolder,
                ["agentRevision"] = config.PolicyFolder is null ? model?.Revision ?? 0 : null,
                ["newest"] = core.PolicyProblem() ?? "in force",
                ["meshFile"] = config.MeshFile,
                ["tokenKeyRoots"] = config.TokenKeyRoots,
                ["authorizationPolicies"] = AdminPages.Texts(model?.Policy.Policies.Select(policy => policy.Id) ?? []),
                ["problems"] = AdminPages.Texts(model?.Problems.Select(problem => problem.ToString()) ?? []),
            },
            ["admin"] = config.Admin.ToString(),
            ["handover"] = config.Handover,
            ["metrics"] = config.Metrics?.ToString(),
            ["ready"] = config.Ready?.ToString(),
            ["probes"] = AdminPages.Texts(config.Probes.Select(probe => probe.Path)),
            ["log"] = new JsonObject { ["level"] = Hosting.Logging.LogConfig.Words.First(known => known.Level == config.Log.Level).Word, ["format"] = Word(config.Log.Format) },
            ["accessLog"] = Of(config.AccessLog),
            ["tracing"] = config.Tracing is { } tracing ? new JsonObject { ["endpoint"] = tracing.EndPoint.ToString(), ["samplePercent"] = tracing.Ratio * 100, ["service"] = tracing.Service } : null,
            ["tls"] = new JsonObject
            {
                ["minVersion"] = config.Tls.MinVersion == TlsVersion.Tls12 ? "1.2" : "1.3",
                ["resumption"] = config.Tls.Resumption,
                ["neverResumed"] = AdminPages.Texts(config.Tls.NeverResumed.Select(pattern => pattern.ToString())),
                ["tunnel"] = config.Tls.Tunnel,
            },
            ["timeouts"] = Of(config.Timeouts),
            ["limits"] = new JsonObject
            {
                ["connections"] = config.Limits.Connections,
                ["handshakes"] = config.Limits.Handshakes,
                ["streams"] = config.Limits.Streams,
                ["checks"] = config.Limits.Checks,
                ["retries"] = config.Limits.Retries,
                ["idleUpstreams"] = config.Limits.IdleUpstreams,
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
            ["proxyProtocolFrom"] = AdminPages.Texts(port.ProxyProtocolFrom.Select(network => network.ToString())),
            ["sendProxyProtocol"] = port.SendProxyProtocol is { } version ? Word(version) : null,
            ["forwardClientCert"] = Of(port.ForwardClientCert),
            ["headers"] = Of(port.HopFields),
            ["resumption"] = port.Resumption,
            ["rateLimit"] = Of(port.RateLimit),
            ["mtls"] = mtls is { } known ? new JsonObject { ["mode"] = known.Mode.Word(), ["from"] = known.From } : null,
        };
    }

    private static JsonObject Of(OutboundConfig service, Workload workload, ProxyModel? model)
    {
        var tls = model is null ? null : MeshDialer.TlsFor(service, workload, model);
        return new JsonObject
        {
            ["name"] = service.Name,
            ["listen"] = service.Listen?.ToString(),
            ["host"] = service.Host,
            ["port"] = service.Port,
            ["protocol"] = Word(service.Protocol),
            ["addresses"] = AdminPages.Texts(service.Addresses.Select(address => address.ToString())),
            ["located"] = service.IsLocated ? "agent" : null,
            ["endpoints"] = AdminPages.Texts(service.Endpoints.Select(EndPointText.Format)),
            ["serverIdentities"] = AdminPages.Texts(service.ServerIdentities.Select(id => id.Uri)),
            ["forwardClientCert"] = Of(service.ForwardClientCert),
            ["headers"] = Of(service.HopFields),
            ["resumption"] = service.Resumption,
            ["rateLimit"] = Of(service.RateLimit),
            ["healthCheck"] = Of(service.HealthCheck),
            ["tls"] = tls is null ? null : new JsonObject { ["mode"] = tls.Mode.Word(), ["from"] = tls.From, ["reason"] = tls.Refusal ?? tls.Reason },
        };
    }

    private static JsonObject? Of(RateLimitConfig? limit) => limit is null ? null : new() { ["requestsPerSecond"] = limit.RequestsPerSecond, ["burst"] = limit.Burst };

    private static JsonObject? Of(HealthCheckConfig? check) => check is null ? null : new()
    {
        ["path"] = check.Path,
        ["interval"] = DurationText.Format(check.Interval),
        ["timeout"] = DurationText.Format(check.Timeout),
        ["unhealthyThreshold"] = check.UnhealthyThreshold,
        ["healthyThreshold"] = check.HealthyThreshold,
        ["jitterPercent"] = check.JitterPercent,
    };

    private static JsonObject Of(ForwardClientCertConfig forward) => new()
    {
        ["mode"] = ForwardClientCertConfig.Words.First(known => known.Mode == forward.Mode).Word,
        ["header"] = forward.Fields == ClientCertFields.Xfcc ? "xfcc" : forward.Fields == ClientCertFields.Rfc9440 ? "rfc9440" : "both",
        ["details"] = AdminPages.Texts(ForwardClientCertConfig.DetailWords.Where(known => known.Detail == ClientCertDetails.None || forward.Details.HasFlag(known.Detail)).Select(known => known.Word)),
    };

    private static JsonObject Of(HopFieldsConfig fields) => new()
    {
        ["xForwardedFor"] = Word(fields.XForwardedFor),
        ["forwarded"] = Word(fields.Forwarded),
        ["via"] = fields.Via,
        ["requestId"] = fields.KeepsRequestId ? "keep" : "replace",
        ["traceContext"] = fields.JoinsTraces switch { true => "join", false => "pass", null => null },
    };

    private static JsonObject Of(AccessLogConfig log) => new()
    {
        ["path"] = log.Path,
        ["format"] = Word(log.Format),
        ["only"] = Word(log.Only),
        ["template"] = log.Json is { } members ? new JsonObject([.. members.Select(member => new KeyValuePair<string, JsonNode?>(member.Key, member.Value.Text))])
            : log.Text is { } text ? JsonValue.Create(text.Text)
            : null,
    };

    private static JsonObject Of(ProxyTimeouts timeouts) => new()
    {
        ["detection"] = DurationText.Format(timeouts.Detection),
        ["serverFirst"] = DurationText.Format(timeouts.ServerFirst),
        ["handshake"] = DurationText.Format(timeouts.Handshake),
        ["connect"] = DurationText.Format(timeouts.Connect),
        ["requestHead"] = DurationText.Format(timeouts.RequestHead),
        ["keepAlive"] = DurationText.Format(timeouts.KeepAlive),
        ["streamIdle"] = DurationText.Format(timeouts.StreamIdle),
        ["tcpIdle"] = DurationText.Format(timeouts.TcpIdle),
        ["upstreamIdle"] = DurationText.Format(timeouts.UpstreamIdle),
        ["perTry"] = timeouts.PerTry is { } perTry ? DurationText.Format(perTry) : null,
        ["request"] = timeouts.Request is { } request ? DurationText.Format(request) : null,
        ["handover"] = DurationText.Format(timeouts.Handover),
        ["drain"] = DurationText.Format(timeouts.Drain),
    };

    private static string Word<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();
}
