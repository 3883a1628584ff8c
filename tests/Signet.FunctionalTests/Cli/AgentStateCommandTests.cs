using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli;
using Signet.Cli.Commands;
using Signet.Client;
using Signet.Server.ControlPlane;
using Signet.Testing;

namespace Signet.FunctionalTests.Cli;

/// <summary>What an agent says of itself, and what a workload sees happen, as people and scripts see it.</summary>
public sealed class AgentStateCommandTests
{
    private static readonly CliContext Context = new(TimeProvider.System, () => 0.5);
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task Status_clients_config_and_cache_say_what_the_agent_holds_and_whom_it_serves()
    {
        using var policies = new TestFolder();
        await File.WriteAllTextAsync(policies.File("mesh.yaml"), Proxy.ProxyWorld.Strict, _patience);
        await using var domain = await TestTrustDomain.StartAsync(configure: config => config with { Mesh = new MeshConfig(policies.Path, null) });
        await domain.RegisterAsync("/ns/default/sa/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var serial = (await source.WaitAsync(_patience)).Default.Leaf.SerialHex;
        await Eventually.IsTrueAsync(() => domain.AgentHost.Mesh.Held.Current is { Problem: "", Snapshot: not null }, "the configuration");

        var status = await JsonAsync(domain, "status");
        Assert.Equal(("example.org", null, domain.AgentId.Uri, 1, 1), ($"{status["trustDomain"]}", status["problem"], $"{status["spiffeId"]}", (int)status["identities"]!, (int)status["entries"]!));
        Assert.Null(status["pods"]);
        Assert.Contains("connected", (await RunAsync(AgentRoot(), ["status", "--socket", domain.AgentSocket])).Output, StringComparison.Ordinal);
        var held = Assert.Single((await JsonAsync(domain, "cache"))["identities"]!.AsArray());
        Assert.Equal(("spiffe://example.org/ns/default/sa/web", serial), ($"{held!["spiffeId"]}", $"{held["serial"]}"));
        await Eventually.IsTrueAsync(async () => (await JsonAsync(domain, "clients"))["clients"]!.AsArray().Any(client => (int)client!["pid"]! == Environment.ProcessId && !(bool)client["behind"]!), "this process among the clients");
        var config = await JsonAsync(domain, "config");
        Assert.Equal("PeerAuthentication/istio-system/mesh", $"{Assert.Single(config["documents"]!.AsArray())!["name"]}");
        Assert.Contains("PeerAuthentication/istio-system/mesh", (await RunAsync(AgentRoot(), ["config", "--socket", domain.AgentSocket])).Output, StringComparison.Ordinal);
        foreach (var verb in new[] { "status", "clients", "config", "cache" })
        {
            var everything = (await RunAsync(AgentRoot(), [verb, "--socket", domain.AgentSocket, "--output", "json"])).Output;
            Assert.DoesNotContain("PRIVATE KEY", everything, StringComparison.Ordinal);
        }

        await domain.StopServerAsync();
        await Eventually.IsTrueAsync(async () => (await RunAsync(AgentRoot(), ["status", "--socket", domain.AgentSocket])).Exit == 1, "a status that is not well");
        await domain.StartServerAsync();
    }

    [Fact]
    public async Task Watch_says_why_it_waits_and_then_tells_each_change_on_a_line_of_its_own()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        var time = new ManualTimeProvider(TimeProvider.System.GetUtcNow());
        var patient = new CliContext(time, () => 0.5);
        var people = RunAsync(WatchCommand.Create(patient), ["--socket", domain.AgentSocket, "--count", "2"]);
        using var told = new HeardWriter();
        using var said = new HeardWriter();
        var waits = WatchCommand.Create(patient).Parse(["--socket", domain.AgentSocket, "--count", "3", "--output", "json"])
            .InvokeAsync(new InvocationConfiguration { Output = told, Error = said });
        await Eventually.IsTrueAsync(() => said.Lines.Any(line => line.StartsWith("waiting: ", StringComparison.Ordinal) && line.EndsWith("no identity issued", StringComparison.Ordinal)), "the reason", passing: time);
        var (exit, _, error) = await RunAsync(FetchCommand.Create(Context), ["jwt", "--audience", "a", "--socket", domain.AgentSocket]);
        Assert.Equal(1, exit);
        Assert.StartsWith("error: no identity issued\nhint: is there an entry", error, StringComparison.Ordinal);
        Assert.Empty(told.Lines);

        var entry = await domain.RegisterAsync("/web");
        await Eventually.IsTrueAsync(() => told.Lines.Count == 2 && people.IsCompleted, "the first state", passing: time);

        // Another lifetime makes another certificate.
        using var admin = domain.Admin();
        await admin.UpdateEntryAsync(new Signet.Rpc.Wire.Spire.Types.Entry { Id = entry.Id, X509SvidTtl = 1800 }, new Signet.Rpc.Wire.Spire.Types.EntryMask { X509SvidTtl = true }, _patience);
        Assert.Equal(0, await waits.WaitAsync(_patience));
        var lines = told.Lines.Select(line => JsonNode.Parse(line)!).ToArray();
        Assert.Equal(["svid-added", "authority-added", "svid-renewed"], lines.Select(line => $"{line["change"]}"));
        Assert.Equal(("spiffe://example.org/web", "example.org"), ($"{lines[0]["subject"]}", $"{lines[1]["subject"]}"));
        Assert.NotEqual($"{lines[0]["serial"]}", $"{lines[2]["serial"]}");
        var text = (await people).Output;
        Assert.Contains("svid-added", text, StringComparison.Ordinal);
        Assert.Equal(2, text.TrimEnd().Split('\n').Length);
    }

    [Fact]
    public void Completes_the_verbs() =>
        Assert.Superset(new HashSet<string> { "ban", "cache", "clients", "config", "evict", "list", "show", "status" }, AgentRoot().Parse("").GetCompletions().Select(item => item.Label).ToHashSet());

    private static Command AgentRoot()
    {
        var root = new Command("agent");
        foreach (var verb in AgentVerbs.Create(Context))
        {
            root.Add(verb);
        }

        return root;
    }

    private static async Task<JsonNode> JsonAsync(TestTrustDomain domain, string verb)
    {
        var (exit, output, error) = await RunAsync(AgentRoot(), [verb, "--socket", domain.AgentSocket, "--output", "json"]);
        Assert.Equal((0, ""), (exit, error));
        return JsonNode.Parse(output)!;
    }

    private static async Task<(int Exit, string Output, string Error)> RunAsync(Command command, string[] arguments)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var exit = await command.Parse(arguments).InvokeAsync(new InvocationConfiguration { Output = output, Error = error });
        return (exit, output.ToString(), error.ToString());
    }

    /// <summary>What a command that still runs has written, by lines. Thread-safe.</summary>
    private sealed class HeardWriter : StringWriter
    {
        private readonly Lock _gate = new();
        private readonly List<string> _lines = [];

        public IReadOnlyList<string> Lines
        {
            get
            {
                lock (_gate)
                {
                    return [.. _lines];
                }
            }
        }

        public override void WriteLine(string? value)
        {
            lock (_gate)
            {
                _lines.Add(value ?? "");
            }
        }
    }
}
