using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Cli.Clients;
using Signet.Cli.Demo;
using Signet.InteropTests.Rpc;
using Signet.Policy;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Proxy.ProxyProtocol;
using Signet.Testing;

namespace Signet.InteropTests.Capture;

/// <summary>HAProxy on both sides of a proxy: it says who the client is, and it is told.</summary>
public sealed class HaproxyTests : IDisposable
{
    private const string Haproxy = "/usr/sbin/haproxy";

    private readonly TestFolder _folder = new();

    [Theory]
    [InlineData(ProxyVersion.V1, "send-proxy", "src=127.0.0.77 authority= id=")]
    [InlineData(ProxyVersion.V2, "send-proxy-v2 proxy-v2-options crc32c,unique-id", "src=127.0.0.77 authority=orders.test id=from-haproxy")]
    public async Task HAProxy_and_a_proxy_understand_each_others_headers(ProxyVersion version, string send, string expected)
    {
        Peer.Require(Haproxy, "haproxy");
        var ports = DemoPorts.Take(2);
        var (front, back) = (ports[0], ports[1]);
        var authority = new TestAuthority(DateTimeOffset.UtcNow);
        await using var proxy = await StartProxyAsync(authority, version, back);

        // The client's connection goes through HAProxy, the proxy, and HAProxy again, which answers what it was told.
        await File.WriteAllTextAsync(_folder.File("haproxy.cfg"), $"""
            defaults
              timeout connect 10s
              timeout client 30s
              timeout server 30s
            frontend before
              mode tcp
              bind 127.0.0.1:{front}
              unique-id-format from-haproxy
              default_backend proxy
            backend proxy
              mode tcp
              server proxy 127.0.0.1:{proxy.Listening["inbound-8080"].Port} {send}
            frontend after
              mode http
              bind 127.0.0.1:{back} accept-proxy
              http-request return status 200 content-type text/plain lf-string "src=%[src] authority=%[fc_pp_authority] id=%[fc_pp_unique_id]"

            """);
        await using var haproxy = DemoProcess.Start("haproxy", Haproxy, ["-db", "-f", _folder.File("haproxy.cfg")], _folder.File("haproxy.log"));
        var identity = _folder.File("identity");
        SvidFolder.Write(identity, authority.Svid("/ns/default/sa/web"), [authority.Bundle]);
        string[] ask =
        [
            "--silent", "--show-error", "--insecure", "--max-time", "20", "--interface", "127.0.0.77", "--cert", $"{identity}/svid.pem", "--key", $"{identity}/key.pem",
            "--resolve", $"orders.test:{front}:127.0.0.1", $"https://orders.test:{front}/",
        ];
        var answer = "";
        await Eventually.IsTrueAsync(
            async () => ((_, answer) = await Host.ExecAsync("curl", ask)).Item1 == 0, $"an answer through HAProxy, whose log says {await File.ReadAllTextAsync(_folder.File("haproxy.log"))}");

        Assert.Equal(expected, answer.Replace("=-", "=", StringComparison.Ordinal));
        await Eventually.IsTrueAsync(async () => (await File.ReadAllTextAsync(_folder.File("access.log"))).Contains("\"remoteIp\":\"127.0.0.77\"", StringComparison.Ordinal), "the address in the access log");
    }

    public void Dispose() => _folder.Dispose();

    private async Task<ProxyHost> StartProxyAsync(TestAuthority authority, ProxyVersion version, int app)
    {
        Directory.CreateDirectory(_folder.File("policy"));
        await File.WriteAllTextAsync(Path.Combine(_folder.File("policy"), "policy.yaml"), "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: mesh, namespace: istio-system}\nspec: {mtls: {mode: STRICT}}\n");
        var config = new ProxyConfig
        {
            Workload = new Workload("default", "orders", new Dictionary<string, string>()),
            Identity = new IdentityConfig.Files("unused", "unused", "unused"),
            PolicyFolder = _folder.File("policy"),
            Admin = new IPEndPoint(IPAddress.Loopback, 0),
            AccessLog = new AccessLogConfig { Path = _folder.File("access.log"), Format = AccessLogFormat.Json },
            Inbound =
            [
                new InboundConfig("inbound-8080", new IPEndPoint(IPAddress.Loopback, 0), 8080, AppProtocol.Http, new IPEndPoint(IPAddress.Loopback, app))
                {
                    ProxyProtocolFrom = [IPNetwork.Parse("127.0.0.1/32")],
                    SendProxyProtocol = version,
                },
            ],
        };
        var proxy = ProxyHost.Build(config, TimeProvider.System, NullLoggerFactory.Instance, new TestIdentity(authority.Context("/ns/default/sa/orders")));
        await proxy.StartAsync(CancellationToken.None);
        return proxy;
    }
}
