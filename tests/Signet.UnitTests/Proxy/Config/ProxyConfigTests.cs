using System.Net;
using Signet.Hosting.Configuration;
using Signet.Proxy.Config;

namespace Signet.UnitTests.Proxy.Config;

public sealed class ProxyConfigTests
{
    private const string Sample = """
        workload: {namespace: production, serviceAccount: order-service, labels: {app: order-service}}
        identity: {socket: unix:/run/signet/agent.sock}
        capture: {mode: none}
        inbound:
        - {listen: 0.0.0.0:15006, port: 8080, protocol: http, app: 127.0.0.1:8080}
        outbound:
        - {listen: 127.0.0.1:9001, host: payments.production.svc.cluster.local, port: 8080, protocol: http, endpoints: ["10.0.0.9:15006"]}
        policy: {folder: /etc/signet/policy}
        admin: 127.0.0.1:15000
        """;

    [Fact]
    public void Reads_the_documented_sample()
    {
        var config = Read(Sample);

        Assert.Equal(("production", "order-service", "order-service"), (config.Workload.Namespace, config.Workload.ServiceAccount, config.Workload.Labels["app"]));
        Assert.Equal("unix:/run/signet/agent.sock", Assert.IsType<IdentityConfig.Socket>(config.Identity).Address.ToString());
        var inbound = Assert.Single(config.Inbound);
        Assert.Equal((IPEndPoint.Parse("0.0.0.0:15006"), 8080, AppProtocol.Http, "127.0.0.1:8080"), (inbound.Listen, inbound.Port, inbound.Protocol, inbound.App.ToString()));
        var outbound = Assert.Single(config.Outbound);
        Assert.Equal(("payments.production.svc.cluster.local", 8080, "10.0.0.9:15006"), (outbound.Host, outbound.Port, outbound.Endpoints[0].ToString()));
        Assert.Empty(outbound.ServerIdentities);
        Assert.Equal("/etc/signet/policy", config.PolicyFolder);
        Assert.Equal(IPEndPoint.Parse("127.0.0.1:15000"), config.Admin);
        Assert.Equal(TimeSpan.FromSeconds(5), config.Timeouts.Detection);
        Assert.Null(config.AccessLog.Path);
    }

    [Fact]
    public void Reads_every_option()
    {
        var config = Read(Sample.Replace("identity: {socket: unix:/run/signet/agent.sock}", "identity: {files: {certificate: a.pem, key: b.pem, roots: c.pem}}", StringComparison.Ordinal) + "\n" + """
            trustDomain: example.org
            metrics: 0.0.0.0:15020
            ready: 0.0.0.0:15021
            log: {level: debug, format: json}
            accessLog: {path: /var/log/signet/access.log, format: json}
            timeouts: {detection: 3s, serverFirst: 100ms, handshake: 7s, connect: 2s, requestHead: 4s, keepAlive: 1m, streamIdle: 2m, tcpIdle: 2h, upstreamIdle: 3s}
            limits: {connections: 5, handshakes: 6, idleUpstreams: 7, checks: 8}
            mesh: {file: mesh.yaml}
            tokenKeys: {roots: roots.pem}
            """);

        Assert.Equal("example.org", config.TrustDomain!.Name);
        Assert.Equal(("mesh.yaml", "roots.pem"), (Path.GetFileName(config.MeshFile), Path.GetFileName(config.TokenKeyRoots)));
        Assert.Equal((15020, 15021), (config.Metrics!.Port, config.Ready!.Port));
        Assert.EndsWith("b.pem", Assert.IsType<IdentityConfig.Files>(config.Identity).Key, StringComparison.Ordinal);
        Assert.Equal(new AccessLogConfig { Path = "/var/log/signet/access.log", Format = AccessLogFormat.Json }, config.AccessLog);
        Assert.Equal(
            new ProxyTimeouts
            {
                Detection = TimeSpan.FromSeconds(3), ServerFirst = TimeSpan.FromMilliseconds(100), Handshake = TimeSpan.FromSeconds(7), Connect = TimeSpan.FromSeconds(2),
                RequestHead = TimeSpan.FromSeconds(4), KeepAlive = TimeSpan.FromMinutes(1), StreamIdle = TimeSpan.FromMinutes(2), TcpIdle = TimeSpan.FromHours(2), UpstreamIdle = TimeSpan.FromSeconds(3),
            },
            config.Timeouts);
        Assert.Equal(new ProxyLimits { Connections = 5, Handshakes = 6, IdleUpstreams = 7, Checks = 8 }, config.Limits);
    }

    [Theory]
    [InlineData("mode: none", "mode: redirect", "redirect")]
    [InlineData("protocol: http, app", "protocol: grpc, app", "grpc")]
    [InlineData("port: 8080, protocol: http, app", "port: 70000, protocol: http, app", "70000")]
    [InlineData("host: payments.production.svc.cluster.local", "host: Payments", "Payments")]
    [InlineData("host: payments.production.svc.cluster.local", "host: \"a b\"", "host name")]
    [InlineData("endpoints: [\"10.0.0.9:15006\"]", "endpoints: []", "endpoints")]
    [InlineData("endpoints: [\"10.0.0.9:15006\"]", "endpoints: [nowhere]", "nowhere")]
    [InlineData("endpoints: [\"10.0.0.9:15006\"]", "endpoints: [\"10.0.0.9:15006\"], serverIdentities: [\"payments\"]", "spiffe://")]
    [InlineData("socket: unix:/run/signet/agent.sock", "socket: agent.sock", "agent.sock")]
    [InlineData("socket: unix:/run/signet/agent.sock", "socket: unix:/a, files: {certificate: a, key: b, roots: c}", "keep one")]
    [InlineData("policy: {folder: /etc/signet/policy}", "", "policy.folder")]
    [InlineData("namespace: production, ", "", "namespace")]
    [InlineData("listen: 127.0.0.1:9001, ", "", "listen")]
    [InlineData("admin: 127.0.0.1:15000", "admn: 127.0.0.1:15000", "did you mean")]
    [InlineData("admin: 127.0.0.1:15000", "timeouts: {handshake: 5}", "handshake")]
    public void Says_what_is_wrong_and_where(string good, string bad, string said)
    {
        var problem = Assert.Throws<ConfigException>(() => Read(Sample.Replace(good, bad, StringComparison.Ordinal)));

        Assert.Contains(problem.Problems, one => one.ToString().Contains(said, StringComparison.Ordinal));
        Assert.All(problem.Problems, one => Assert.StartsWith("proxy.yaml:", one.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public void Wants_at_least_one_port() =>
        Assert.Contains("outbound", Assert.Throws<ConfigException>(() => Read("workload: {namespace: a}\npolicy: {folder: /p}\n")).Message, StringComparison.Ordinal);

    private static ProxyConfig Read(string text) => ConfigDocument.Read("proxy.yaml", text, new Dictionary<string, string>(), ProxyConfig.Read);
}
