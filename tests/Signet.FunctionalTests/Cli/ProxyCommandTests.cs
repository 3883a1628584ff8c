using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Signet.Cli;
using Signet.Cli.Commands;
using Signet.FunctionalTests.Proxy;
using Signet.Testing;

namespace Signet.FunctionalTests.Cli;

/// <summary>The commands that ask a running proxy, as people and scripts see them.</summary>
public sealed class ProxyCommandTests
{
    private const string Get = "GET /a HTTP/1.1\r\nHost: orders\r\n\r\n";
    private static readonly CliContext Context = new(TimeProvider.System, () => 0.5);

    [Fact]
    public async Task Shows_every_page_as_a_table_and_as_it_is()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        await client.AskAsync(Get);

        var certs = await ShownAsync(world, "certs");
        Assert.Contains("presented", certs[2], StringComparison.Ordinal);
        Assert.Contains("spiffe://example.org/ns/default/sa/orders", certs[2], StringComparison.Ordinal);
        Assert.Contains(certs, line => line.StartsWith("trusted for example.org", StringComparison.Ordinal));

        var config = await ShownAsync(world, "config");
        Assert.Equal("workload default/orders in example.org", config[0]);
        Assert.Contains(config, line => line.StartsWith("8080 ", StringComparison.Ordinal) && line.EndsWith("STRICT  istio-system/mesh", StringComparison.Ordinal));

        var connections = await ShownAsync(world, "connections", "--peer", "example.org/*", "--sort", "age");
        Assert.Equal(["ID", "DIRECTION", "LISTENER", "PROTOCOL", "SOURCE", "PEER", "TLS", "POLICY", "AGE", "IN", "OUT"], connections[0].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains("  example.org/ns/default/sa/web  TLSv1.3  -  ", connections[1], StringComparison.Ordinal);
        Assert.Equal(["no connections"], await ShownAsync(world, "connections", "--direction", "outbound"));

        Assert.Contains($"inbound-8080  inbound    {world.Inbound}  yes        1            10000", (await ShownAsync(world, "listeners"))[1], StringComparison.Ordinal);
        Assert.StartsWith($"inbound-8080  application  {app.EndPoint}", (await ShownAsync(world, "upstreams"))[1], StringComparison.Ordinal);
        Assert.Contains(await ShownAsync(world, "stats"), line => line.StartsWith("requests ", StringComparison.Ordinal) && line.EndsWith(" 1", StringComparison.Ordinal));
        var metrics = await ShownAsync(world, "metrics", "--name", "signet_proxy_request");
        Assert.Equal(["METRIC", "VALUE", "LABELS"], metrics[0].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains(metrics, line => System.Text.RegularExpressions.Regex.IsMatch(line, "^signet_proxy_requests_total +1 +code=200 .* source_principal=spiffe://example.org/ns/default/sa/web "));
        Assert.Equal("15 buckets of histograms are left out; --output json has them", metrics[^1]);
        var samples = JsonNode.Parse(string.Join('\n', await ShownAsync(world, "metrics", "--output", "json")))!["metrics"]!.AsArray();
        Assert.Equal(1, samples.Single(sample => sample!["name"]!.ToString() == "signet_proxy_requests_total")!["value"]!.GetValue<double>());
        Assert.Contains(samples, sample => sample!["labels"]!["le"]?.ToString() == "+Inf");
        Assert.Equal(["no metrics of that name"], await ShownAsync(world, "metrics", "--name", "nothing"));

        foreach (var verb in new[] { "certs", "config", "connections", "listeners", "upstreams", "stats", "logging" })
        {
            Assert.True((JsonNode.Parse(string.Join('\n', await ShownAsync(world, verb, "--output", "json"))) as JsonObject)!.Count > 1, verb);
        }
    }

    [Fact]
    public async Task Says_whether_it_is_ready_by_its_exit_code_and_why_not()
    {
        await using var app = App.Http();
        await using (var ready = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict))
        {
            Assert.Equal("ready", (await ShownAsync(ready, "ready"))[0]);
        }

        await using var waiting = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, withoutIdentity: true);
        var (exit, output, _) = await RunAsync(waiting, "ready");
        Assert.Equal((1, "not ready"), (exit, output.Split('\n')[0]));
        Assert.Contains("WaitingForSvid", output, StringComparison.Ordinal);
        (exit, output, _) = await RunAsync(waiting, "ready", "--output", "json");
        Assert.Equal((1, "false"), (exit, JsonNode.Parse(output)!["ready"]!.ToJsonString()));
    }

    [Fact]
    public async Task Changes_levels_and_takes_the_change_back()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);

        Assert.Equal(["level info, as configured"], await ShownAsync(world, "logging"));
        Assert.Equal(["level debug, instead of info until the proxy restarts"], await ShownAsync(world, "logging", "--level", "debug"));
        Assert.StartsWith("level trace, instead of info until 20", (await ShownAsync(world, "logging", "--level", "trace", "--for", "10m"))[0], StringComparison.Ordinal);
        Assert.Equal(["level info, as configured"], await ShownAsync(world, "logging", "--reset"));
        var (exit, _, error) = await RunAsync(world, "logging", "--level", "loud");
        Assert.Equal((1, true), (exit, error.Contains("level \"loud\" is not one of trace, debug, info, warn, error", StringComparison.Ordinal)));
        (exit, _, error) = await RunAsync(world, "logging", "--for", "10m");
        Assert.Equal((1, true), (exit, error.StartsWith("error: the options contradict each other\nhint: ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Watches_what_passes_its_filters_as_lines_for_people_or_for_scripts()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        var people = RunAsync(world, "watch", "--count", "1", "--path", "/a", "--code", "2xx");
        var script = RunAsync(world, "watch", "--count", "1", "--output", "json", "--source", "example.org/ns/default/sa/web");
        await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"));
        while (!people.IsCompleted || !script.IsCompleted)
        {
            // From when on somebody watches cannot be seen from here.
            await client.AskAsync(Get);
        }

        Assert.Matches(@"^\d\d:\d\d:\d\d\.\d{3}  allow  example\.org/ns/default/sa/web -> orders:8080  GET /a  200  [\d.]+ms\n$", (await people).Output);
        Assert.Equal("orders", JsonNode.Parse((await script).Output)!["destination"]!["workload"]!.ToString());
        var (exit, _, error) = await RunAsync(world, "watch", "--reason", "PolicyDenid");
        Assert.Equal((1, true), (exit, error.Contains("did you mean PolicyDenied?", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Drains()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);

        Assert.Equal(["draining, 0 connections under way; watch them end with: signet proxy connections"], await ShownAsync(world, "drain"));

        Assert.Contains(await ShownAsync(world, "listeners"), line => line.Contains("  no  ", StringComparison.Ordinal));
        Assert.Equal(1, (await RunAsync(world, "ready")).Exit);
    }

    [Fact]
    public async Task Says_what_to_do_when_the_proxy_is_not_there_or_somebody_else_is()
    {
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var nobody = free.LocalEndpoint.ToString()!;
        free.Stop();
        Assert.Equal(
            (1, "", $"error: nothing listens at the proxy's admin endpoint {nobody}\nhint: is the proxy running? its configuration says where it is under \"admin\"; name another place with --admin HOST:PORT\n"),
            await RunAsync("certs", "--admin", nobody));

        await using var stranger = App.Http();
        var (exit, _, error) = await RunAsync("stats", "--admin", stranger.EndPoint.ToString());
        Assert.Equal((1, true), (exit, error.Contains("is no signet proxy's admin endpoint", StringComparison.Ordinal)));
        (exit, _, error) = await RunAsync("listeners", "--admin", "nonsense");
        Assert.Equal((1, true), (exit, error.StartsWith("error: --admin: ", StringComparison.Ordinal)));
    }

    [Fact]
    public void Completes_words()
    {
        var command = RoleCommand.Proxy(Context);

        Assert.Equal(["inbound", "outbound"], command.Parse("connections --direction ").GetCompletions().Select(item => item.Label));
        Assert.Equal(["PolicyChanged", "PolicyDenied", "WaitingForPolicy"], command.Parse("watch --reason Policy").GetCompletions().Select(item => item.Label));
        Assert.Superset(new HashSet<string> { "certs", "config", "connections", "drain", "listeners", "logging", "metrics", "ready", "stats", "upstreams", "watch" }, command.Parse("").GetCompletions().Select(item => item.Label).ToHashSet());
    }

    private static async Task<string[]> ShownAsync(ProxyWorld world, params string[] arguments)
    {
        var (exit, output, error) = await RunAsync(world, arguments);
        Assert.Equal((0, ""), (exit, error));
        return output.TrimEnd('\n').Split('\n');
    }

    private static Task<(int Exit, string Output, string Error)> RunAsync(ProxyWorld world, params string[] arguments) => RunAsync([.. arguments, "--admin", world.Proxy.AdminEndPoint.ToString()]);

    private static async Task<(int Exit, string Output, string Error)> RunAsync(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var exit = await RoleCommand.Proxy(Context).Parse(arguments).InvokeAsync(new InvocationConfiguration { Output = output, Error = error });
        return (exit, output.ToString(), error.ToString());
    }
}
