using System.CommandLine;
using System.Text.Json;
using Signet.Cli.Commands.Policy;

namespace Signet.UnitTests.Policy;

/// <summary>The commands, as scripts see them.</summary>
public sealed class PolicyCommandTests : IDisposable
{
    private const string Policies = """
        apiVersion: security.istio.io/v1
        kind: PeerAuthentication
        metadata: {name: default, namespace: production}
        spec: {mtls: {mode: STRICT}}
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: authz, namespace: production}
        spec: {rules: [{to: [{operation: {methods: [POST]}}]}]}
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: trial, namespace: production, annotations: {istio.io/dry-run: "true"}}
        spec: {action: DENY, rules: [{}]}
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: audit, namespace: production}
        spec: {action: AUDIT, rules: [{}]}
        """;

    private const string Requests = """
        - {name: ok, destination: {namespace: production, labels: {}, port: 8080, protocol: http}, source: {principal: a/b}, request: {method: POST, path: /}}
        - {name: no, destination: {namespace: production, labels: {}, port: 8080, protocol: http}, source: {ip: 10.0.0.7}, request: {method: POST, path: /}}
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("signet-policy-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Check_answers_an_array_in_order_with_every_field()
    {
        var (code, output, _) = Run("check", "--policies", Write("policies/p.yaml", Policies), "--requests", Write("r.yaml", Requests), "--output", "json");
        Assert.Equal(0, code);
        var answers = JsonDocument.Parse(output).RootElement;
        Assert.Equal(
            """{"name":"ok","verdict":"allow","stage":"allow","policy":"production/authz","rule":0,"reason":"allowed by production/authz rule 0: methods [POST]","mtls":"STRICT","audit":["production/audit"],"dryRun":[{"policy":"production/trial","action":"DENY","rule":0}]}""",
            JsonSerializer.Serialize(answers[0]));
        Assert.Equal(
            """{"name":"no","verdict":"deny","stage":"peer-authentication","policy":"production/default","rule":null,"reason":"denied: production/default asks for mutual TLS and the peer has none","mtls":"STRICT","audit":[],"dryRun":[]}""",
            JsonSerializer.Serialize(answers[1]));
    }

    [Fact]
    public void Check_reads_a_folder_and_below_and_leaves_hidden_files_out()
    {
        Write("policies/a/p.yaml", Policies);
        Write("policies/.hidden/p.yaml", "nonsense: [");
        Write("policies/readme.txt", "nonsense: [");
        var (code, output, error) = Run("check", "--policies", Path.Combine(_folder, "policies"), "--requests", Write("r.yaml", Requests));
        Assert.Equal((0, ""), (code, error));
        Assert.StartsWith("REQUEST  VERDICT  STAGE", output);
    }

    [Fact]
    public void Check_fails_with_one_error_per_problem_and_its_hint()
    {
        var file = Write("p.yaml", "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nspec: {ruels: []}\n---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\nspec: {mtls: {mode: STRIKT}}\n");
        var (code, output, error) = Run("check", "--policies", file, "--requests", Write("r.yaml", Requests), "--output", "json");
        Assert.Equal((1, ""), (code, output));
        Assert.Equal(
            [$"error: {file}:4: spec.ruels is not a known field [SIG0005]", "hint: did you mean rules?", $"error: {file}:9: spec.mtls.mode is \"STRIKT\"; expected one of UNSET, DISABLE, PERMISSIVE, STRICT [SIG0006]", "hint: did you mean STRICT?"],
            error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void Check_obeys_mesh_settings()
    {
        var policies = Write("p.yaml", "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: m, namespace: root}\nspec: {mtls: {mode: STRICT}}");
        var (_, output, _) = Run("check", "--policies", policies, "--requests", Write("r.yaml", Requests), "--mesh", Write("mesh.yaml", "rootNamespace: root"), "--output", "json");
        Assert.Equal("root/m", JsonDocument.Parse(output).RootElement[1].GetProperty("policy").GetString());
    }

    [Fact]
    public void A_file_that_is_not_there_is_an_error_with_a_hint()
    {
        var (code, _, error) = Run("check", "--policies", Path.Combine(_folder, "nowhere"), "--requests", Path.Combine(_folder, "nowhere"));
        Assert.Equal(1, code);
        Assert.StartsWith("error: ", error);
        Assert.Contains("\nhint: ", error);
        Assert.DoesNotContain(" at ", error.Split('\n')[1]);
    }

    [Fact]
    public void A_file_that_is_not_UTF8_is_an_error()
    {
        var file = Write("p.yaml", "");
        File.WriteAllBytes(file, [0x61, 0x0a, 0xff]);
        var (code, _, error) = Run("check", "--policies", file, "--requests", Write("r.yaml", Requests));
        Assert.Equal(1, code);
        Assert.StartsWith($"error: {file}:2: the file is not UTF-8 text", error);
    }

    [Fact]
    public void A_file_of_a_hundred_megabytes_is_an_error_and_not_read_to_its_end()
    {
        var file = Write("p.yaml", Policies + "\n");
        using (var huge = File.OpenWrite(file))
        {
            huge.SetLength(100L * 1024 * 1024);
        }

        var before = GC.GetAllocatedBytesForCurrentThread();
        var (code, output, error) = Run("check", "--policies", file, "--requests", Write("r.yaml", Requests), "--output", "json");

        Assert.Equal((1, ""), (code, output));
        Assert.StartsWith($"error: {file}:1: the file has more than 16777216 bytes [SIG0002]\nhint: split it into several files", error, StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100L * 1024 * 1024);
    }

    [Fact]
    public void Effective_answers_each_port_and_its_object()
    {
        var (code, output, _) = Run("effective", "--policies", Write("p.yaml", Policies), "--workload", Write("w.yaml", "{namespace: production, labels: {a: b}, ports: [8080, 9090]}"), "--output", "json");
        Assert.Equal(0, code);
        Assert.Equal("""{"ports":[{"port":8080,"mode":"STRICT","from":"production/default"},{"port":9090,"mode":"STRICT","from":"production/default"}]}""", Compact(output));
        (_, output, _) = Run("effective", "--policies", Write("p.yaml", Policies), "--workload", Write("w.yaml", "{namespace: other, labels: {}, ports: [1]}"), "--output", "json");
        Assert.Equal("""{"ports":[{"port":1,"mode":"PERMISSIVE","from":null}]}""", Compact(output));
    }

    [Fact]
    public void Table_answers_both_sides_and_the_verdict()
    {
        var services = Write("s.yaml", "- {name: a, client: {namespace: web, labels: {}, principal: a/b}, host: s, namespace: production, port: 80, targetPort: 8080, endpoints: [{labels: {}, sidecar: true}], headless: false}");
        var (code, output, _) = Run("table", "--policies", Write("p.yaml", Policies), "--services", services, "--output", "json");
        Assert.Equal(0, code);
        Assert.Equal("""[{"name":"a","server":"STRICT","serverFrom":"production/default","client":"ISTIO_MUTUAL","clientFrom":null,"verdict":"OK"}]""", Compact(output));
    }

    [Fact]
    public void Lint_is_empty_when_clean_zero_with_warnings_and_one_with_errors()
    {
        var clean = Run("lint", Write("p.yaml", "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: b}\nspec: {rules: [{}]}"), "--output", "json");
        Assert.Equal((0, "[]"), (clean.Code, clean.Output.Trim()));
        var warning = Run("lint", Write("p.yaml", "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: b}\nspec: {rules: [{}, {}]}"), "--output", "json");
        Assert.Equal(0, warning.Code);
        var finding = JsonDocument.Parse(warning.Output).RootElement[0];
        Assert.Equal((4, "SIG0107", "warning"), (finding.GetProperty("line").GetInt32(), finding.GetProperty("code").GetString(), finding.GetProperty("severity").GetString()));
        Assert.Equal(1, Run("lint", Write("p.yaml", "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: b}\nspec: {x: y}")).Code);
    }

    [Fact]
    public void Explain_takes_a_file_or_a_request_by_hand()
    {
        var policies = Write("p.yaml", Policies);
        var byFile = Run("explain", "--policies", policies, "--requests", Write("r.yaml", Requests));
        Assert.Equal(0, byFile.Code);
        Assert.Contains("no: deny (peer-authentication)", byFile.Output);
        var byHand = Run("explain", "--policies", policies, "--workload", Write("w.yaml", "{namespace: production, labels: {}, ports: [8080]}"), "--source-principal", "a/b", "--method", "GET", "--path", "/x", "--header", "x-a: b");
        Assert.Equal(0, byHand.Code);
        Assert.Contains("methods must be POST, and the request has GET", byHand.Output);
        Assert.Equal(1, Run("explain", "--policies", policies).Code);
    }

    [Fact]
    public void Simulate_counts_per_edge_and_leaves_bad_lines_out()
    {
        const string line = "{\"direction\":\"inbound\",\"source\":{\"ip\":\"10.0.0.7\"},\"destination\":{\"namespace\":\"production\",\"labels\":{},\"port\":8080},\"request\":{\"method\":\"POST\",\"path\":\"/\"},\"verdict\":\"allow\"}";
        var (code, output, error) = Run("simulate", "--policies", Write("p.yaml", Policies), "--log", Write("access.log", line + "\n" + line + "\r\nnonsense\n\n" + new string('x', 300_000) + "\n" + line), "--output", "json");
        Assert.Equal(0, code);
        Assert.Contains("access.log:3:", error);
        var answer = JsonDocument.Parse(output).RootElement;
        Assert.Equal((3, 3, 2), (answer.GetProperty("requests").GetInt32(), answer.GetProperty("newlyRefused").GetInt32(), answer.GetProperty("leftOut").GetInt32()));
        Assert.Equal("10.0.0.7", answer.GetProperty("edges")[0].GetProperty("client").GetString());
    }

    private static string Compact(string json) => JsonSerializer.Serialize(JsonDocument.Parse(json).RootElement);

    private static (int Code, string Output, string Error) Run(params string[] arguments)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = PolicyCommand.Create().Parse(arguments).Invoke(new InvocationConfiguration { Output = output, Error = error });
        return (code, output.ToString(), error.ToString());
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(_folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
        return path;
    }
}
