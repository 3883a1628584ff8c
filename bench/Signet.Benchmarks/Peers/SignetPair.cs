using System.Globalization;
using Signet.Cli.Demo;

namespace Signet.Benchmarks.Peers;

/// <summary>How a client's TCP connections come to their session with the other proxy.</summary>
internal enum SignetSessions
{
    /// <summary>They share one that is there.</summary>
    Shared,

    /// <summary>Each makes its own, resuming an earlier one.</summary>
    Resumed,

    /// <summary>Each makes its own with a full handshake.</summary>
    Full,
}

/// <summary>
/// Signet's own proxies as an operator would run them: identity from the agent, STRICT, a policy that names who may do what, the access log
/// in a file, everything else as it is by default.
/// </summary>
internal sealed class SignetPair : ProxyPair
{
    private const int TcpWorkloadPort = 9000;
    private const int HttpWorkloadPort = 8080;
    private const int Http2WorkloadPort = 7070;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(100);

    private SignetPair(string name, DemoProcess outbound, DemoProcess inbound)
        : base(name, outbound, inbound)
    {
    }

    public required int OutboundAdmin { get; init; }

    public required int InboundAdmin { get; init; }

    /// <param name="sessions">How connections come to their session; <see cref="SignetSessions.Shared"/> is how Signet ships.</param>
    public static async Task<SignetPair> StartAsync(SignetSessions sessions, Mesh mesh, LoadTools tools, BenchContext context)
    {
        var layout = mesh.Layout;
        var (name, tls) = sessions switch
        {
            SignetSessions.Shared => ("signet", "{}"),
            SignetSessions.Resumed => ("signet, no tunnel", "{tunnel: false}"),
            _ => ("signet, no tunnel or resumption", "{tunnel: false, resumption: false}"),
        };
        var (outboundName, inboundName) = ($"signet-{sessions}-outbound", $"signet-{sessions}-inbound");
        var ports = DemoPorts.Take(8);
        layout.WriteMtlsPolicy("STRICT");
        await File.WriteAllTextAsync(Path.Combine(layout.PolicyFolder, "orders.yaml"), Policy(layout), context.Cancellation);
        await File.WriteAllTextAsync(layout.File($"{outboundName}.yaml"), OutboundConfig(layout, outboundName, tls, tcp: ports[0], http: ports[1], http2: ports[6], tcpPeer: ports[2], httpPeer: ports[3], http2Peer: ports[7], admin: ports[4]), context.Cancellation);
        await File.WriteAllTextAsync(layout.File($"{inboundName}.yaml"), InboundConfig(layout, inboundName, tls, tcp: ports[2], http: ports[3], http2: ports[7], admin: ports[5], tools), context.Cancellation);
        var inbound = DemoProcess.Start(inboundName, layout.ProgramFor(layout.Orders), ["proxy", "run", "--config", layout.File($"{inboundName}.yaml")], layout.LogFile(inboundName));
        var outbound = DemoProcess.Start(outboundName, layout.ProgramFor(layout.Web), ["proxy", "run", "--config", layout.File($"{outboundName}.yaml")], layout.LogFile(outboundName));
        var pair = new SignetPair(name, outbound, inbound) { TcpPort = ports[0], HttpPort = ports[1], Http2Port = ports[6], OutboundAdmin = ports[4], InboundAdmin = ports[5] };
        try
        {
            await ReadyAsync(inbound, pair.InboundAdmin, context.Cancellation);
            await ReadyAsync(outbound, pair.OutboundAdmin, context.Cancellation);
            return pair;
        }
        catch
        {
            await pair.DisposeAsync();
            throw;
        }
    }

    /// <summary>Of the mutual-TLS handshakes that the inbound proxy completed since its start, the share that was resumed.</summary>
    public async Task<double> ResumedShareAsync(CancellationToken cancellationToken)
    {
        static Func<string, bool> Completed(string kind) =>
            line => line.StartsWith("signet_proxy_handshakes_total{", StringComparison.Ordinal) && line.Contains("\"ok\"", StringComparison.Ordinal) && line.Contains(kind, StringComparison.Ordinal);
        var all = await MetricAsync(InboundAdmin, Completed(""), cancellationToken);
        return await MetricAsync(InboundAdmin, Completed("\"resumed\""), cancellationToken) / Math.Max(1, all);
    }

    /// <summary>Access log lines that either proxy could not write.</summary>
    public async Task<double> DroppedLinesAsync(CancellationToken cancellationToken)
    {
        static bool IsDropped(string line) => line.StartsWith("signet_proxy_access_records_dropped_total", StringComparison.Ordinal);
        return await MetricAsync(OutboundAdmin, IsDropped, cancellationToken) + await MetricAsync(InboundAdmin, IsDropped, cancellationToken);
    }

    private static string Policy(DemoLayout layout) => $$"""
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: orders-from-web, namespace: {{DemoLayout.Namespace}}}
        spec:
          selector: {matchLabels: {app: orders} }
          action: ALLOW
          rules:
          - from:
            - source: {principals: ["{{layout.Web.Principal}}"]}
            to:
            - operation: {ports: ["{{HttpWorkloadPort}}", "{{Http2WorkloadPort}}"], methods: ["GET"], paths: ["{{LoadTools.RequestPath}}"]}
          - from:
            - source: {principals: ["{{layout.Web.Principal}}"]}
            to:
            - operation: {ports: ["{{Http2WorkloadPort}}"], methods: ["POST"], paths: ["{{LoadTools.CallPath}}"]}
          - from:
            - source: {principals: ["{{layout.Web.Principal}}"]}
            to:
            - operation: {ports: ["{{TcpWorkloadPort}}"]}
        """;

    private static string OutboundConfig(DemoLayout layout, string name, string tls, int tcp, int http, int http2, int tcpPeer, int httpPeer, int http2Peer, int admin) => $$"""
        workload: {namespace: {{DemoLayout.Namespace}}, serviceAccount: web, labels: {app: web} }
        identity: {socket: "unix:{{layout.AgentSocket}}"}
        policy: {folder: {{layout.PolicyFolder}}}
        admin: 127.0.0.1:{{admin}}
        tls: {{tls}}
        accessLog: {path: {{layout.LogFile($"{name}-access")}}, format: json}
        outbound:
        - listen: 127.0.0.1:{{tcp}}
          host: {{layout.Orders.Host}}
          port: {{TcpWorkloadPort}}
          protocol: tcp
          endpoints: ["127.0.0.1:{{tcpPeer}}"]
          serverIdentities: ["{{layout.Orders.SpiffeId}}"]
        - listen: 127.0.0.1:{{http}}
          host: {{layout.Orders.Host}}
          port: {{HttpWorkloadPort}}
          protocol: http
          endpoints: ["127.0.0.1:{{httpPeer}}"]
          serverIdentities: ["{{layout.Orders.SpiffeId}}"]
        - listen: 127.0.0.1:{{http2}}
          host: {{layout.Orders.Host}}
          port: {{Http2WorkloadPort}}
          protocol: http2
          endpoints: ["127.0.0.1:{{http2Peer}}"]
          serverIdentities: ["{{layout.Orders.SpiffeId}}"]

        """;

    private static string InboundConfig(DemoLayout layout, string name, string tls, int tcp, int http, int http2, int admin, LoadTools tools) => $$"""
        workload: {namespace: {{DemoLayout.Namespace}}, serviceAccount: orders, labels: {app: orders} }
        identity: {socket: "unix:{{layout.AgentSocket}}"}
        policy: {folder: {{layout.PolicyFolder}}}
        admin: 127.0.0.1:{{admin}}
        tls: {{tls}}
        accessLog: {path: {{layout.LogFile($"{name}-access")}}, format: json}
        inbound:
        - listen: 127.0.0.1:{{tcp}}
          port: {{TcpWorkloadPort}}
          protocol: tcp
          app: 127.0.0.1:{{tools.BackendPort}}
        - listen: 127.0.0.1:{{http}}
          port: {{HttpWorkloadPort}}
          protocol: http
          app: 127.0.0.1:{{tools.BackendPort}}
        - listen: 127.0.0.1:{{http2}}
          port: {{Http2WorkloadPort}}
          protocol: http2
          app: 127.0.0.1:{{tools.Http2BackendPort}}

        """;

    private static async Task ReadyAsync(DemoProcess proxy, int admin, CancellationToken cancellationToken)
    {
        using var http = new HttpClient();
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        while (!proxy.HasExited && !patience.IsCancellationRequested)
        {
            try
            {
                using var response = await http.GetAsync(new Uri($"http://127.0.0.1:{admin}/ready"), patience.Token);
                if (response.IsSuccessStatusCode)
                {
                    return;
                }
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
            {
                // Not listening yet.
            }

            await Task.Delay(Glance, patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        cancellationToken.ThrowIfCancellationRequested();
        throw new BenchException($"{proxy.Name} did not become ready; it said: {(await File.ReadAllTextAsync(proxy.LogFile, cancellationToken)).Trim()}");
    }

    private static async Task<double> MetricAsync(int admin, Func<string, bool> isWanted, CancellationToken cancellationToken)
    {
        using var http = new HttpClient();
        var text = await http.GetStringAsync(new Uri($"http://127.0.0.1:{admin}/metrics"), cancellationToken);
        return text.Split('\n').Where(isWanted).Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
    }
}
