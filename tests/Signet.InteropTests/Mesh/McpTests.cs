using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent;
using Signet.Agent.Attestation;
using Signet.Agent.Mesh;
using Signet.Cli.Clients;
using Signet.Client;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;
using Signet.InteropTests.Rpc;
using Signet.Server.ControlPlane;
using Signet.Testing;

namespace Signet.InteropTests.Mesh;

/// <summary>MCP with a sink and a source in another language.</summary>
public sealed class McpTests : IDisposable
{
    private const string Pods = """
        {apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, uid: u1, labels: {app: web}}, status: {phase: Running, podIP: 10.0.0.1}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: web-2, namespace: shop, uid: u2, labels: {app: web}}, status: {phase: Running, podIP: 10.0.0.2}}
        """;

    private const string Policy = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: no-web, namespace: shop}, spec: {action: DENY, rules: [{}]}}";

    private readonly TestFolder _folder = new();
    private readonly CancellationToken _patience = new CancellationTokenSource(Peer.Patience).Token;

    [Fact]
    public async Task A_Python_sink_takes_collections_and_differences_and_a_hostile_one_harms_only_itself_while_our_agent_takes_the_same()
    {
        var policies = Directory.CreateDirectory(_folder.File("policies")).FullName;
        await File.WriteAllTextAsync(Path.Combine(policies, "pods.yaml"), Pods, _patience);
        await File.WriteAllTextAsync(Path.Combine(policies, "policy.yaml"), Policy, _patience);
        await using var domain = await TestTrustDomain.StartAsync(configure: config => config with { Mesh = new MeshConfig(policies, null) });
        await using var mcp = await StartAgentAsync(domain, "mcp", new McpConfig(null, Id("/spire/server"), OverXds: false) { Policies = true });
        await using var xds = await StartAgentAsync(domain, "xds", new McpConfig(null, Id("/spire/server"), OverXds: true));
        await Eventually.IsTrueAsync(() => mcp.Host.Mesh.Pods.Find("u2") is not null && xds.Host.Mesh.Pods.Find("u2") is not null, "the pods at the agents");

        var output = await Peer.RunAsync(PythonStubs.Python, _folder.Path, Path.Combine(Peer.Scripts, "mcp_sink.py"), domain.ServerSocket, await StubsAsync(), policies);

        Assert.EndsWith("done", output.TrimEnd(), StringComparison.Ordinal);
        await Eventually.IsTrueAsync(() => mcp.Host.Mesh.Pods is { Count: 2 } one && one.Find("u4") is not null && xds.Host.Mesh.Pods is { Count: 2 } other && other.Find("u4") is not null, "the newest pods at the agents");
        Assert.Equal("AuthorizationPolicy/shop/no-web", Assert.Single(mcp.Host.Mesh.Held.Current.Snapshot!.Documents).Key);
    }

    [Fact]
    public async Task Our_agent_takes_pods_of_a_Python_source_and_refuses_what_is_broken_and_who_is_somebody_else()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/mcp");
        var certificates = _folder.File("certificates");
        await using (var source = new X509Source(domain.WorkloadApi, TimeProvider.System))
        {
            var identity = await source.WaitAsync(_patience);
            SvidFolder.Write(certificates, identity.Default, identity.Bundles.All);
        }

        using var python = Peer.Start(PythonStubs.Python, _folder.Path, Path.Combine(Peer.Scripts, "mcp_source.py"), await StubsAsync(), certificates);
        try
        {
            var port = int.Parse((await python.StandardOutput.ReadLineAsync(_patience))!, CultureInfo.InvariantCulture);
            var place = new DnsEndPoint("127.0.0.1", port);
            await using var stranger = await StartAgentAsync(domain, "stranger", new McpConfig(place, Id("/somebody-else"), OverXds: false));
            await Eventually.IsTrueAsync(() => stranger.Host.Mesh.PodsProblem!().Contains("/somebody-else was expected", StringComparison.Ordinal), "the refusal of who is there");
            await using var agent = await StartAgentAsync(domain, "agent2", new McpConfig(place, Id("/mcp"), OverXds: false));
            foreach (var expected in new[] { "applied", "refused", "refused", "refused", "applied" })
            {
                Assert.Equal(expected, await python.StandardOutput.ReadLineAsync(_patience));
            }

            var pods = agent.Host.Mesh.Pods;
            Assert.Equal((1, "web"), (pods.Count, pods.Find("u7")?.Metadata.Name));
            Peer.Kill(python);
            await Eventually.IsTrueAsync(() => agent.Host.Mesh.PodsProblem!().Length > 0, "the source is gone");
            Assert.NotNull(pods.Find("u7"));
        }
        finally
        {
            Peer.Kill(python);
            await python.WaitForExitAsync(CancellationToken.None);
        }
    }

    public void Dispose() => _folder.Dispose();

    private Task<string> StubsAsync() => PythonStubs.CompileContractAsync(
        _folder.File("stubs"),
        [
            "istio/mcp/v1alpha1/mcp.proto", "istio/security/v1beta1/security.proto", "istio/type/v1beta1/selector.proto", "k8s/core.proto", "google/rpc/status.proto",
            "envoy/service/discovery/v3/ads.proto", "envoy/service/discovery/v3/discovery.proto", "envoy/config/core/v3/base.proto", "envoy/config/core/v3/address.proto", "envoy/config/core/v3/extension.proto", "envoy/type/v3/semantic_version.proto",
        ]);

    private static SpiffeId Id(string path) => SpiffeId.Of(TestTrustDomain.Name, path);

    private async Task<Started> StartAgentAsync(TestTrustDomain domain, string name, McpConfig mcp)
    {
        using var admin = domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(5), alias: null, _patience);
        var host = AgentHost.Build(
            new AgentConfig
            {
                TrustDomain = TestTrustDomain.Name,
                Server = new DnsEndPoint("127.0.0.1", domain.ServerEndPoint.Port),
                Attestor = new AttestorConfig.JoinToken(new Secret(token.Token)),
                BootstrapBundle = Path.Combine(domain.Folder, "bundle.pem"),
                DataDir = _folder.File(name),
                Socket = _folder.File(name + ".sock"),
                Metrics = new IPEndPoint(IPAddress.Loopback, 0),
                Mcp = mcp,
            },
            TimeProvider.System,
            Random.Shared.NextDouble,
            NullLoggerFactory.Instance);
        return new Started(host, await RunningDaemon.StartAsync(host.Parts, host));
    }

    private sealed record Started(AgentHost Host, RunningDaemon Daemon) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => Daemon.DisposeAsync();
    }
}
