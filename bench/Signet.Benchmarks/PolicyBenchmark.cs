using System.Globalization;
using System.Net;
using System.Text;
using Signet.Identity.Spiffe;
using Signet.Policy;

namespace Signet.Benchmarks;

/// <summary>
/// What a decision costs with 1, 10, 100 and 1,000 policies on the workload, beside a straightforward interpretation of the same rules. Both
/// take turns in short rounds of one run, so that whatever else the machine does to the caches meets both; both must give the same answers.
/// </summary>
public static class PolicyBenchmark
{
    private const int Rounds = 21;
    private static readonly TimeSpan Round = TimeSpan.FromMilliseconds(60);
    private static readonly int[] Sizes = [1, 10, 100, 1000];

    /// <summary>Measures and writes a table.</summary>
    /// <returns>0; 1 when the two disagree about a request.</returns>
    public static int Run(TextWriter output)
    {
        output.WriteLine();
        output.WriteLine("Nanoseconds of processor time, median and range of 21 rounds.");
        output.WriteLine("policies  request   compiled ns (range)      evaluations/s  B/op   interpreted ns (range)         B/op   ratio (range)");
        foreach (var size in Sizes)
        {
            var plain = PlainOf(size);
            var load = PolicySet.Load([new PolicyText("bench.yaml", TextOf(plain))], MeshSettings.Default);
            if (load.Problems.Count > 0)
            {
                output.WriteLine($"error: the policies of the benchmark are not understood: {load.Problems[0]}");
                return 1;
            }

            var policy = load.Set.ForWorkload(new Workload("default", "orders", new Dictionary<string, string> { ["app"] = "orders" }));
            foreach (var (name, facts) in Requests(size))
            {
                var decision = policy.Decide(facts);
                var said = PlainPolicies.Decide(plain, facts);
                if ((decision.Allowed, Name(decision.Verdict.Policy), decision.Verdict.Rule) != said)
                {
                    output.WriteLine($"error: {size} policies, {name}: the engine says {decision.Verdict.Reason}, the interpreter {said}");
                    return 1;
                }

                Measure(output, size, name, () => policy.Decide(facts).Allowed, () => PlainPolicies.Decide(plain, facts).Allowed);
            }
        }

        return 0;
    }

    private static void Measure(TextWriter output, int size, string name, Func<bool> compiled, Func<bool> interpreted)
    {
        var (compiledBatch, interpretedBatch) = (BatchOf(compiled), BatchOf(interpreted));
        var (ours, theirs, ratios) = (new List<double>(), new List<double>(), new List<double>());
        for (var round = 0; round < Rounds; round++)
        {
            ours.Add(TimeOf(compiled, compiledBatch));
            theirs.Add(TimeOf(interpreted, interpretedBatch));
            ratios.Add(theirs[^1] / ours[^1]);
        }

        var (median, other) = (Middle(ours), Middle(theirs));
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{size,8}  {name,-8}  {median,8:0} ({ours.Min():0}-{ours.Max():0}){"",4}{1e9 / median,14:N0}  {BytesOf(compiled),4}   {other,10:0} ({theirs.Min():0}-{theirs.Max():0}){"",4}  {BytesOf(interpreted),8}   {Middle(ratios):0.0} ({ratios.Min():0.0}-{ratios.Max():0.0})"));
    }

    /// <summary>Nanoseconds per call, of processor time: whoever else wants the processor makes a round longer and not dearer.</summary>
    private static double TimeOf(Func<bool> decide, int calls)
    {
        var worked = Environment.CpuUsage.TotalTime;
        for (var i = 0; i < calls; i++)
        {
            decide();
        }

        return (Environment.CpuUsage.TotalTime - worked).TotalNanoseconds / calls;
    }

    /// <summary>How many calls fill a round; finding out warms up.</summary>
    private static int BatchOf(Func<bool> decide)
    {
        var calls = 16;
        while (TimeOf(decide, calls) * calls < Round.TotalNanoseconds)
        {
            calls *= 2;
        }

        return calls;
    }

    private static long BytesOf(Func<bool> decide)
    {
        const int calls = 100;
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < calls; i++)
        {
            decide();
        }

        return (GC.GetAllocatedBytesForCurrentThread() - before) / calls;
    }

    private static double Middle(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private static string? Name(string? id) => id?[(id.IndexOf('/', StringComparison.Ordinal) + 1)..];

    /// <summary>Requests that the last policy allows, that no policy allows, and that a DENY refuses.</summary>
    private static IEnumerable<(string Name, RequestFacts Facts)> Requests(int size)
    {
        yield return ("allowed", Facts(size - 1, $"/api/{size - 1}/items?page=2", "POST"));
        yield return ("nobody", Facts(size + 7, "/api/0/items", "POST"));
        if (size > 1)
        {
            yield return ("denied", Facts(size - 1, "/api/0/admin", "DELETE"));
        }
    }

    private static RequestFacts Facts(int caller, string path, string method) => new()
    {
        Protocol = Protocol.Http,
        MutualTls = true,
        Peer = SpiffeId.Parse($"spiffe://cluster.local/ns/default/sa/caller-{caller}"),
        SourceIp = IPAddress.Parse("10.2.3.4"),
        DestinationIp = IPAddress.Parse("10.0.0.9"),
        DestinationPort = 8080,
        Method = method,
        Path = path,
        Host = "orders.default.svc.cluster.local",
        Headers = [new("user-agent", "bench"), new("accept", "*/*"), new("x-tenant", "blue"), new("content-type", "application/json")],
    };

    /// <summary>Nine ALLOW policies for each DENY: callers by name, methods, path prefixes, an excluded network, and a header in every third.</summary>
    private static List<PlainPolicy> PlainOf(int size) => [.. Enumerable.Range(0, size).Select(i => i % 10 == 4
        ? new PlainPolicy($"p{i:d4}", "DENY", [new PlainRule([], [], ["DELETE"], ["/api/0/admin", $"/internal/{i}/*"], [])])
        : new PlainPolicy($"p{i:d4}", "ALLOW",
        [
            new PlainRule([$"cluster.local/ns/default/sa/batch-{i}"], [], ["GET"], [], []),
            new PlainRule(
                [$"cluster.local/ns/default/sa/caller-{i}", $"cluster.local/ns/default/sa/caller-{i}-canary"], ["192.168.0.0/16"], ["GET", "POST"], [$"/api/{i}/*", "*/health"],
                i % 3 == 0 ? [("request.headers[x-tenant]", ["blue", "green"])] : []),
        ]))];

    private static string TextOf(List<PlainPolicy> policies)
    {
        static string List(IEnumerable<string> values) => "[" + string.Join(", ", values.Select(value => $"\"{value}\"")) + "]";
        var text = new StringBuilder();
        foreach (var policy in policies)
        {
            text.Append(CultureInfo.InvariantCulture, $"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {policy.Name}, namespace: default}}\nspec:\n  action: {policy.Action}\n  rules:\n");
            foreach (var rule in policy.Rules)
            {
                var operation = new[] { ("methods", rule.Methods), ("paths", rule.Paths) }.Where(field => field.Item2.Count > 0).Select(field => $"{field.Item1}: {List(field.Item2)}");
                var source = new[] { ("principals", rule.Principals), ("notIpBlocks", rule.NotIpBlocks) }.Where(field => field.Item2.Count > 0).Select(field => $"{field.Item1}: {List(field.Item2)}").ToList();
                text.Append(CultureInfo.InvariantCulture, $"  - to: [{{operation: {{{string.Join(", ", operation)}}}}}]\n");
                if (source.Count > 0)
                {
                    text.Append(CultureInfo.InvariantCulture, $"    from: [{{source: {{{string.Join(", ", source)}}}}}]\n");
                }

                if (rule.When.Count > 0)
                {
                    text.Append("    when: [" + string.Join(", ", rule.When.Select(when => $"{{key: \"{when.Key}\", values: {List(when.Values)}}}")) + "]\n");
                }
            }
        }

        return text.ToString();
    }
}
