using System.Text;
using System.Text.Json.Nodes;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Attestation.Workload.Containers;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent.Workloads;

/// <summary>In which pod a process runs, by the kubelet's word, over its real ports.</summary>
public sealed class K8sAttestorTests : IAsyncLifetime
{
    private const int Pid = 4711;
    private const string Uid = "2c48913c-b29f-11e7-9350-020968147796";
    private static readonly string Id = new('a', 64);

    private readonly ContainerProc _proc = new();
    private FakeKubelet _kubelet = null!;

    public async ValueTask InitializeAsync()
    {
        _kubelet = await FakeKubelet.StartAsync();
        _proc.Put(Pid, $"0::/kubepods.slice/kubepods-pod{Uid.Replace('-', '_')}.slice/cri-containerd-{Id}.scope\n");
    }

    public async ValueTask DisposeAsync()
    {
        await _kubelet.DisposeAsync();
        _proc.Dispose();
    }

    [Fact]
    public async Task A_pods_process_gets_what_the_kubelet_says_of_its_pod_and_container()
    {
        _kubelet.Pods.Add(FakeKubelet.Pod("other", "other", new string('b', 64)));
        _kubelet.Pods.Add(FakeKubelet.Pod(Uid, "web", Id));
        var verdict = await AttestAsync(_kubelet.Config with { NodeName = "node-1" });
        Assert.Equal("", verdict.Problem);
        Assert.Contains(new("k8s", "ns:shop"), verdict.Selectors);
        Assert.Contains(new("k8s", "sa:web"), verdict.Selectors);
        Assert.Contains(new("k8s", "pod-label:app:web"), verdict.Selectors);
        Assert.Contains(new("k8s", "container-image:registry/web@sha256:1"), verdict.Selectors);
        Assert.DoesNotContain(new("k8s", "pod-label:app:other"), verdict.Selectors);
    }

    [Fact]
    public async Task The_read_only_port_needs_neither_token_nor_authority()
    {
        await using var open = await FakeKubelet.StartAsync(isSecure: false);
        open.Pods.Add(FakeKubelet.Pod(Uid, "web", Id));
        Assert.NotEmpty((await AttestAsync(open.Config with { CaFile = "/nowhere", TokenFile = "/nowhere" })).Selectors);
    }

    [Fact]
    public async Task A_process_in_no_pod_asks_nobody()
    {
        _proc.Put(Pid, "0::/system.slice/nginx.service\n");
        Assert.Equal(WorkloadVerdict.Nothing, await AttestAsync(_kubelet.Config));
        Assert.Equal(0, _kubelet.Asked);
    }

    [Fact]
    public async Task A_container_that_the_kubelet_does_not_know_yet_is_waited_for()
    {
        _kubelet.Pods.Add(FakeKubelet.Pod(Uid, "web"));
        var asked = AttestAsync(_kubelet.Config);
        await Eventually.IsTrueAsync(() => _kubelet.Asked > 0, "the first question");
        lock (_kubelet.Pods)
        {
            _kubelet.Pods[0] = FakeKubelet.Pod(Uid, "web", Id);
        }

        Assert.Contains(new("k8s", "container-name:main"), (await asked).Selectors);
    }

    [Fact]
    public async Task A_container_that_never_shows_is_given_up()
    {
        var verdict = await AttestAsync(_kubelet.Config with { Patience = TimeSpan.FromMilliseconds(300) });
        Assert.Contains($"knows no container {Id} in pod {Uid}", verdict.Problem);
    }

    [Fact]
    public async Task A_process_that_ends_while_its_container_is_waited_for_is_not_waited_for()
    {
        var verdict = await AttestAsync(_kubelet.Config, isAlive: () => false);
        Assert.Contains("has ended", verdict.Problem);
        Assert.Equal(1, _kubelet.Asked);
    }

    [Fact]
    public async Task The_kubelets_own_certificate_may_be_what_is_believed()
    {
        _kubelet.Pods.Add(FakeKubelet.Pod(Uid, "web", Id));
        Assert.NotEmpty((await AttestAsync(_kubelet.Config with { CaFile = _kubelet.OwnCertificate })).Selectors);
    }

    [Fact]
    public async Task A_kubelet_of_another_cluster_or_name_is_not_believed_and_sees_no_token()
    {
        await using var stranger = await FakeKubelet.StartAsync();
        var verdict = await AttestAsync(_kubelet.Config with { CaFile = stranger.Config.CaFile });
        Assert.NotEmpty(verdict.Problem);
        Assert.Empty(verdict.Selectors);
        Assert.NotEmpty((await AttestAsync(_kubelet.Config with { NodeName = "node-2" })).Problem);
        Assert.Equal(0, _kubelet.Asked);
    }

    [Theory]
    [InlineData("401", "answered 401")]
    [InlineData("404", "knows no /pods")]
    [InlineData("no list", "no list")]
    [InlineData("no JSON", "127.0.0.1")]
    [InlineData("endless", "longer than 33554432 bytes")]
    [InlineData("twice", "is in 2 pods")]
    public async Task A_kubelet_that_says_something_else_than_it_should_gives_nobody_anything(string what, string reason)
    {
        var config = _kubelet.Config;
        switch (what)
        {
            case "401":
                config = config with { TokenFile = config.CaFile + ".token" };
                await File.WriteAllTextAsync(config.TokenFile, "other");
                break;
            case "twice":
                _proc.Put(Pid, $"0::/../cri-containerd-{Id}.scope\n");
                _kubelet.Pods.Add(FakeKubelet.Pod(Uid, "web", Id));
                _kubelet.Pods.Add(FakeKubelet.Pod("other", "web", Id));
                break;
            default:
                _kubelet.Instead = async context =>
                {
                    context.Response.StatusCode = what == "404" ? 404 : 200;
                    var text = what switch { "no list" => "{\"items\":{}}", "no JSON" => "<html>", "404" => "", _ => new string(' ', 1_000_000) };
                    for (var i = 0; i < (what == "endless" ? 100 : 1) && !context.RequestAborted.IsCancellationRequested; i++)
                    {
                        await context.Response.Body.WriteAsync(Encoding.ASCII.GetBytes(text), context.RequestAborted);
                    }
                };
                break;
        }

        var verdict = await AttestAsync(config);
        Assert.Contains(reason, verdict.Problem);
        Assert.Empty(verdict.Selectors);
    }

    [Fact]
    public async Task Pods_of_any_shape_break_nothing()
    {
        foreach (var odd in new[] { "null", "1", "[]", "{\"metadata\":[]}", "{\"metadata\":{\"uid\":1,\"labels\":[1]},\"status\":{\"containerStatuses\":{\"a\":1}}}", "{\"status\":{\"containerStatuses\":[null,{\"containerID\":\"://\"}]}}" })
        {
            _kubelet.Pods.Add(JsonNode.Parse(odd));
        }

        _kubelet.Pods.Add(FakeKubelet.Pod(Uid, "web", Id));
        Assert.NotEmpty((await AttestAsync(_kubelet.Config)).Selectors);
    }

    [Fact]
    public async Task Many_who_ask_at_once_share_the_answers()
    {
        _kubelet.Pods.Add(FakeKubelet.Pod(Uid, "web", Id));
        var gate = new TaskCompletionSource();
        using var kubelet = new Kubelet(_kubelet.Config, TimeProvider.System);
        _kubelet.Instead = async context =>
        {
            await gate.Task;
            await context.Response.Body.WriteAsync("{\"items\":[]}"u8.ToArray());
        };
        var first = kubelet.PodsAsync(CancellationToken.None);
        await Eventually.IsTrueAsync(() => _kubelet.Asked == 1, "the first question");
        var others = Enumerable.Range(0, 50).Select(_ => kubelet.PodsAsync(CancellationToken.None)).ToArray();
        gate.SetResult();
        await Task.WhenAll([first, .. others]);
        Assert.Equal(2, _kubelet.Asked);
    }

    private async Task<WorkloadVerdict> AttestAsync(KubeletConfig config, Func<bool>? isAlive = null)
    {
        using var attestor = new K8sAttestor(config, new Kubelet(config, TimeProvider.System), _proc.Proc, TimeProvider.System, () => 0.5);
        return await attestor.AttestAsync(new WorkloadProcess(Pid, 0, 0, isAlive ?? (() => true)), CancellationToken.None);
    }
}
