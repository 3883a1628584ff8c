using Signet.Agent;
using Signet.Hosting;
using Signet.Hosting.Configuration;

namespace Signet.UnitTests.Agent.Attestation.Workload;

public sealed class WorkloadAttestorsConfigTests
{
    [Fact]
    public void Nothing_but_the_kernel_is_asked_unless_somebody_says_so()
    {
        var config = Read("").WorkloadAttestors;
        Assert.Equal((null, null, null, null, null), (config.SystemBus, config.Docker, config.Containerd, config.Podman, config.K8s));
        Assert.Empty(Read("workloadAttestors: {unix: {}}").WorkloadTokens.Issuers);
    }

    [Fact]
    public void Each_has_the_usual_places()
    {
        var config = Read("workloadAttestors: {systemd: {}, docker: {}, containerd: {}, podman: {}, k8s: {}}").WorkloadAttestors;
        Assert.Equal(("/run/dbus/system_bus_socket", "/var/run/docker.sock", "/run/podman/podman.sock"), (config.SystemBus, config.Docker, config.Podman!.Socket));
        Assert.Empty(config.Podman.Users);
        Assert.Equal(["/run/containerd/containerd.sock", "default"], [config.Containerd!.Socket, .. config.Containerd.Namespaces]);
        Assert.Equal(("https://127.0.0.1:10250/", "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"), (config.K8s!.Kubelet.ToString(), config.K8s.CaFile));
        Assert.Equal((TimeSpan.FromSeconds(30), true), (config.K8s.Patience, config.K8s.ContainerSelectors));
    }

    [Fact]
    public void Tokens_say_what_their_issuers_may_say()
    {
        var tokens = Read("workloadTokens: {field: jwt, maxLifetime: 1h, issuers: [{issuer: paas, keys: paas.json, algorithms: [ES256], claims: {appkey: [orders-*, billing]}}]}").WorkloadTokens;
        Assert.Equal(("jwt", TimeSpan.FromHours(1)), (tokens.Field, tokens.MaxLifetime));
        var issuer = Assert.Single(tokens.Issuers);
        Assert.Equal(("paas", "/etc/signet/paas.json"), (issuer.Issuer, issuer.Keys));
        Assert.Equal((true, true, false, false), (issuer.MaySay("appkey", "orders-eu"), issuer.MaySay("appkey", "billing"), issuer.MaySay("appkey", "billing2"), issuer.MaySay("appkey", "x")));
    }

    [Theory]
    [InlineData("workloadAttestors: {dockr: {}}", "did you mean \"docker\"")]
    [InlineData("workloadAttestors: {containerd: {namespaces: ['a b']}}", "names up to 16 namespaces")]
    [InlineData("workloadAttestors: {podman: {users: [mary]}}", "is not the number of a user")]
    [InlineData("workloadAttestors: {podman: {userSocket: /run/podman.sock}}", "has no {uid}")]
    [InlineData("workloadAttestors: {k8s: {kubelet: 'http://10.0.0.1:10255'}}", "http:// on a loopback address")]
    [InlineData("workloadAttestors: {k8s: {kubelet: 'https://10.0.0.1:10250'}}", "nodeName: is missing")]
    [InlineData("workloadAttestors: {k8s: {kubelet: 'https://127.0.0.1:10250/pods'}}", "is not https://HOST:PORT")]
    [InlineData("workloadAttestors: {k8s: {patience: 10m}}", "patience")]
    [InlineData("workloadTokens: {}", "write 1 to 16")]
    [InlineData("workloadTokens: {issuers: [{issuer: a, keys: k}]}", "say what this issuer may claim")]
    [InlineData("workloadTokens: {issuers: [{issuer: a, keys: k, claims: {appkey: ['*']}}, {issuer: a, keys: k, claims: {appkey: ['*']}}]}", "names \"a\" twice")]
    [InlineData("workloadTokens: {issuers: [{issuer: a, keys: k, algorithms: [HS256], claims: {appkey: ['*']}}]}", "is not an algorithm with a public key")]
    [InlineData("workloadTokens: {issuers: [{issuer: a, keys: k, claims: {'app:key': ['*']}}]}", "is no name of a claim")]
    public void What_is_wrong_is_said(string text, string problem) =>
        Assert.Contains(Assert.Throws<ConfigException>(() => Read(text)).Problems, found => found.ToString().Contains(problem, StringComparison.Ordinal));

    private static AgentConfig Read(string text) => ConfigDocument.Read(
        "/etc/signet/agent.yaml",
        "trustDomain: example.org\nserver: 127.0.0.1:8081\n" + text,
        new Dictionary<string, string>(),
        root => AgentConfig.Read(root, Places.TryChoose("/home/somebody/.signet", isRoot: false, userHome: null, out var places, out var wrong) ? places : throw new InvalidOperationException(wrong)));
}
