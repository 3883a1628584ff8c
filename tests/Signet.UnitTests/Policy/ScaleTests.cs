using System.Diagnostics;
using System.Text;
using Signet.Identity.Spiffe;
using Signet.Policy;

namespace Signet.UnitTests.Policy;

/// <summary>Many policies, and how little a change and a decision cost. Times are printed, never asserted.</summary>
public sealed class ScaleTests(ITestOutputHelper output)
{
    private const int Namespaces = 1000;
    private const int PerNamespace = 10;

    [Fact]
    public void Ten_thousand_policies_in_a_thousand_namespaces_load_and_one_changes_without_the_rest()
    {
        var texts = Enumerable.Range(0, Namespaces).Select(ns => new PolicyText($"ns{ns}.yaml", string.Concat(Enumerable.Range(0, PerNamespace).Select(i => Policy(ns, i, "ALLOW"))))).ToList();
        var watch = Stopwatch.StartNew();
        var load = PolicySet.Load(texts, MeshSettings.Default);
        output.WriteLine($"{Namespaces * PerNamespace} policies, {texts.Sum(text => text.Text.Length)} characters: loaded in {watch.ElapsedMilliseconds} ms");
        Assert.Empty(load.Problems);
        Assert.Equal(Namespaces * PerNamespace, load.Set.Objects.Count());

        var facts = Facts(500, 3);
        Assert.True(load.Set.ForWorkload(Ask.Workload("ns500")).Decide(facts).Allowed);
        Assert.False(load.Set.ForWorkload(Ask.Workload("ns501")).Decide(facts).Allowed);

        watch.Restart();
        var changed = load.Set.Update([new PolicyText("ns500.yaml", Policy(500, 3, "DENY"))], []);
        var policy = changed.Set.ForWorkload(Ask.Workload("ns500"));
        output.WriteLine($"one text changed and one workload compiled in {watch.Elapsed.TotalMilliseconds:0.0} ms");
        Assert.Empty(changed.Problems);
        Assert.Equal("ns500/p3", policy.Decide(facts).Verdict.Policy);
        Assert.Same(load.Set.Objects.First(one => one.Id == "ns7/p7"), changed.Set.Objects.First(one => one.Id == "ns7/p7"));
        Assert.True(load.Set.ForWorkload(Ask.Workload("ns500")).Decide(facts).Allowed);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(1000)]
    public void A_decision_allocates_nothing_however_many_policies_there_are(int policies)
    {
        var set = Ask.Set(string.Concat(Enumerable.Range(0, policies).Select(i => Policy(0, i, "ALLOW"))) + Policy(0, 1_000_000, "AUDIT"));
        var policy = set.ForWorkload(Ask.Workload("ns0"));
        foreach (var path in new[] { "/api/0", "/x/../api/0?q=1", "/denied" })
        {
            var facts = Facts(0, 0);
            facts.Path = path;
            Assert.Equal(path != "/denied", policy.Decide(facts).Allowed);
            AllocatesNothing(() => policy.Decide(facts));
        }
    }

    [Fact]
    public void A_decision_with_every_kind_of_clause_allocates_nothing()
    {
        const string rule = """
            {from: [{source: {principals: ["cluster.local/*", "*/sa/x"], namespaces: ["ns*"], notNamespaces: [other], trustDomains: [cluster.local], ipBlocks: [10.0.0.0/8], requestPrincipals: ["i/*"], remoteIpBlocks: ["::/0", 0.0.0.0/0]}}, {source: {serviceAccounts: [ns0/sa0]}}],
             to: [{operation: {hosts: ["*.org"], methods: ["G*"], paths: ["/api/{*}", "/x*"], notPorts: ["1"]}}],
             when: [{key: "request.headers[x-list]", values: ["one,two"]}, {key: "request.auth.claims[a][b]", values: [c]}, {key: request.auth.audiences, values: [u]}, {key: connection.sni, values: [s]}, {key: destination.ip, values: [10.0.0.9]}]}
            """;
        var policy = Ask.Set(Ask.Policy("ALLOW", rule)).ForWorkload(Ask.Workload("production"));
        var facts = Ask.Request("source: {principal: cluster.local/ns/ns0/sa/sa0, ip: 10.0.0.7}, tls: {sni: s}, request: {method: GET, host: a.ORG, path: \"/y/../api/1?x\", headers: {x-list: [one, two]}}, jwt: {iss: i, sub: s, aud: [t, u], claims: {a: {b: c}}}").Facts;
        var decision = policy.Decide(facts);
        Assert.True(decision.Allowed, decision.Verdict.Reason);
        AllocatesNothing(() => policy.Decide(facts));
    }

    [Fact]
    public void One_compiled_policy_serves_many_threads()
    {
        var policy = Ask.Set(string.Concat(Enumerable.Range(0, 50).Select(i => Policy(0, i, "ALLOW")))).ForWorkload(Ask.Workload("ns0"));
        Parallel.For(0, 8, thread =>
        {
            for (var i = 0; i < 2000; i++)
            {
                var facts = Facts(0, (thread + i) % 100);
                Assert.Equal((thread + i) % 100 < 50, policy.Decide(facts).Allowed);
            }
        });
    }

    /// <summary>Once it is compiled for good, which the runtime does when it finds time: until then it may.</summary>
    private static void AllocatesNothing(Action act)
    {
        const int rounds = 200;
        const int calls = 500;
        long allocated = 0;
        for (var round = 0; round < rounds; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < calls; i++)
            {
                act();
            }

            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            if (allocated == 0)
            {
                return;
            }
        }

        Assert.Fail($"{allocated} bytes in {calls} calls");
    }

    private static string Policy(int ns, int i, string action) => new StringBuilder()
        .Append(System.Globalization.CultureInfo.InvariantCulture, $"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: p{i}\n  namespace: ns{ns}\nspec:\n  action: {action}\n")
        .Append(System.Globalization.CultureInfo.InvariantCulture, $"  rules:\n  - from:\n    - source:\n        principals: [\"cluster.local/ns/ns{ns}/sa/sa{i}\"]\n    to:\n    - operation:\n        methods: [GET]\n        paths: [\"/api/*\"]\n")
        .ToString();

    private static RequestFacts Facts(int ns, int account) => new()
    {
        Peer = SpiffeId.Parse($"spiffe://cluster.local/ns/ns{ns}/sa/sa{account}"),
        MutualTls = true,
        DestinationPort = 8080,
        Protocol = Protocol.Http,
        Method = "GET",
        Host = "svc",
        Path = "/api/0",
        Headers = [new("accept", "*/*"), new("user-agent", "test")],
    };
}
