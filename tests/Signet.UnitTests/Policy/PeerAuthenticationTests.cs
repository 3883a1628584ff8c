using Signet.Policy;

namespace Signet.UnitTests.Policy;

/// <summary>Which mode a port has, and which object says so.</summary>
public sealed class PeerAuthenticationTests
{
    private static readonly Workload Finance = Ask.Workload("foo", ("app", "finance"));

    private static string Peer(string name, string ns, string spec, string created = "") =>
        $"---\napiVersion: security.istio.io/v1beta1\nkind: PeerAuthentication\nmetadata: {{name: {name}, namespace: {ns}{(created.Length == 0 ? "" : ", creationTimestamp: \"" + created + "\"")}}}\nspec: {{{spec}}}\n";

    private static PortMtls Mode(string yaml, int port = 8080, Workload? workload = null) => Ask.Set(yaml).ForWorkload(workload ?? Finance).MtlsFor(port);

    [Fact]
    public void Without_any_object_a_port_is_PERMISSIVE_by_default() => Assert.Equal(new PortMtls(MtlsMode.Permissive, null), Mode(""));

    [Fact]
    public void A_mesh_policy_reaches_every_namespace() => Assert.Equal(new PortMtls(MtlsMode.Strict, "istio-system/m"), Mode(Peer("m", "istio-system", "mtls: {mode: STRICT}")));

    [Fact]
    public void Another_namespaces_policy_does_not() => Assert.Equal(new PortMtls(MtlsMode.Permissive, null), Mode(Peer("m", "bar", "mtls: {mode: STRICT}")));

    [Fact]
    public void Namespace_beats_mesh() =>
        Assert.Equal(new PortMtls(MtlsMode.Disable, "foo/n"), Mode(Peer("m", "istio-system", "mtls: {mode: STRICT}") + Peer("n", "foo", "mtls: {mode: DISABLE}")));

    [Fact]
    public void Workload_beats_namespace() => Assert.Equal(
        new PortMtls(MtlsMode.Strict, "foo/w"), Mode(Peer("n", "foo", "mtls: {mode: DISABLE}") + Peer("w", "foo", "selector: {matchLabels: {app: finance}}, mtls: {mode: STRICT}")));

    [Fact]
    public void A_selector_that_does_not_match_does_not_count() => Assert.Equal(
        new PortMtls(MtlsMode.Disable, "foo/n"), Mode(Peer("n", "foo", "mtls: {mode: DISABLE}") + Peer("w", "foo", "selector: {matchLabels: {app: other}}, mtls: {mode: STRICT}")));

    [Theory]
    [InlineData("8080", MtlsMode.Disable, "foo/w")]
    [InlineData("9090", MtlsMode.Strict, "foo/w")]
    public void Port_beats_workload(string port, MtlsMode mode, string from) => Assert.Equal(
        new PortMtls(mode, from),
        Mode(Peer("w", "foo", "selector: {matchLabels: {app: finance}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}"), int.Parse(port, System.Globalization.CultureInfo.InvariantCulture)));

    [Theory]
    [InlineData("mtls: {mode: UNSET}")]
    [InlineData("mtls: {}")]
    [InlineData("mtls: null")]
    [InlineData("")]
    public void Unset_inherits_from_the_wider_scope(string mtls)
    {
        var mesh = Peer("m", "istio-system", "mtls: {mode: STRICT}");
        Assert.Equal("istio-system/m", Mode(mesh + Peer("n", "foo", mtls)).From);
        Assert.Equal("istio-system/m", Mode(mesh + Peer("w", "foo", "selector: {matchLabels: {app: finance}}" + (mtls.Length == 0 ? "" : ", " + mtls))).From);
        Assert.Equal(MtlsMode.Strict, Mode(mesh + Peer("n", "foo", mtls)).Mode);
    }

    [Fact]
    public void An_unset_mesh_policy_is_the_default() => Assert.Equal(new PortMtls(MtlsMode.Permissive, null), Mode(Peer("m", "istio-system", "mtls: {mode: UNSET}")));

    [Fact]
    public void An_unset_port_inherits_the_merged_mode_of_the_workload()
    {
        var yaml = Peer("n", "foo", "mtls: {mode: STRICT}") + Peer("w", "foo", "selector: {matchLabels: {app: finance}}, portLevelMtls: {8080: {mode: UNSET}, 9090: {mode: DISABLE}}");
        Assert.Equal(new PortMtls(MtlsMode.Strict, "foo/n"), Mode(yaml));
        Assert.Equal(new PortMtls(MtlsMode.Disable, "foo/w"), Mode(yaml, 9090));
    }

    [Fact]
    public void In_one_scope_the_oldest_wins_whole()
    {
        var yaml = Peer("a", "foo", "selector: {matchLabels: {app: finance}}, mtls: {mode: DISABLE}, portLevelMtls: {9090: {mode: STRICT}}", "2026-02-01T00:00:00Z")
            + Peer("z", "foo", "selector: {matchLabels: {app: finance}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: PERMISSIVE}}", "2026-01-01T00:00:00Z");
        Assert.Equal(new PortMtls(MtlsMode.Permissive, "foo/z"), Mode(yaml));
        Assert.Equal(new PortMtls(MtlsMode.Strict, "foo/z"), Mode(yaml, 9090));
    }

    [Fact]
    public void Among_the_equally_old_the_first_name_wins() =>
        Assert.Equal("foo/a", Mode(Peer("b", "foo", "mtls: {mode: STRICT}") + Peer("a", "foo", "mtls: {mode: DISABLE}")).From);

    [Fact]
    public void The_oldest_wins_even_when_it_says_nothing() => Assert.Equal(
        new PortMtls(MtlsMode.Permissive, null),
        Mode(Peer("old", "foo", "mtls: {mode: UNSET}", "2026-01-01T00:00:00Z") + Peer("young", "foo", "mtls: {mode: STRICT}", "2026-02-01T00:00:00Z")));

    [Fact]
    public void A_selector_in_the_root_namespace_is_ignored()
    {
        var yaml = Peer("r", "istio-system", "selector: {matchLabels: {app: finance}}, mtls: {mode: STRICT}");
        Assert.Equal(new PortMtls(MtlsMode.Permissive, null), Mode(yaml));
        Assert.Equal(new PortMtls(MtlsMode.Permissive, null), Mode(yaml, workload: Ask.Workload("istio-system", ("app", "finance"))));
    }

    [Theory]
    [InlineData("selector: {}")]
    [InlineData("selector: {matchLabels: {}}")]
    [InlineData("selector:")]
    public void An_empty_selector_is_none(string selector) => Assert.Equal("foo/n", Mode(Peer("n", "foo", selector + ", mtls: {mode: STRICT}")).From);

    [Fact]
    public void The_root_namespace_can_have_another_name() => Assert.Equal(
        MtlsMode.Strict, Ask.Set(Peer("m", "mesh-root", "mtls: {mode: STRICT}"), MeshSettings.Default with { RootNamespace = "mesh-root" }).ForWorkload(Finance).MtlsFor(1).Mode);

    [Theory]
    [InlineData("mtls: {mode: strict}", "did you mean STRICT?")]
    [InlineData("mtls: {mode: STICT}", "did you mean STRICT?")]
    [InlineData("mtls: {mod: STRICT}", "did you mean mode?")]
    [InlineData("mtlss: {mode: STRICT}", "did you mean mtls?")]
    [InlineData("portLevelMtls: {8080: {mode: STRICT}}", "add spec.selector.matchLabels")]
    [InlineData("selector: {matchLabels: {a: b}}, portLevelMtls: {0: {mode: STRICT}}", null)]
    [InlineData("selector: {matchLabels: {a: b}}, portLevelMtls: {65536: {mode: STRICT}}", null)]
    [InlineData("selector: {matchLabels: {a: b}}, portLevelMtls: {http: {mode: STRICT}}", null)]
    [InlineData("selector: {matchLabels: {a: b}}, portLevelMtls: {}", null)]
    [InlineData("mtls: STRICT", null)]
    public void A_mistake_is_an_error_with_a_line_and_denies_what_is_covered(string spec, string? hint)
    {
        var load = Ask.Load(Peer("p", "foo", spec));
        var problem = Assert.Single(load.Problems);
        Assert.Equal((PolicySeverity.Error, 5, hint), (problem.Severity, problem.Line, problem.Hint));
        var labels = spec.Contains("a: b", StringComparison.Ordinal) ? Ask.Workload("foo", ("a", "b")) : Finance;
        var decision = load.Set.ForWorkload(labels).Decide(Ask.Request("source: {principal: a/b}").Facts);
        Assert.Equal((false, Stage.PeerAuthentication, "foo/p"), (decision.Allowed, decision.Verdict.Stage, decision.Verdict.Policy));
        Assert.True(load.Set.ForWorkload(Ask.Workload("bar")).Decide(Ask.Request("").Facts).Allowed);
    }

    [Fact]
    public void STRICT_refuses_plaintext_by_the_objects_name_and_takes_mutual_TLS()
    {
        const string to = "destination: {namespace: foo, labels: {app: finance}, port: 8080, protocol: tcp}";
        var set = Ask.Set(Peer("n", "foo", "mtls: {mode: STRICT}"));
        var denied = Ask.Decide(set, to);
        Assert.Equal((false, Stage.PeerAuthentication, "foo/n", null), (denied.Allowed, denied.Verdict.Stage, denied.Verdict.Policy, denied.Verdict.Rule));
        Assert.True(Ask.Decide(set, to + ", source: {principal: a/b}").Allowed);
        Assert.False(Ask.Decide(set, to + ", source: {principal: a/b}, tls: {mutual: false}").Allowed);
    }

    [Fact]
    public void On_a_DISABLE_port_nobody_is_authenticated()
    {
        const string request = "destination: {namespace: foo, labels: {app: finance}, port: 8080, protocol: tcp}, source: {principal: cluster.local/ns/foo/sa/a}";
        const string allow = "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: foo}\nspec: {rules: [{from: [{source: {principals: [\"*\"]}}]}]}\n";
        Assert.True(Ask.Decide(allow, request).Allowed);
        Assert.False(Ask.Decide(allow + Peer("n", "foo", "mtls: {mode: DISABLE}"), request).Allowed);
    }
}
