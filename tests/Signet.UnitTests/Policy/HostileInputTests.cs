using System.Text;
using Signet.Policy;
using Signet.Policy.Yaml;

namespace Signet.UnitTests.Policy;

/// <summary>Text from a stranger: bounded, an error with a place, and a denial.</summary>
public sealed class HostileInputTests
{
    private const string Head = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: production}\n";

    public static TheoryData<string, string> Corpus { get; } = new()
    {
        { "a billion laughs", Laughs() },
        { "an anchor that contains itself", Head + "spec: &a {rules: [*a]}" },
        { "an alias without anchor", Head + "spec: *nowhere" },
        { "an anchor of another document", "a: &x 1\n---\n" + Head + "spec: *x" },
        { "deep flow lists", Head + "spec: " + new string('[', 100_000) },
        { "deep flow mappings", Head + "spec: " + string.Concat(Enumerable.Repeat("{a: ", 50_000)) },
        { "deep block lists", Head + "spec:\n  " + string.Concat(Enumerable.Repeat("- ", 20_000)) + "x" },
        { "one value of two megabytes", Head + "spec: {action: " + new string('A', 2 * 1024 * 1024) + "}" },
        { "a custom tag", Head + "spec: !!python/object/apply:os.system {}" },
        { "a private tag", Head + "spec: !secret {}" },
        { "a key twice", Head + "spec: {action: DENY, action: ALLOW}" },
        { "a key twice, spelled apart", Head + "spec: {action: DENY, \"action\": ALLOW}" },
        { "a merge key", Head + "spec: {<<: {action: DENY}, rules: [{}]}" },
        { "a mapping as key", Head + "spec: {{a: b}: c}" },
        { "an unclosed quote", Head + "spec: {action: \"DENY" },
        { "an unclosed bracket", Head + "spec: {rules: [" },
        { "a tab as indentation", Head + "spec:\n\taction: DENY" },
        { "a NUL", Head + "spec: {action: \"\0\"}" },
        { "only a colon", ":" },
        { "only a dash", "- " },
        { "a text", "hello" },
        { "a directive", "%YAML 9.9\n---\n" + Head },
        { "no kind", "apiVersion: security.istio.io/v1\nmetadata: {name: p}" },
        { "a kind with a slip", Head.Replace("AuthorizationPolicy", "AuthorisationPolicy") },
        { "a version that never was", Head.Replace("/v1", "/v7") },
        { "no name", Head.Replace("name: p, ", "") },
        { "a namespace with a slash", Head.Replace("production", "a/b") },
        { "a name with a line break", Head.Replace("name: p", "name: \"p\\n\"") },
        { "spec is a list", Head + "spec: []" },
        { "spec is a text", Head + "spec: yes" },
        { "a field with a slip", Head + "spec: {ruels: [{}]}" },
        { "an unknown top-level field", Head + "spec: {}\nrules: [{}]" },
        { "rules is a mapping", Head + "spec: {rules: {}}" },
        { "a rule is nothing", Head + "spec: {rules: [null]}" },
        { "from without source", Head + "spec: {rules: [{from: [{}]}]}" },
        { "to without operation", Head + "spec: {rules: [{to: [{operation: null}]}]}" },
        { "an empty source", Head + "spec: {rules: [{from: [{source: {}}]}]}" },
        { "a source whose only list was emptied", Head + "spec: {rules: [{from: [{source: {principals: []}}]}]}" },
        { "an empty operation", Head + "spec: {rules: [{to: [{operation: {methods: []}}]}]}" },
        { "a selector with a wildcard", Head + "spec: {selector: {matchLabels: {app: \"*\"}}}" },
        { "an unknown source field", Head + "spec: {rules: [{from: [{source: {principal: [a]}}]}]}" },
        { "an empty value", Head + "spec: {rules: [{from: [{source: {principals: [\"\"]}}]}]}" },
        { "a value that is a list", Head + "spec: {rules: [{from: [{source: {principals: [[a]]}}]}]}" },
        { "values that are no list", Head + "spec: {rules: [{from: [{source: {principals: a}}]}]}" },
        { "an address that is none", Head + "spec: {rules: [{from: [{source: {ipBlocks: [10.0.0]}}]}]}" },
        { "an address in hexadecimal", Head + "spec: {rules: [{from: [{source: {ipBlocks: [\"0x0a000001\"]}}]}]}" },
        { "a prefix that is too long", Head + "spec: {rules: [{from: [{source: {ipBlocks: [10.0.0.0/33]}}]}]}" },
        { "a negative prefix", Head + "spec: {rules: [{from: [{source: {ipBlocks: [10.0.0.0/-1]}}]}]}" },
        { "a prefix that is no number", Head + "spec: {rules: [{from: [{source: {ipBlocks: [10.0.0.0/x]}}]}]}" },
        { "a port that is too large", Head + "spec: {rules: [{to: [{operation: {ports: [\"65536\"]}}]}]}" },
        { "a port range", Head + "spec: {rules: [{to: [{operation: {ports: [\"80-90\"]}}]}]}" },
        { "a template with a star", Head + "spec: {rules: [{to: [{operation: {paths: [\"/a*/{*}\"]}}]}]}" },
        { "a template with two rests", Head + "spec: {rules: [{to: [{operation: {paths: [\"/{**}/{**}\"]}}]}]}" },
        { "a template with a named segment", Head + "spec: {rules: [{to: [{operation: {paths: [\"/{id}\"]}}]}]}" },
        { "a template with an operator after the rest", Head + "spec: {rules: [{to: [{operation: {paths: [\"/{**}/{*}\"]}}]}]}" },
        { "a template inside a segment", Head + "spec: {rules: [{to: [{operation: {paths: [\"/a{*}\"]}}]}]}" },
        { "a condition without key", Head + "spec: {rules: [{when: [{values: [a]}]}]}" },
        { "a condition without values", Head + "spec: {rules: [{when: [{key: source.ip}]}]}" },
        { "an unknown condition key", Head + "spec: {rules: [{when: [{key: source.pi, values: [a]}]}]}" },
        { "a header without a name", Head + "spec: {rules: [{when: [{key: \"request.headers[]\", values: [a]}]}]}" },
        { "a pseudo header", Head + "spec: {rules: [{when: [{key: \"request.headers[:path]\", values: [a]}]}]}" },
        { "a claim without brackets", Head + "spec: {rules: [{when: [{key: request.auth.claims, values: [a]}]}]}" },
        { "a claim with open brackets", Head + "spec: {rules: [{when: [{key: \"request.auth.claims[a][b\", values: [a]}]}]}" },
        { "what Envoy's filters know", Head + "spec: {rules: [{when: [{key: \"experimental.envoy.filters.a.b[c]\", values: [d]}]}]}" },
        { "DENY without rules", Head + "spec: {action: DENY}" },
        { "CUSTOM without provider", Head + "spec: {action: CUSTOM, rules: [{}]}" },
        { "CUSTOM by principal", Head + "spec: {action: CUSTOM, provider: {name: a}, rules: [{from: [{source: {principals: [a]}}]}]}" },
        { "CUSTOM by token", Head + "spec: {action: CUSTOM, provider: {name: a}, rules: [{when: [{key: \"request.auth.claims[a]\", values: [a]}]}]}" },
        { "CUSTOM without rules", Head + "spec: {action: CUSTOM, provider: {name: a}}" },
        { "ALLOW with provider", Head + "spec: {provider: {name: a}, rules: [{}]}" },
        { "an action in lower case", Head + "spec: {action: deny, rules: [{}]}" },
        { "selector and targetRefs", Head + "spec: {selector: {matchLabels: {a: b}}, targetRefs: [{kind: Gateway, name: g}], rules: [{}]}" },
        { "a selector with a slip", Head + "spec: {selector: {matchLabel: {a: b}}}" },
        { "513 rules", Head + "spec: {rules: [" + string.Join(",", Enumerable.Repeat("{}", 513)) + "]}" },
        { "17 targetRefs", Head + "spec: {targetRefs: [" + string.Join(",", Enumerable.Repeat("{kind: Gateway, name: g}", 17)) + "]}" },
        { "17 service accounts", Head + "spec: {rules: [{from: [{source: {serviceAccounts: [" + string.Join(",", Enumerable.Repeat("a", 17)) + "]}}]}]}" },
        { "a service account with a star", Head + "spec: {rules: [{from: [{source: {serviceAccounts: [\"a*\"]}}]}]}" },
        { "a service account of 321 characters", Head + "spec: {rules: [{from: [{source: {serviceAccounts: [" + new string('a', 321) + "]}}]}]}" },
        { "service accounts beside principals", Head + "spec: {rules: [{from: [{source: {serviceAccounts: [a], principals: [b]}}]}]}" },
        { "a trust domain with a slash", Head + "spec: {rules: [{from: [{source: {trustDomains: [a/b]}}]}]}" },
        { "a trust domain with two stars", Head + "spec: {rules: [{from: [{source: {trustDomains: [\"*a*\"]}}]}]}" },
        { "the old API", "apiVersion: authentication.istio.io/v1alpha1\nkind: Policy\nmetadata: {name: p}\nspec: {}" },
        { "a time that is none", Head.Replace("name: p", "name: p, creationTimestamp: soon") },
        { "a list in a list", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: []}" },
    };

    [Theory]
    [MemberData(nameof(Corpus))]
    public void Bad_input_is_an_error_with_a_line_and_denies_what_it_covers(string what, string text)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var load = Ask.Load(text);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 256L * 1024 * 1024);
        var problem = load.Problems.First(one => one.Severity == PolicySeverity.Error);
        Assert.Equal(load.Problems.Count, load.Problems.Distinct().Count());
        Assert.True(problem.Line >= 1 && problem.Line <= 1 + text.Count(c => c == '\n'), what);
        Assert.InRange(problem.Message.Length, 10, 600);
        Assert.DoesNotContain('\n', problem.Message);
        var decision = load.Set.ForWorkload(Ask.Workload("production", ("a", "b"))).Decide(Ask.Request("source: {principal: a/b}").Facts);
        Assert.False(decision.Allowed, what);
        Assert.Contains("can't be understood", decision.Verdict.Reason);
    }

    [Fact]
    public void What_can_be_understood_around_a_mistake_keeps_its_meaning_and_other_namespaces_go_on()
    {
        var load = Ask.Load(Head + "spec: {ruels: [{}]}\n---\n" + Head.Replace("production", "other") + "spec: {action: DENY, rules: [{}]}\n---\n" + Head.Replace("production", "third") + "spec: {rules: [{}]}");
        Assert.Single(load.Problems);
        Assert.Contains("understood", load.Set.ForWorkload(Ask.Workload("production")).Decide(Ask.Request("").Facts).Verdict.Reason);
        Assert.Equal("other/p", load.Set.ForWorkload(Ask.Workload("other")).Decide(Ask.Request("").Facts).Verdict.Policy);
        Assert.True(load.Set.ForWorkload(Ask.Workload("third")).Decide(Ask.Request("").Facts).Allowed);
    }

    [Fact]
    public void Broken_YAML_denies_everything_and_lets_no_client_connect()
    {
        var load = Ask.Load(Head + "spec: {rules: [{}]}\n---\nfoo: [");
        Assert.False(load.Set.ForWorkload(Ask.Workload("anywhere")).Decide(Ask.Request("").Facts).Allowed);
        Assert.NotNull(load.Set.ClientTls(new ClientTlsQuery(Ask.Workload("a"), "b", "c", 80)).Refusal);
    }

    [Fact]
    public void An_object_declared_twice_is_an_error_and_applies_in_neither_form()
    {
        var load = PolicySet.Load([new PolicyText("b", Head + "spec: {rules: [{}]}"), new PolicyText("a", "\n" + Head + "spec: {rules: [{}]}")], MeshSettings.Default);
        Assert.Equal(("b", 1, PolicyCodes.DeclaredTwice), (load.Problems[0].File, load.Problems[0].Line, load.Problems[0].Code));
        Assert.Contains("a:2", load.Problems[0].Message);
        Assert.False(load.Set.ForWorkload(Ask.Workload("production")).Decide(Ask.Request("").Facts).Allowed);
        Assert.False(load.Set.Update([], ["a"]).HasErrors);
    }

    [Fact]
    public void The_last_good_set_is_still_there_after_a_bad_change()
    {
        var good = Ask.Load(Head + "spec: {rules: [{}]}");
        var bad = good.Set.Update([new PolicyText("test.yaml", "foo: [")], []);
        Assert.True(bad.HasErrors);
        Assert.True(good.Set.ForWorkload(Ask.Workload("production")).Decide(Ask.Request("").Facts).Allowed);
        Assert.False(bad.Set.ForWorkload(Ask.Workload("production")).Decide(Ask.Request("").Facts).Allowed);
    }

    [Fact]
    public void An_unknown_field_names_the_nearest_known_one()
    {
        var problem = Assert.Single(Ask.Load(Head + "spec:\n  rules:\n  - from:\n    - source:\n        principal: [a]\n").Problems);
        Assert.Equal((8, "spec.rules[0].from[0].source.principal is not a known field", "did you mean principals?"), (problem.Line, problem.Message, problem.Hint));
    }

    [Theory]
    [InlineData("{when: [{key: \"experimental.envoy.filters.network.mysql_proxy[db.table]\", values: [a]}]}")]
    [InlineData("{when: [{key: \"experimental.envoy.filters.a.b[c]\", notValues: [a]}]}")]
    public void What_Istio_has_and_Signet_does_not_is_named_as_such_and_never_ignored(string rule)
    {
        var load = Ask.Load(Head + "spec: {rules: [" + rule + "]}");
        Assert.Equal((4, PolicyCodes.Unsupported), (Assert.Single(load.Problems).Line, load.Problems[0].Code));
        Assert.Contains("experimental.envoy.filters", load.Problems[0].Message, StringComparison.Ordinal);
        Assert.False(load.Set.ForWorkload(Ask.Workload("production")).Decide(Ask.Request("").Facts).Allowed);
    }

    [Fact]
    public void Anchors_are_fine_while_they_are_small() =>
        Assert.True(Ask.Decide(Head + "spec:\n  rules:\n  - to: &t [{operation: {methods: [GET]}}]\n  - to: *t", "request: {method: GET}").Allowed);

    [Fact]
    public void Kubernetes_metadata_is_honoured() => Assert.Empty(Ask.Load(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: a, uid: u, resourceVersion: \"1\", generation: 1, managedFields: [], labels: {a: b}, annotations: {c: d}, creationTimestamp: null}\nspec: {}\nstatus: {}").Problems);

    [Fact]
    public void A_List_is_its_items() => Assert.Equal(
        "production/p", Ask.Decide("apiVersion: v1\nkind: List\nitems:\n- " + Head.Replace("\n", "\n  ").TrimEnd() + "\n  spec: {action: DENY, rules: [{}]}", "").Verdict.Policy);

    [Theory]
    [InlineData("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {}", PolicySeverity.Info)]
    [InlineData("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\nspec: {}", PolicySeverity.Warning)]
    public void Other_objects_are_named_and_passed_over(string text, PolicySeverity severity) =>
        Assert.Equal((severity, PolicyCodes.NotAPolicy), (Ask.Load(text).Problems[0].Severity, Ask.Load(text).Problems[0].Code));

    [Fact]
    public void Bytes_that_are_not_UTF8_or_too_many_are_refused_with_their_line()
    {
        Assert.Equal((2, PolicyCodes.BadYaml), (PolicyText.Decode("f", [.. "a: b\nc: "u8, 0xff]).Problem!.Line, PolicyText.Decode("f", [0xff]).Problem!.Code));
        Assert.Equal(PolicyCodes.TooLarge, PolicyText.Decode("f", new byte[PolicyText.MaxLength + 1]).Problem!.Code);
        Assert.Equal("a: ü", PolicyText.Decode("f", [.. Encoding.UTF8.Preamble, .. "a: ü"u8]).Text);
        var load = PolicySet.Load([PolicyText.Decode("f", [0xff])], MeshSettings.Default);
        Assert.False(load.Set.ForWorkload(Ask.Workload("anywhere")).Decide(Ask.Request("").Facts).Allowed);
        Assert.Single(load.Problems);
    }

    [Fact]
    public void Too_long_a_text_is_not_even_looked_at() => Assert.False(YamlReader.TryRead(new string(' ', PolicyText.MaxLength + 1), out _, out _));

    [Fact]
    public void Random_damage_is_never_more_than_a_problem()
    {
        const string damage = "{}[]:,-&*!|>'\"%@`#?\n\t \0ü\ud800x";
        var random = new Random(7);
        var original = Head + "spec:\n  selector: {matchLabels: {app: x}}\n  rules:\n  - from: [{source: {principals: [\"a/*\"], ipBlocks: [10.0.0.0/8]}}]\n    to: [{operation: {paths: [/a/{*}], ports: [\"80\"]}}]\n    when: [{key: \"request.headers[x]\", values: [y]}]\n";
        for (var i = 0; i < 5000; i++)
        {
            var text = original.ToCharArray();
            for (var j = random.Next(1, 4); j > 0; j--)
            {
                text[random.Next(text.Length)] = damage[random.Next(damage.Length)];
            }

            var load = Ask.Load(new string(text));
            Assert.NotNull(load.Set.ForWorkload(Ask.Workload("production", ("app", "x"))).Decide(Ask.Request("").Facts).Verdict.Reason);
        }
    }

    [Fact]
    public void A_SPIFFE_ID_of_2048_bytes_is_matched_like_any_other()
    {
        var principal = "cluster.local/ns/production/sa/" + new string('a', 2048 - "spiffe://cluster.local/ns/production/sa/".Length);
        var yaml = Ask.Policy("ALLOW", "{from: [{source: {principals: [" + principal + "]}}]}");
        Assert.True(Ask.Decide(yaml, "source: {principal: " + principal + "}").Allowed);
        Assert.False(Ask.Decide(yaml, "source: {principal: " + principal[..^1] + "}").Allowed);
    }

    [Fact]
    public void Text_like_a_regular_expression_is_only_text()
    {
        var yaml = Ask.Policy("ALLOW", "{to: [{operation: {paths: [\"/(a+)+$\", \"/.*\"]}}]}");
        Assert.False(Ask.Decide(yaml, "request: {path: /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!}").Allowed);
        Assert.True(Ask.Decide(yaml, "request: {path: /(a+)+$}").Allowed);
    }

    [Fact]
    public void A_range_with_host_bits_is_read_and_warned_about()
    {
        var load = Ask.Load(Ask.Policy("ALLOW", "{from: [{source: {ipBlocks: [10.0.0.7/8]}}]}"));
        Assert.Equal((PolicySeverity.Warning, PolicyCodes.HostBits, "write 10.0.0.0/8"), (load.Problems[0].Severity, load.Problems[0].Code, load.Problems[0].Hint));
        Assert.True(Ask.Decide(load.Set, "source: {ip: 10.9.9.9}").Allowed);
    }

    private static string Laughs()
    {
        var text = new StringBuilder("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for (var i = 1; i < 12; i++)
        {
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"a{i}: &a{i} [{string.Join(",", Enumerable.Repeat("*a" + (i - 1), 10))}]\n");
        }

        return text.ToString();
    }
}
