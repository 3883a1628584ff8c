using Signet.Testing;

namespace Signet.InteropTests.Capture;

/// <summary>
/// Two hosts whose applications, Python's web server and curl, know nothing of Signet: with capture they speak mutual TLS on the cable, under
/// policy; without it everything is as before.
/// </summary>
public sealed class CapturedHostsTests
{
    private const string Secret = "the-orders-of-today";
    private const string Strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: mesh, namespace: istio-system}\nspec: {mtls: {mode: STRICT}}\n";

    // Own addresses, IPv4 and IPv6, and what the applications call the service by.
    private static readonly string[] Addresses = ["10.231.0.2", "[fd00:231::2]"];
    private static readonly string[] ServiceAddresses = ["10.96.0.10", "[fd00:96::10]"];

    [Theory]
    [InlineData("redirect")]
    [InlineData("tproxy")]
    public async Task Applications_that_know_nothing_speak_mutual_TLS_under_policy_and_everything_is_as_before_afterwards(string mode)
    {
        var obstacle = await TwoHosts.ObstacleAsync();
        Assert.SkipWhen(obstacle is not null, obstacle ?? "");
        await using var hosts = await TwoHosts.StartAsync();
        var (web, orders) = (hosts.Web, hosts.Orders);
        await orders.StartAppAsync(8080, Secret);
        await orders.StartAppAsync(8081, "excluded");
        await orders.StartAppAsync(9090, Secret + "-unlisted");

        // 1. Before: it works, and everybody on the cable can read it. That is also how the listening is known to hear.
        var before = (await orders.RunAsync("iptables-save"), await orders.RunAsync("ip6tables-save"), await orders.RunAsync("ip", "rule"));
        await hosts.ListenAsync();
        await EveryAddressAsync(async address => Assert.Equal(Secret + " 200", await web.AskAsync($"http://{address}:8080/")));
        Assert.Contains(Secret, await hosts.HeardAsync());

        // 2. Proxies and capture; twice is once.
        await StartProxiesAsync(hosts, mode);
        string[] install = ["--mode", mode, "--proxy-uid", $"{Host.ProxyUid}", "--exclude-inbound-ports", "8081", "--exclude-outbound-ports", "8081"];
        foreach (var host in new[] { web, orders })
        {
            await SucceedAsync(host.CaptureAsync(["install", .. install]));
            var once = WithoutTime(await host.RunAsync("iptables-save"));
            await SucceedAsync(host.CaptureAsync(["install", .. install]));
            Assert.Equal(once, WithoutTime(await host.RunAsync("iptables-save")));
            Assert.Contains("as planned", await SucceedAsync(host.CaptureAsync(["show", .. install])));
            var (drift, said) = await host.CaptureAsync(["show", "--mode", mode, "--proxy-uid", $"{Host.ProxyUid}"]);
            Assert.Equal(1, drift);
            Assert.Contains("surplus", said);
        }

        // 3. By the service's address, by the host's own, on a port that nobody listed: it arrives, and nothing on the cable can be read.
        await hosts.ListenAsync();
        await EveryAddressAsync(async address =>
        {
            Assert.Equal(Secret + " 200", await web.AskAsync($"http://{address}:8080/"));
            Assert.Equal(Secret + "-unlisted 200", await web.AskAsync($"http://{address}:9090/"));
        });
        foreach (var address in ServiceAddresses)
        {
            Assert.Equal(Secret + " 200", await web.AskAsync($"http://{address}:8080/"));
        }

        var heard = await hosts.HeardAsync();
        Assert.True(heard.Length > 10_000, $"only {heard.Length} bytes were heard");
        Assert.DoesNotContain(Secret, heard);
        Assert.DoesNotContain("GET /", heard);
        Assert.DoesNotContain("HTTP/1", heard);
        await LoggedAsync(orders, "example.org/ns/default/sa/web@");

        // 4. Who comes around the capture is refused by STRICT; the probe at the ready port is not.
        await EveryAddressAsync(async address =>
        {
            Assert.StartsWith("failed", await web.AskAroundAsync($"http://{address}:8080/"));
            Assert.StartsWith("failed", await web.AskAroundAsync($"http://{address}:9090/"));
        });
        await LoggedAsync(orders, "PlaintextRefused");
        Assert.EndsWith("200", await web.AskAroundAsync("http://10.231.0.2:15021/app-health/orders/readyz"));
        Assert.EndsWith("404", await web.AskAroundAsync("http://10.231.0.2:15021/index.html"));

        // 5. The capture ports themselves take nothing from anybody directly.
        await EveryAddressAsync(async address => Assert.StartsWith("failed", await web.AskAroundAsync($"http://{address}:15006/")));
        await LoggedAsync(orders, "NotCaptured");

        // 6. An application calls itself: on its own machine, and through its service's address, which is two proxies' way by mutual TLS.
        await EveryAddressAsync(async address => Assert.Equal(Secret + " 200", await orders.AskAsync($"http://{address}:8080/")));
        Assert.Equal(Secret + " 200", await orders.AskAsync("http://127.0.0.1:8080/"));
        Assert.Equal(Secret + " 200", await orders.AskAsync("http://[::1]:8080/"));
        foreach (var address in ServiceAddresses)
        {
            Assert.Equal(Secret + " 200", await orders.AskAsync($"http://{address}:8080/"));
        }

        await LoggedAsync(orders, "example.org/ns/default/sa/orders@");

        // 7. An excluded port goes around; a place that nobody listed is refused.
        await EveryAddressAsync(async address => Assert.Equal("excluded 200", await web.AskAsync($"http://{address}:8081/")));
        Assert.DoesNotContain(":8081", web.AccessLog + orders.AccessLog);
        Assert.StartsWith("failed", await web.AskAsync("http://10.231.0.2:7070/"));
        await LoggedAsync(web, "DestinationUnknown");

        // 8. Refused when policy says so.
        orders.SetPolicy(Strict + "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: not-web, namespace: default}\n"
            + "spec: {action: DENY, rules: [{from: [{source: {principals: [\"example.org/ns/default/sa/web\"]}}]}]}\n");
        await Eventually.IsTrueAsync(async () => (await web.AskAsync("http://10.231.0.2:8080/")).EndsWith(" 403", StringComparison.Ordinal), "the policy");
        await EveryAddressAsync(async address =>
        {
            Assert.EndsWith(" 403", await web.AskAsync($"http://{address}:8080/"));
            Assert.EndsWith(" 403", await web.AskAsync($"http://{address}:9090/"));
        });
        Assert.Equal(Secret + " 200", await orders.AskAsync($"http://{ServiceAddresses[0]}:8080/"));

        // 9. Afterwards: as before.
        foreach (var host in new[] { web, orders })
        {
            Assert.Contains("no longer captured", await SucceedAsync(host.CaptureAsync("remove")));
            Assert.Contains("nothing was captured", await SucceedAsync(host.CaptureAsync("remove")));
        }

        Assert.Equal(Rules(before), Rules((await orders.RunAsync("iptables-save"), await orders.RunAsync("ip6tables-save"), await orders.RunAsync("ip", "rule"))));
        await hosts.ListenAsync();
        await EveryAddressAsync(async address => Assert.Equal(Secret + " 200", await web.AskAsync($"http://{address}:8080/")));
        Assert.Contains(Secret, await hosts.HeardAsync());
    }

    private static async Task StartProxiesAsync(TwoHosts hosts, string mode)
    {
        hosts.Web.SetPolicy(Strict);
        hosts.Orders.SetPolicy(Strict);
        const string Services = """
            outbound:
            - {host: orders.default.svc.cluster.local, port: 8080, protocol: http, addresses: ["10.96.0.10:8080"], endpoints: ["10.231.0.2:8080"]}
            - {host: orders-v6.default.svc.cluster.local, port: 8080, protocol: http, addresses: ["[fd00:96::10]:8080"], endpoints: ["[fd00:231::2]:8080"]}
            - {host: other.default.svc.cluster.local, port: 9090, endpoints: ["10.231.0.2:9090", "[fd00:231::2]:9090"]}
            """;
        await hosts.Orders.StartProxyAsync(hosts.Authority.Context("/ns/default/sa/orders"), $$$"""
            workload: {namespace: default, serviceAccount: orders, labels: {app: orders}}
            capture: {mode: {{{mode}}}}
            inbound:
            - {port: 8080, protocol: http, app: 127.0.0.1:8080}
            ready: 0.0.0.0:15021
            probes:
            - {name: orders, http: {port: 8080, path: /}}
            {{{Services}}}
            """);
        await hosts.Web.StartProxyAsync(hosts.Authority.Context("/ns/default/sa/web"), $$$"""
            workload: {namespace: default, serviceAccount: web, labels: {app: web}}
            capture: {mode: {{{mode}}}}
            {{{Services}}}
            """);
    }

    private static async Task EveryAddressAsync(Func<string, Task> act)
    {
        foreach (var address in Addresses)
        {
            await act(address);
        }
    }

    private static async Task<string> SucceedAsync(Task<(int Exit, string Output)> run)
    {
        var (exit, output) = await run;
        Assert.True(exit == 0, output);
        return output;
    }

    private static Task LoggedAsync(Host host, string text) => Eventually.IsTrueAsync(() => host.AccessLog.Contains(text, StringComparison.Ordinal), $"{text} in the access log of {host.Name}: {host.AccessLog}");

    private static string WithoutTime(string saved) => string.Join('\n', saved.Split('\n').Where(line => !line.StartsWith('#')));

    /// <summary>Rules and chains; tables that exist and are empty don't count.</summary>
    private static string Rules((string V4, string V6, string Routing) of) =>
        string.Join('\n', $"{of.V4}\n{of.V6}".Split('\n').Where(line => line.StartsWith("-A", StringComparison.Ordinal) || line.Contains("SIGNET", StringComparison.Ordinal))) + of.Routing;
}
