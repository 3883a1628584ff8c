using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Signet.Client;
using Signet.FunctionalTests.Proxy;
using Signet.Hosting.Distribution;
using Signet.Rpc.Wire.Mesh;
using Signet.Server.ControlPlane;
using Signet.Testing;
using MeshApi = Signet.Rpc.Wire.Mesh.Mesh;

namespace Signet.FunctionalTests.Mesh;

/// <summary>How long a change takes to many; run by hand.</summary>
public sealed class ManyProxiesSoak
{
    private const int Policies = 5_000;
    private const int Proxies = 100;

    private readonly CancellationTokenSource _stop = new(TimeSpan.FromMinutes(10));

    [Fact(Explicit = true)]
    [Trait("Category", "Soak")]
    public async Task Five_thousand_policies_are_with_a_hundred_proxies_and_a_change_of_one_too()
    {
        using var policies = new TestFolder();
        await File.WriteAllTextAsync(policies.File("mesh.yaml"), ProxyWorld.Strict, _stop.Token);
        var text = new StringBuilder();
        for (var i = 0; i < Policies; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"---\n{Policy(i, "GET")}\n");
        }

        await File.WriteAllTextAsync(policies.File("many.yaml"), text.ToString(), _stop.Token);
        var watch = Stopwatch.StartNew();
        await using var domain = await TestTrustDomain.StartAsync(configure: config => config with { Mesh = new MeshConfig(policies.Path, null) });
        await domain.RegisterAsync("/ns/default/sa/web");
        Report($"server and agent started with {Policies} policies", watch);
        var held = new ConcurrentDictionary<int, MeshSnapshot>();
        using var channel = WorkloadApi.Connect(domain.WorkloadApi, TimeProvider.System);
        var client = new MeshApi.MeshClient(channel);
        watch.Restart();
        var following = Enumerable.Range(0, Proxies).Select(i => new MeshFollower(
            token => client.Watch(WorkloadApi.Options(token)),
            new MeshRequest { Namespace = "default" },
            snapshot =>
            {
                held[i] = snapshot;
                return null;
            },
            _ => { },
            e => e.Message,
            TimeProvider.System,
            Random.Shared.NextDouble).RunAsync(_stop.Token)).ToArray();
        await Eventually.IsTrueAsync(() => held.Count == Proxies && held.Values.All(one => one.Documents.Count == Policies + 1), "everything at everybody");
        Report($"all of it at {Proxies} proxies", watch);
        var before = GC.GetTotalMemory(forceFullCollection: true) / 1024 / 1024;
        TestContext.Current.SendDiagnosticMessage($"heap of all of them together {before} MiB");

        watch.Restart();
        await File.WriteAllTextAsync(policies.File("one.new"), Policy(Policies, "PUT"), _stop.Token);
        File.Move(policies.File("one.new"), policies.File("one.yaml"));
        await Eventually.IsTrueAsync(() => held.Values.All(one => one.Documents.Count == Policies + 2), "one more at everybody");
        Report($"one more at {Proxies} proxies", watch);
        await _stop.CancelAsync();
        await Task.WhenAll(following).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
    }

    private static void Report(string what, Stopwatch watch) => TestContext.Current.SendDiagnosticMessage($"{what}: {watch.ElapsedMilliseconds} ms");

    private static string Policy(int i, string method) => string.Create(
        CultureInfo.InvariantCulture,
        $"{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: p{i}, namespace: default}}, spec: {{selector: {{matchLabels: {{app: a{i}}}}}, action: DENY, rules: [{{to: [{{operation: {{methods: [{method}], paths: [/a/{i}]}}}}]}}]}}}}");
}
