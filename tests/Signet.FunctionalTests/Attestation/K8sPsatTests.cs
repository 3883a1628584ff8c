using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Signet.Agent.Attestation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Attestation;
using Signet.Server.Attestation;
using Signet.Testing;
using K8sPsatAttestor = Signet.Server.Attestation.K8sPsatAttestor;

namespace Signet.FunctionalTests.Attestation;

/// <summary>Pods that show a service account token, and what a cluster says of it.</summary>
public sealed class K8sPsatTests : IAsyncLifetime
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;
    private readonly TestFolder _files = new();
    private FakeKubernetes _cluster = null!;

    public async ValueTask InitializeAsync() => _cluster = await FakeKubernetes.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _cluster.DisposeAsync();
        _files.Dispose();
    }

    [Fact]
    public async Task An_agent_joins_with_its_pods_token_and_attests_again_with_the_newest()
    {
        var attestation = new AttestationConfig { K8sPsat = new Dictionary<string, K8sClusterConfig> { ["demo"] = _cluster.Config } };
        await using var domain = await TestTrustDomain.StartAsync(TimeSpan.FromSeconds(14), hasAgent: false, configure: config => config with { Attestation = attestation });
        await File.WriteAllTextAsync(_files.File("token"), "good\n");
        await domain.StartAgentAsync(new AttestorConfig.K8sPsat("demo", _files.File("token")));
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        using var admin = domain.Admin();
        var agent = await admin.AgentAsync(SpiffeId.Of(TestTrustDomain.Name, "/spire/agent/k8s_psat/demo/node-uid"), _patience);
        Assert.True(agent.CanReattest);

        _cluster.Tokens["newer"] = FakeKubernetes.Status();
        await File.WriteAllTextAsync(_files.File("token"), "newer");
        await Eventually.IsTrueAsync(() => _cluster.Reviews.Any(review => (string?)review["token"] == "newer"), "the next attestation");
    }

    [Fact]
    public async Task The_node_gives_the_ID_and_selectors_tell_where_the_agent_runs()
    {
        var proof = Assert.IsType<NodeProof.Repeatable>((await AttestAsync("good")).Proof);
        Assert.Equal("spiffe://example.org/spire/agent/k8s_psat/demo/node-uid", proof.SpiffeId.Uri);
        Assert.Equal(
            [
                "k8s_psat:agent_node_ip:10.0.0.7",
                "k8s_psat:agent_node_label:zone:eu-1",
                "k8s_psat:agent_node_name:node-1",
                "k8s_psat:agent_node_uid:node-uid",
                "k8s_psat:agent_ns:spire",
                "k8s_psat:agent_pod_label:app:agent",
                "k8s_psat:agent_pod_name:agent-1",
                "k8s_psat:agent_pod_uid:pod-uid",
                "k8s_psat:agent_sa:spire-agent",
                "k8s_psat:cluster:demo",
            ],
            proof.Selectors.Select(selector => selector.ToString()).Order(StringComparer.Ordinal));
        Assert.Equal("""["spire-server"]""", Assert.Single(_cluster.Reviews)["audiences"]!.ToJsonString());
    }

    [Theory]
    [InlineData("unknown", "does not accept the token: invalid bearer token")]
    [InlineData("for others", "the token is not for spire-server")]
    [InlineData("for nobody", "the token is not for spire-server")]
    [InlineData("of a user", "is not one of a service account")]
    [InlineData("of another account", "\"spire:other\" is not one that agents of cluster demo run as")]
    [InlineData("of the account in another namespace", "\"other:spire-agent\" is not one that agents of cluster demo run as")]
    [InlineData("with too many parts", "is not one of a service account")]
    [InlineData("bound to no pod", "is not bound to a pod")]
    [InlineData("of an earlier pod", "is not there any more")]
    public async Task A_token_that_proves_nothing_is_refused(string token, string reason)
    {
        _cluster.Tokens["for others"] = FakeKubernetes.Status(audience: "vault");
        _cluster.Tokens["for nobody"] = JsonNode.Parse("""{"authenticated":true,"user":{"username":"system:serviceaccount:spire:spire-agent"}}""")!;
        _cluster.Tokens["of a user"] = FakeKubernetes.Status("kubernetes-admin");
        _cluster.Tokens["of another account"] = FakeKubernetes.Status("system:serviceaccount:spire:other");
        _cluster.Tokens["of the account in another namespace"] = FakeKubernetes.Status("system:serviceaccount:other:spire-agent");
        _cluster.Tokens["with too many parts"] = FakeKubernetes.Status("system:serviceaccount:spire:spire-agent:x");
        _cluster.Tokens["bound to no pod"] = FakeKubernetes.Status(podUid: null);
        _cluster.Tokens["of an earlier pod"] = FakeKubernetes.Status(podUid: "earlier");
        var verdict = await AttestAsync(token);
        Assert.Equal(NodeProblem.Refused, verdict.Problem);
        Assert.Contains(reason, verdict.Reason);
    }

    [Theory]
    [InlineData("/api/v1/namespaces/spire/pods/agent-1")]
    [InlineData("/api/v1/nodes/node-1")]
    public async Task A_pod_or_node_that_is_gone_proves_nothing(string path)
    {
        Assert.True(_cluster.Objects.TryRemove(path, out _));
        Assert.Equal(NodeProblem.Refused, (await AttestAsync("good")).Problem);
    }

    [Fact]
    public async Task Another_cluster_or_no_token_is_not_even_asked_about()
    {
        Assert.Equal(NodeProblem.Refused, (await AttestAsync("good", cluster: "other")).Problem);
        using var api = new KubernetesApi(_cluster.Config, TimeProvider.System);
        var attestor = new K8sPsatAttestor(TestTrustDomain.Name, new Dictionary<string, K8sCluster> { ["demo"] = new(_cluster.Config, api) });
        Assert.Equal(NodeProblem.Malformed, (await attestor.AttestAsync(Exchange("""{"cluster":"demo"}"""u8.ToArray()), _patience)).Problem);
        Assert.Empty(_cluster.Reviews);
    }

    [Theory]
    [InlineData(500, "", "answered 500")]
    [InlineData(403, "", "answered 403")]
    [InlineData(302, "", "answered 302")]
    [InlineData(200, "nonsense", "")]
    [InlineData(404, "", "it knows no TokenReview")]
    public async Task A_cluster_that_cannot_be_asked_is_no_verdict_and_the_node_is_not_told_more(int status, string body, string reason)
    {
        _cluster.Instead = async context =>
        {
            context.Response.StatusCode = status;
            context.Response.Headers.Location = "https://127.0.0.1:1/";
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(body));
        };
        var verdict = await AttestAsync("good");
        Assert.Equal(NodeProblem.Unavailable, verdict.Problem);
        Assert.Contains(reason, verdict.Reason);
        Assert.Equal("the cluster cannot be asked about the token now; the server's log says why", verdict.Told);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("5")]
    [InlineData("{}")]
    [InlineData("""{"status":null}""")]
    [InlineData("""{"status":{"authenticated":"true"}}""")]
    [InlineData("""{"status":{"authenticated":true,"audiences":"spire-server","user":[]}}""")]
    [InlineData("""{"status":{"authenticated":true,"audiences":["spire-server"],"user":{"username":"\ud800"}}}""")]
    public async Task An_answer_of_another_form_is_never_a_yes(string body)
    {
        _cluster.Instead = context => context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(body)).AsTask();
        Assert.Equal(NodeProblem.Refused, (await AttestAsync("good")).Problem);
    }

    [Fact]
    public async Task An_answer_without_end_is_cut_off()
    {
        _cluster.Instead = async context =>
        {
            for (var i = 0; i < 64 && !context.RequestAborted.IsCancellationRequested; i++)
            {
                await context.Response.Body.WriteAsync(new byte[64 * 1024], context.RequestAborted);
            }
        };
        var verdict = await AttestAsync("good");
        Assert.Equal(NodeProblem.Unavailable, verdict.Problem);
        Assert.Contains("longer than", verdict.Reason);
    }

    [Fact]
    public async Task A_cluster_that_does_not_answer_costs_ten_seconds_and_no_more()
    {
        var asked = 0;
        _cluster.Instead = async context =>
        {
            Interlocked.Increment(ref asked);
            await Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        };

        // A clock that stands at the present, so that certificates hold.
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        var attesting = AttestAsync("good", time: time);
        await Eventually.IsTrueAsync(() => Volatile.Read(ref asked) == 1, "the question");
        time.Advance(TimeSpan.FromSeconds(10));
        var verdict = await attesting;
        Assert.Equal(NodeProblem.Unavailable, verdict.Problem);
        Assert.Contains("did not answer within 10 s", verdict.Reason);
    }

    [Fact]
    public async Task A_cluster_with_a_certificate_of_strangers_never_sees_a_token()
    {
        await File.WriteAllTextAsync(_files.File("ca.crt"), Pem.Encode(new TestAuthority(DateTimeOffset.UtcNow).Anchor));
        var verdict = await AttestAsync("good", config: _cluster.Config with { CaFile = _files.File("ca.crt") });
        Assert.Equal(NodeProblem.Unavailable, verdict.Problem);
        Assert.Contains("CN=server,O=Test", verdict.Reason);
        Assert.Empty(_cluster.Reviews);
    }

    [Fact]
    public async Task A_certificate_for_another_host_does_not_count()
    {
        var config = _cluster.Config;
        var verdict = await AttestAsync("good", config: config with { Server = new UriBuilder(config.Server) { Host = "localhost" }.Uri });
        Assert.Equal(NodeProblem.Unavailable, verdict.Problem);
        Assert.Contains("is not for the host \"localhost\"", verdict.Reason);
        Assert.Empty(_cluster.Reviews);
    }

    [Fact]
    public async Task A_missing_token_of_the_server_itself_is_named()
    {
        var verdict = await AttestAsync("good", config: _cluster.Config with { TokenFile = _files.File("nothing") });
        Assert.Equal(NodeProblem.Unavailable, verdict.Problem);
        Assert.Contains(_files.File("nothing"), verdict.Reason);
    }

    [Fact]
    public async Task An_agent_without_a_token_file_says_what_to_do()
    {
        var missing = await Assert.ThrowsAsync<AttestationException>(() => new Signet.Agent.Attestation.K8sPsatAttestor(new("demo", _files.File("nothing"))).BeginAsync(_patience));
        Assert.Contains("project a service account token", missing.Message);
    }

    private async Task<NodeVerdict> AttestAsync(string token, string cluster = "demo", K8sClusterConfig? config = null, TimeProvider? time = null)
    {
        config ??= _cluster.Config;
        using var api = new KubernetesApi(config, time ?? TimeProvider.System);
        var attestor = new K8sPsatAttestor(TestTrustDomain.Name, new Dictionary<string, K8sCluster> { ["demo"] = new(config, api) });
        return await attestor.AttestAsync(Exchange(new K8sTokenWire(cluster, token).Encode()), _patience);
    }

    private static NodeExchange Exchange(byte[] payload) => new(payload, (_, _) => throw new InvalidOperationException("a token needs no challenge"));
}
