using System.Net;
using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Client;
using Signet.FunctionalTests.Proxy;
using Signet.Policy;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Rpc;
using Signet.Rpc.Wire.Mesh;
using Signet.Server.ControlPlane;
using Signet.Testing;
using MeshApi = Signet.Rpc.Wire.Mesh.Mesh;

namespace Signet.FunctionalTests.Mesh;

/// <summary>Policies, endpoints and revocations on their way from a folder of the server through the agent's socket into proxies.</summary>
public sealed class MeshThroughAgentTests
{
    private const string DenyOrders = """
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: no-orders, namespace: default}
        spec:
          action: DENY
          rules: [{from: [{source: {principals: ["example.org/ns/default/sa/orders"]}}]}]
        """;

    private const string DenyElsewhere = """
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: nobody, namespace: bank}
        spec: {}
        """;

    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    [Proves(RefusalReason.WaitingForPolicy)]
    public async Task Policies_reach_the_proxy_they_concern_and_the_last_good_ones_outlive_everything()
    {
        using var policies = new TestFolder();
        Set(policies, "mesh", ProxyWorld.Strict);
        Set(policies, "elsewhere", DenyElsewhere);
        await using var domain = await TestTrustDomain.StartAsync(configure: config => config with { Mesh = new MeshConfig(policies.Path, null) });
        await domain.RegisterAsync("/ns/default/sa/orders");
        await using var app = App.Echo();
        await using var proxy = await StartAsync(domain, app.EndPoint);
        await Eventually.IsTrueAsync(() => proxy.Readiness.IsReady, "the proxy is ready");

        // 1. Only what concerns its namespace.
        Assert.Equal(["istio-system/mesh"], proxy.Model!.Set.Objects.Select(one => one.Id));
        var revision = proxy.Model.Revision;
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var svid = (await source.WaitAsync(_patience)).Default;
        await using var live = await EchoedAsync(await Wire.TlsAsync(Inbound(proxy), svid, ["istio"]));
        await Eventually.IsTrueAsync(() => domain.AgentHost.Mesh.Audience.Standings is [{ Refused: 0 } one] && one.Acknowledged == revision, "the acknowledgement at the agent");

        // 2. A change closes what it forbids.
        Set(policies, "deny", DenyOrders);
        Assert.Equal("", await live.ReadToEndAsync());
        Assert.True(proxy.Model.Revision > revision);

        // 3. A mistake changes nothing and is seen at the proxy.
        Set(policies, "deny", DenyOrders.Replace("rules:", "ruels:", StringComparison.Ordinal));
        await Eventually.IsTrueAsync(async () => (await AdminAsync(proxy, "/ready")).Contains("ruels", StringComparison.Ordinal), "the mistake at the proxy");
        Assert.Contains(proxy.Model.Set.Objects, one => one.Id == "default/no-orders");
        File.Delete(policies.File("deny.yaml"));
        await Eventually.IsTrueAsync(() => proxy.Model.Set.Objects.Count() == 1, "the policy is gone");
        await using var again = await EchoedAsync(await Wire.TlsAsync(Inbound(proxy), svid, ["istio"]));

        // 4. Without server and agent the last good ones stay; who never had any lets nobody in.
        await domain.StopServerAsync();
        await domain.StopAgentAsync();
        await EchoedAsync(again);
        await IsRefusedAsync(Inbound(proxy));
        await using var late = await StartAsync(domain, app.EndPoint, source);
        Assert.False(late.Readiness.IsReady);
        await Eventually.IsTrueAsync(async () => (await AdminAsync(late, "/ready")).Contains("no policy is in force yet", StringComparison.Ordinal), "the reason");
        await IsRefusedAsync(Inbound(late));
        await domain.StartAgentAsync();
        var kept = domain.AgentHost.Mesh.Held.Current.Snapshot;
        await domain.StartServerAsync();
        Assert.Equal(proxy.Model.Set.Objects.Count() + 1, kept?.Documents.Count);
        await Eventually.IsTrueAsync(() => late.Readiness.IsReady, "the late proxy is ready");
    }

    [Fact]
    public async Task A_proxy_that_says_another_namespace_gets_nothing_and_is_told_why_and_clients_that_misbehave_keep_nobody_from_anything()
    {
        using var policies = new TestFolder();
        Set(policies, "mesh", ProxyWorld.Strict);
        await using var domain = await TestTrustDomain.StartAsync(configure: config => config with { Mesh = new MeshConfig(policies.Path, null) });
        await domain.RegisterAsync("/ns/default/sa/orders");
        await using var app = App.Echo();
        await using var proxy = await StartAsync(domain, app.EndPoint, change: config => config with { Workload = config.Workload with { Namespace = "bank" } });
        await Eventually.IsTrueAsync(async () => (await AdminAsync(proxy, "/ready")).Contains("is in namespace default", StringComparison.Ordinal), "the reason");
        Assert.Null(proxy.Model);

        using var channel = GrpcChannel.ForUnixSocket(domain.AgentSocket, TimeProvider.System);
        var client = new MeshApi.MeshClient(channel);
        Assert.Equal(StatusCode.InvalidArgument, await RefusalAsync(client.Watch(new CallOptions(CancellationToken: _patience)), new MeshRequest { Namespace = "default" }));
        Assert.Equal(StatusCode.InvalidArgument, await RefusalAsync(client.Watch(WorkloadApi.Options(_patience)), new MeshRequest { Namespace = "default", Name = new string('x', 1000) }));
        Assert.Equal(StatusCode.PermissionDenied, await RefusalAsync(client.Watch(WorkloadApi.Options(_patience)), new MeshRequest()));

        // They never read, and say what nobody asked them.
        var idle = Enumerable.Range(0, 50).Select(_ => client.Watch(WorkloadApi.Options(_patience))).ToArray();
        foreach (var call in idle)
        {
            await call.RequestStream.WriteAsync(new MeshRequest { Namespace = "default", Name = "idle" }, _patience);
            await call.RequestStream.WriteAsync(new MeshRequest { AcknowledgedRevision = ulong.MaxValue, Problem = "never mind" }, _patience);
        }

        await using var good = await StartAsync(domain, app.EndPoint);
        await Eventually.IsTrueAsync(() => good.Readiness.IsReady, "a proxy beside them is ready");
        Set(policies, "deny", DenyOrders);
        await Eventually.IsTrueAsync(() => good.Model!.Set.Objects.Count() == 2, "and gets the next change");
        Assert.Equal(0, domain.AgentHost.Mesh.Audience.Refused);

        // A folder that lost everything does not allow everything.
        File.Delete(policies.File("deny.yaml"));
        File.Delete(policies.File("mesh.yaml"));
        await Eventually.IsTrueAsync(async () => (await AdminAsync(good, "/config")).Contains("no policy at all", StringComparison.Ordinal), "the problem at the proxy");
        Assert.NotEmpty(good.Model!.Set.Objects);
        foreach (var call in idle)
        {
            call.Dispose();
        }
    }

    [Fact]
    public async Task Endpoints_of_a_service_come_through_the_agent_and_follow_its_file()
    {
        using var policies = new TestFolder();
        Set(policies, "mesh", ProxyWorld.Strict);
        await using var domain = await TestTrustDomain.StartAsync(configure: config => config with { Mesh = new MeshConfig(policies.Path, null) });
        await domain.RegisterAsync("/ns/default/sa/orders");
        await using var app = App.Echo();
        await using var orders = await StartAsync(domain, app.EndPoint);
        await using var web = await StartAsync(domain, app.EndPoint, change: config => config with
        {
            Inbound = [],
            Outbound =
            [
                new OutboundConfig("outbound-orders", new IPEndPoint(IPAddress.Loopback, 0), "orders.default.svc.cluster.local", 8080, AppProtocol.Tcp, [], new HashSet<Signet.Identity.Spiffe.SpiffeId>())
                {
                    IsLocated = true,
                },
            ],
        });
        await Eventually.IsTrueAsync(() => web.Readiness.IsReady && orders.Readiness.IsReady, "the proxies are ready");
        await IsRefusedAsync(web.Listening["outbound-orders"]);

        Set(policies, "orders", $$"""
            apiVersion: networking.istio.io/v1
            kind: ServiceEntry
            metadata: {name: orders, namespace: default}
            spec:
              hosts: [orders.default.svc.cluster.local]
              location: MESH_INTERNAL
              resolution: STATIC
              ports: [{number: 8080, name: tcp, protocol: TCP}]
              endpoints:
              - address: 127.0.0.1
                ports: {tcp: {{Inbound(orders).Port}} }
            """);
        await Eventually.IsTrueAsync(() => web.Upstreams.Single().Endpoints.Count == 1, "the endpoint");
        await using var reached = await EchoedAsync(await Wire.PlainAsync(web.Listening["outbound-orders"]));
        File.Delete(policies.File("orders.yaml"));
        await Eventually.IsTrueAsync(() => web.Upstreams.Single().Endpoints.Count == 0, "no endpoint");
    }

    [Fact]
    public async Task Revoking_an_issuing_authority_closes_the_live_connections_of_those_it_vouches_for_and_no_others()
    {
        using var policies = new TestFolder();
        Set(policies, "mesh", ProxyWorld.Strict);
        await using var domain = await TestTrustDomain.StartAsync(configure: config => config with { Mesh = new MeshConfig(policies.Path, null) });
        await domain.RegisterAsync("/ns/default/sa/orders");
        await using var app = App.Echo();
        await using var proxy = await StartAsync(domain, app.EndPoint);
        await Eventually.IsTrueAsync(() => proxy.Readiness.IsReady, "the proxy is ready");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var before = (await source.WaitAsync(_patience)).Default;
        await using var old = await EchoedAsync(await Wire.TlsAsync(Inbound(proxy), before, ["istio"]));
        using var operators = domain.Admin();
        var first = Assert.Single(await operators.Authorities.ListAsync(_patience), authority => authority.Tier == "issuing");
        var next = await operators.Authorities.PrepareAsync(jwt: false, _patience);
        await operators.Authorities.ActivateAsync(jwt: false, next.AuthorityId, _patience);
        await operators.Authorities.TaintAsync(jwt: false, first.Id, _patience);
        await Eventually.IsTrueAsync(() => source.Current!.Default.Issuer!.SerialHex == next.AuthorityId, "an SVID of the new authority");
        await Eventually.IsTrueAsync(async () => (await AdminAsync(proxy, "/certs")).Contains(source.Current!.Default.Leaf.SerialHex, StringComparison.Ordinal), "the proxy's new SVID");
        await using var current = await EchoedAsync(await Wire.TlsAsync(Inbound(proxy), source.Current!.Default, ["istio"]));
        await EchoedAsync(old);

        await operators.Authorities.RevokeAsync(jwt: false, first.Id, _patience);

        Assert.Equal("", await old.ReadToEndAsync());
        await EchoedAsync(current);
        await Eventually.IsTrueAsync(
            () => Task.FromResult(File.ReadLines(Path.Combine(domain.Folder, "access.log")).Any(line => line.Contains(nameof(RefusalReason.PeerNoLongerTrusted), StringComparison.Ordinal) && line.Contains("revoked", StringComparison.Ordinal))),
            "the reason in the access log");
        await Assert.ThrowsAnyAsync<Exception>(async () => await EchoedAsync(await Wire.TlsAsync(Inbound(proxy), before, ["istio"])));
    }

    private static async Task<ProxyHost> StartAsync(TestTrustDomain domain, IPEndPoint app, IX509Source? identity = null, Func<ProxyConfig, ProxyConfig>? change = null)
    {
        var config = new ProxyConfig
        {
            Workload = new Workload("default", "orders", new Dictionary<string, string> { ["app"] = "orders" }),
            Identity = new IdentityConfig.Socket(domain.WorkloadApi),
            Inbound = [new InboundConfig("inbound-8080", new IPEndPoint(IPAddress.Loopback, 0), 8080, AppProtocol.Tcp, app)],
            Admin = new IPEndPoint(IPAddress.Loopback, 0),
            AccessLog = new AccessLogConfig { Path = Path.Combine(domain.Folder, "access.log"), Format = AccessLogFormat.Json },
        };
        var proxy = ProxyHost.Build((change ?? (same => same))(config), TimeProvider.System, NullLoggerFactory.Instance, identity);
        await proxy.StartAsync(CancellationToken.None);
        return proxy;
    }

    private static IPEndPoint Inbound(ProxyHost proxy) => proxy.Listening["inbound-8080"];

    private static async Task<string> AdminAsync(ProxyHost proxy, string path)
    {
        using var client = new HttpClient();
        return await (await client.GetAsync(new Uri($"http://{proxy.AdminEndPoint}{path}"))).Content.ReadAsStringAsync();
    }

    // A reset may come as soon as the connection is there.
    private static async Task IsRefusedAsync(IPEndPoint place)
    {
        try
        {
            await using var wire = await Wire.PlainAsync(place);
            await wire.SendAsync("hello");
            Assert.Equal("", await wire.ReadToEndAsync());
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
        {
            // That is a refusal too.
        }
    }

    // At once: half a file may be a policy too.
    private static void Set(TestFolder folder, string name, string text)
    {
        File.WriteAllText(folder.File(name + ".new"), text);
        File.Move(folder.File(name + ".new"), folder.File(name + ".yaml"), overwrite: true);
    }

    private async Task<StatusCode> RefusalAsync(AsyncDuplexStreamingCall<MeshRequest, MeshUpdate> call, MeshRequest first)
    {
        using (call)
        {
            return (await Assert.ThrowsAsync<RpcException>(async () =>
            {
                await call.RequestStream.WriteAsync(first, _patience);
                await call.ResponseStream.MoveNext(_patience);
            })).StatusCode;
        }
    }

    private static async Task<Wire> EchoedAsync(Wire wire)
    {
        await wire.SendAsync("hello");
        await wire.ReadUntilAsync("hello");
        return wire;
    }
}
