using System.Collections.Immutable;
using System.Net;
using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.WorkloadApi;
using Signet.Client;
using Signet.FunctionalTests.Proxy;
using Signet.Hosting;
using Signet.Hosting.Distribution;
using Signet.Hosting.Files;
using Signet.Policy;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Rpc.Wire.Mesh;
using Signet.Testing;
using MeshApi = Signet.Rpc.Wire.Mesh.Mesh;
using MeshDocument = Signet.Hosting.Distribution.MeshDocument;

namespace Signet.FunctionalTests.Mesh;

/// <summary>A proxy and an agent that says what a test wants, be it nonsense.</summary>
public sealed class ProxyAndAgentTests : IAsyncDisposable
{
    private const string Strict = """{"apiVersion":"security.istio.io/v1","kind":"PeerAuthentication","metadata":{"name":"a","namespace":"default"},"spec":{"mtls":{"mode":"STRICT"}}}""";
    private const string DenyAll = """{"apiVersion":"security.istio.io/v1","kind":"AuthorizationPolicy","metadata":{"name":"b","namespace":"default"},"spec":{}}""";

    private readonly TestFolder _folder = new();
    private readonly FakeAgent _agent = new();
    private readonly TestAuthority _authority = new(DateTimeOffset.UtcNow);
    private readonly TestIdentity _identity = new();
    private WorkloadEndpoint? _socket;

    [Fact]
    public async Task Takes_a_revision_whole_refuses_a_bad_one_whole_with_its_reason_and_goes_on_with_the_last_good_one()
    {
        await OpenSocketAsync();
        _agent.Offer(1, ("PeerAuthentication/default/a", "PeerAuthentication", Strict));
        await using var proxy = await StartAsync();

        // 1. The policies may come before the identity says which trust domain they are for.
        await Eventually.IsTrueAsync(() => _agent.Standing is { Acknowledged: 1 }, "the first revision");
        Assert.Null(proxy.Model);
        _identity.Publish(_authority.Context("/ns/default/sa/orders"));
        await Eventually.IsTrueAsync(() => proxy.Readiness.IsReady, "the proxy is ready");
        Assert.Equal((1UL, MtlsMode.Strict), (proxy.Model!.Revision, proxy.Model.Policy.MtlsFor(8080).Mode));

        // 2. One bad document among good ones: nothing of the revision counts.
        _agent.Offer(2, ("PeerAuthentication/default/a", "PeerAuthentication", Strict), ("AuthorizationPolicy/default/b", "AuthorizationPolicy", DenyAll), ("AuthorizationPolicy/default/c", "AuthorizationPolicy", DenyAll.Replace("spec", "sepc", StringComparison.Ordinal)));
        await Eventually.IsTrueAsync(() => _agent.Standing is { Refused: 2, Acknowledged: 1 }, "the refusal");
        Assert.Contains("sepc", _agent.Standing!.Problem, StringComparison.Ordinal);
        Assert.Equal((1UL, 1), (proxy.Model.Revision, proxy.Model.Set.Objects.Count()));
        await Eventually.IsTrueAsync(async () => (await AdminAsync(proxy, "/ready")).Contains("sepc", StringComparison.Ordinal), "/ready has the reason");
        Assert.Contains("\"agentRevision\": 1", await AdminAsync(proxy, "/config"), StringComparison.Ordinal);
        _agent.Offer(3, ("Endpoints/default/x", MeshKinds.Endpoints, "{}"));
        await Eventually.IsTrueAsync(() => _agent.Standing is { Refused: 3 }, "the refusal of endpoints that are none");
        _agent.Offer(4, ("MeshConfig//", MeshKinds.Settings, """{"pathNormalization":"NONSENSE"}"""));
        await Eventually.IsTrueAsync(() => _agent.Standing is { Refused: 4 }, "the refusal of settings that are none");
        Assert.Equal(1UL, proxy.Model.Revision);

        // 3. A good one counts again.
        _agent.Offer(5, ("PeerAuthentication/default/a", "PeerAuthentication", Strict), ("AuthorizationPolicy/default/b", "AuthorizationPolicy", DenyAll));
        await Eventually.IsTrueAsync(() => _agent.Standing is { Acknowledged: 5, Refused: 0 }, "the next good revision");
        Assert.Equal((5UL, 2), (proxy.Model.Revision, proxy.Model.Set.Objects.Count()));
        Assert.Contains("in force", await AdminAsync(proxy, "/config"), StringComparison.Ordinal);

        // 4. Nothing is taken away when the agent goes, nor when it comes back with less to say than a revision.
        await _socket!.DisposeAsync();
        await Eventually.IsTrueAsync(async () => !(await AdminAsync(proxy, "/config")).Contains("in force", StringComparison.Ordinal), "the proxy notices");
        _agent.Say("still starting");
        await OpenSocketAsync();
        await Eventually.IsTrueAsync(async () => (await AdminAsync(proxy, "/config")).Contains("still starting", StringComparison.Ordinal), "what the agent says");
        Assert.Equal((5UL, 2), (proxy.Model.Revision, proxy.Model.Set.Objects.Count()));
        Assert.True(proxy.Readiness.IsReady);
    }

    public async ValueTask DisposeAsync()
    {
        await (_socket?.DisposeAsync() ?? ValueTask.CompletedTask);
        _folder.Dispose();
    }

    private string Path => _folder.File("agent.sock");

    private async Task OpenSocketAsync()
    {
        _socket = new WorkloadEndpoint("Workload API", Path, UnixSocketPath.EverybodyConnects, services => services.Add(MeshApi.Descriptor, MeshApi.BindService(_agent), WorkloadHeader.CheckAsync), TimeProvider.System, NullLoggerFactory.Instance);
        await _socket.StartAsync(CancellationToken.None);
    }

    private async Task<ProxyHost> StartAsync()
    {
        Assert.True(WorkloadApiAddress.TryParse(Path, out var address, out _));
        var proxy = ProxyHost.Build(
            new ProxyConfig
            {
                Workload = new Workload("default", "orders", new Dictionary<string, string>()),
                Identity = new IdentityConfig.Socket(address!),
                Inbound = [new InboundConfig("inbound-8080", new IPEndPoint(IPAddress.Loopback, 0), 8080, AppProtocol.Tcp, new IPEndPoint(IPAddress.Loopback, 1))],
                Admin = new IPEndPoint(IPAddress.Loopback, 0),
                AccessLog = new AccessLogConfig { Path = _folder.File("access.log"), Format = AccessLogFormat.Json },
            },
            TimeProvider.System,
            NullLoggerFactory.Instance,
            _identity);
        await proxy.StartAsync(CancellationToken.None);
        return proxy;
    }

    private static async Task<string> AdminAsync(ProxyHost proxy, string path)
    {
        using var client = new HttpClient();
        return await (await client.GetAsync(new Uri($"http://{proxy.AdminEndPoint}{path}"))).Content.ReadAsStringAsync();
    }

    private sealed class FakeAgent : MeshApi.MeshBase
    {
        private readonly ChangeSignal _changes = new();
        private readonly MeshAudience _audience = new(TimeProvider.System);
        private MeshOffer _offer = new(null, "");

        public MeshStanding? Standing => _audience.Standings.SingleOrDefault();

        public void Offer(ulong revision, params (string Name, string Kind, string Text)[] documents) =>
            Set(new MeshOffer(new MeshSnapshot(revision, documents.ToImmutableDictionary(one => one.Name, one => new MeshDocument(one.Name, one.Kind, "default", true, one.Text))), ""));

        public void Say(string problem) => Set(new MeshOffer(null, problem));

        public override async Task Watch(IAsyncStreamReader<MeshRequest> requestStream, IServerStreamWriter<MeshUpdate> responseStream, ServerCallContext context)
        {
            Assert.True(await requestStream.MoveNext(context.CancellationToken));
            using var seat = _audience.Open(requestStream.Current.Name);
            await new MeshPush(requestStream, responseStream, seat, (_, _) => { }).RunAsync(() => Volatile.Read(ref _offer), [_changes], context.CancellationToken);
        }

        private void Set(MeshOffer offer)
        {
            Volatile.Write(ref _offer, offer);
            _changes.Raise();
        }
    }
}
