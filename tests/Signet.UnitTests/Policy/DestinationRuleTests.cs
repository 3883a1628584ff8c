using Signet.Policy;

namespace Signet.UnitTests.Policy;

/// <summary>Which DestinationRule decides about a client's TLS, and what it says.</summary>
public sealed class DestinationRuleTests
{
    private static readonly ClientEndpoint Sidecar = new(HasSidecar: true, MtlsMode.Permissive);

    private static string Rule(string name, string ns, string spec, string created = "") =>
        $"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}, namespace: {ns}{(created.Length == 0 ? "" : ", creationTimestamp: \"" + created + "\"")}}}\nspec: {{{spec}}}\n";

    private static string Tls(string mode) => $"trafficPolicy: {{tls: {{mode: {mode}}}}}";

    private static (ClientTlsMode, string?) Resolve(
        string yaml, string host = "svc", string serviceNamespace = "b", string client = "a", int port = 80, string? subset = null, ClientEndpoint? endpoint = null, MeshSettings? mesh = null)
    {
        var tls = Ask.Set(yaml, mesh).ClientTls(new ClientTlsQuery(Ask.Workload(client, ("app", "web")), host, serviceNamespace, port, endpoint ?? Sidecar, subset));
        Assert.Null(tls.Refusal);
        return (tls.Mode, tls.From);
    }

    [Theory]
    [InlineData("DISABLE", ClientTlsMode.Disable)]
    [InlineData("SIMPLE", ClientTlsMode.Simple)]
    [InlineData("ISTIO_MUTUAL", ClientTlsMode.IstioMutual)]
    public void A_rule_with_tls_decides(string written, ClientTlsMode mode) => Assert.Equal((mode, "b/r"), Resolve(Rule("r", "b", $"host: svc, {Tls(written)}")));

    [Fact]
    public void MUTUAL_carries_its_files()
    {
        var yaml = Rule("r", "b", "host: svc, trafficPolicy: {tls: {mode: MUTUAL, clientCertificate: /c, privateKey: /k, caCertificates: /ca, caCrl: /crl, sni: s, subjectAltNames: [x, y]}}");
        var tls = Ask.Set(yaml).ClientTls(new ClientTlsQuery(Ask.Workload("a"), "svc", "b", 80)).Settings!;
        Assert.Equal((ClientTlsMode.Mutual, "/c", "/k", "/ca", "/crl", "s"), (tls.Mode, tls.ClientCertificate, tls.PrivateKey, tls.CaCertificates, tls.CaCrl, tls.Sni));
        Assert.Equal(["x", "y"], tls.SubjectAltNames);
    }

    [Fact]
    public void A_short_name_belongs_to_the_rules_own_namespace()
    {
        Assert.Equal("b/r", Resolve(Rule("r", "b", $"host: svc, {Tls("SIMPLE")}")).Item2);
        Assert.Null(Resolve(Rule("r", "a", $"host: svc, {Tls("SIMPLE")}")).Item2);
        Assert.Equal("a/r", Resolve(Rule("r", "a", $"host: svc.b.svc.cluster.local, {Tls("SIMPLE")}")).Item2);
    }

    [Theory]
    [InlineData("*", true)]
    [InlineData("*.local", true)]
    [InlineData("*.b.svc.cluster.local", true)]
    [InlineData("*.svc.b.svc.cluster.local", false)]
    [InlineData("*.c.svc.cluster.local", false)]
    [InlineData("svc.b.svc.cluster.local", true)]
    [InlineData("SVC.b.svc.cluster.local", true)]
    public void A_wildcard_covers_what_ends_like_it(string host, bool covers) =>
        Assert.Equal(covers ? "a/r" : null, Resolve(Rule("r", "a", $"host: \"{host}\", {Tls("SIMPLE")}")).Item2);

    [Fact]
    public void A_wildcard_does_not_cover_its_own_suffix() => Assert.Null(Resolve(Rule("r", "a", $"host: \"*.foo.com\", {Tls("SIMPLE")}"), host: "foo.com").Item2);

    [Fact]
    public void Exact_beats_wildcard_and_the_longest_suffix_wins()
    {
        var wild = Rule("w1", "a", $"host: \"*.local\", {Tls("SIMPLE")}") + Rule("w2", "a", $"host: \"*.b.svc.cluster.local\", {Tls("DISABLE")}");
        Assert.Equal("a/w2", Resolve(wild).Item2);
        Assert.Equal("a/e", Resolve(wild + Rule("e", "a", $"host: svc.b.svc.cluster.local, {Tls("SIMPLE")}")).Item2);
    }

    [Fact]
    public void The_clients_namespace_is_asked_first_then_the_services_then_the_root()
    {
        var root = Rule("r", "istio-system", $"host: \"*.local\", {Tls("SIMPLE")}");
        var service = Rule("r", "b", $"host: svc, {Tls("DISABLE")}");
        var client = Rule("r", "a", $"host: \"*\", {Tls("ISTIO_MUTUAL")}");
        Assert.Equal("istio-system/r", Resolve(root).Item2);
        Assert.Equal("b/r", Resolve(root + service).Item2);
        Assert.Equal("a/r", Resolve(root + service + client).Item2);
    }

    [Fact]
    public void The_first_namespace_with_a_match_decides_alone_even_without_tls() =>
        Assert.Equal((ClientTlsMode.IstioMutual, null), Resolve(Rule("r", "b", $"host: svc, {Tls("DISABLE")}") + Rule("r", "a", "host: svc.b.svc.cluster.local")));

    [Fact]
    public void A_client_in_the_root_namespace_skips_that_step_except_for_private_rules()
    {
        var open = Rule("open", "istio-system", $"host: \"*\", {Tls("SIMPLE")}");
        var service = Rule("r", "b", $"host: svc, {Tls("DISABLE")}");
        Assert.Equal("b/r", Resolve(open + service, client: "istio-system").Item2);
        Assert.Equal("istio-system/own", Resolve(open + service + Rule("own", "istio-system", $"host: \"*\", exportTo: [.], {Tls("SIMPLE")}"), client: "istio-system").Item2);
    }

    [Theory]
    [InlineData("", true, true)]
    [InlineData("exportTo: [\"*\"], ", true, true)]
    [InlineData("exportTo: [.], ", false, true)]
    [InlineData("exportTo: [b], ", false, true)]
    [InlineData("exportTo: [a], ", true, false)]
    [InlineData("exportTo: [c], ", false, false)]
    [InlineData("exportTo: [., a], ", true, true)]
    public void ExportTo_says_who_sees_a_rule(string exportTo, bool fromA, bool fromB)
    {
        var yaml = Rule("r", "b", $"host: svc, {exportTo}{Tls("SIMPLE")}");
        Assert.Equal(fromA, Resolve(yaml, client: "a").Item2 is not null);
        Assert.Equal(fromB, Resolve(yaml, client: "b").Item2 is not null);
    }

    [Fact]
    public void A_rule_with_a_workloadSelector_is_private_and_preferred_where_it_matches()
    {
        var general = Rule("g", "a", $"host: svc.b.svc.cluster.local, {Tls("SIMPLE")}");
        var web = Rule("w", "a", $"host: svc.b.svc.cluster.local, workloadSelector: {{matchLabels: {{app: web}}}}, {Tls("DISABLE")}");
        var other = Rule("o", "a", $"host: svc.b.svc.cluster.local, workloadSelector: {{matchLabels: {{app: other}}}}, {Tls("DISABLE")}");
        Assert.Equal("a/w", Resolve(general + web).Item2);
        Assert.Equal("a/g", Resolve(general + other).Item2);
        Assert.Equal((ClientTlsMode.IstioMutual, null), Resolve(other));
        Assert.Null(Resolve(Rule("w", "b", $"host: svc, workloadSelector: {{matchLabels: {{app: web}}}}, {Tls("DISABLE")}")).Item2);
    }

    [Fact]
    public void For_one_host_the_oldest_traffic_policy_wins_and_subsets_are_united()
    {
        var yaml = Rule("a", "b", $"host: svc, {Tls("SIMPLE")}", "2026-02-01T00:00:00Z")
            + Rule("z", "b", $"host: svc.b.svc.cluster.local, {Tls("DISABLE")}, subsets: [{{name: v2, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL}}}}}}]", "2026-01-01T00:00:00Z")
            + Rule("s", "b", "host: svc, subsets: [{name: v1, trafficPolicy: {tls: {mode: SIMPLE}}}, {name: v2, trafficPolicy: {tls: {mode: SIMPLE}}}, {name: v3}]", "2026-03-01T00:00:00Z");
        Assert.Equal((ClientTlsMode.Disable, "b/z"), Resolve(yaml));
        Assert.Equal((ClientTlsMode.Simple, "b/s"), Resolve(yaml, subset: "v1"));
        Assert.Equal((ClientTlsMode.IstioMutual, "b/z"), Resolve(yaml, subset: "v2"));
        Assert.Equal((ClientTlsMode.Disable, "b/z"), Resolve(yaml, subset: "v3"));
        Assert.Equal((ClientTlsMode.Disable, "b/z"), Resolve(yaml, subset: "unknown"));
    }

    [Fact]
    public void A_port_replaces_the_rest_wholesale()
    {
        var yaml = Rule("r", "b", "host: svc, trafficPolicy: {tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}, {port: {number: 81}}]}");
        Assert.Equal((ClientTlsMode.Disable, "b/r"), Resolve(yaml));
        Assert.Equal((ClientTlsMode.IstioMutual, null), Resolve(yaml, port: 81));
        Assert.Equal((ClientTlsMode.Simple, "b/r"), Resolve(yaml, port: 82));
    }

    [Fact]
    public void A_subset_port_beats_the_subset_which_beats_the_rest()
    {
        var yaml = Rule("r", "b", "host: svc, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}, subsets: [{name: v, trafficPolicy: {tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 81}, tls: {mode: ISTIO_MUTUAL}}]}}]");
        Assert.Equal(ClientTlsMode.Simple, Resolve(yaml, subset: "v").Item1);
        Assert.Equal(ClientTlsMode.IstioMutual, Resolve(yaml, subset: "v", port: 81).Item1);
        Assert.Equal(ClientTlsMode.Disable, Resolve(yaml).Item1);
    }

    [Fact]
    public void Automatic_mutual_TLS_follows_the_endpoint()
    {
        Assert.Equal(ClientTlsMode.IstioMutual, Resolve("").Item1);
        Assert.Equal(ClientTlsMode.Disable, Resolve("", endpoint: new ClientEndpoint(HasSidecar: false, MtlsMode.Permissive)).Item1);
        Assert.Equal(ClientTlsMode.Disable, Resolve("", endpoint: new ClientEndpoint(HasSidecar: true, MtlsMode.Disable)).Item1);
        Assert.Equal(ClientTlsMode.IstioMutual, Resolve("", endpoint: new ClientEndpoint(HasSidecar: true, MtlsMode.Strict)).Item1);
        Assert.Equal(ClientTlsMode.Disable, Resolve("", mesh: MeshSettings.Default with { EnableAutoMtls = false }).Item1);
    }

    [Fact]
    public void Of_an_unknown_endpoint_mutual_TLS_is_expected() =>
        Assert.Equal(ClientTlsMode.IstioMutual, Ask.Set("").ClientTls(new ClientTlsQuery(Ask.Workload("a"), "svc", "b", 80)).Mode);

    [Theory]
    [InlineData("tls: {}", PolicyCodes.TlsWithoutMode)]
    [InlineData("tls: {sni: x}", PolicyCodes.TlsWithoutMode)]
    [InlineData("tls: {mode: SIMPLE, credentialName: c}", PolicyCodes.CredentialIgnored)]
    [InlineData("tls: {mode: MUTUAL}", PolicyCodes.BadValue)]
    [InlineData("tls: {mode: MUTUAL, clientCertificate: /c}", PolicyCodes.BadValue)]
    [InlineData("tls: {mode: SIMPLE, insecureSkipVerify: true, caCertificates: /ca}", PolicyCodes.BadValue)]
    [InlineData("tls: {mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [x]}", PolicyCodes.BadValue)]
    [InlineData("tls: {mode: ISTIO_MUTUAL, insecureSkipVerify: true}", PolicyCodes.BadValue)]
    [InlineData("tls: {mode: ISTIO_MUTAL}", PolicyCodes.BadValue)]
    [InlineData("tls: {mode: SIMPLE, caCerts: /ca}", PolicyCodes.UnknownField)]
    [InlineData("portLevelSettings: [{port: {number: 80}, tls: {}}]", PolicyCodes.TlsWithoutMode)]
    [InlineData("portLevelSettings: [{tls: {mode: SIMPLE}}]", PolicyCodes.BadValue)]
    public void What_would_be_plaintext_or_ignored_is_an_error_and_the_client_does_not_connect(string policy, string code)
    {
        var load = Ask.Load(Rule("r", "b", $"host: svc, trafficPolicy: {{{policy}}}"));
        Assert.Contains(load.Problems, problem => problem.Code == code && problem.Severity == PolicySeverity.Error);
        Assert.NotNull(load.Set.ClientTls(new ClientTlsQuery(Ask.Workload("a"), "svc", "b", 80)).Refusal);
        Assert.Null(load.Set.ClientTls(new ClientTlsQuery(Ask.Workload("a"), "other", "b", 80)).Refusal);
    }

    [Fact]
    public void A_credentialName_with_a_workloadSelector_is_read_and_named_as_not_supported()
    {
        var problem = Assert.Single(Ask.Load(Rule("r", "b", "host: svc, workloadSelector: {matchLabels: {app: web}}, trafficPolicy: {tls: {mode: MUTUAL, credentialName: c}}")).Problems);
        Assert.Equal((PolicySeverity.Warning, PolicyCodes.Unsupported), (problem.Severity, problem.Code));
    }

    [Theory]
    [InlineData("networking.istio.io/v1", true)]
    [InlineData("networking.istio.io/v1beta1", true)]
    [InlineData("networking.istio.io/v1alpha3", true)]
    [InlineData("networking.istio.io/v1alpha1", false)]
    public void Three_versions_are_read(string version, bool read) =>
        Assert.Equal(read, !Ask.Load($"apiVersion: {version}\nkind: DestinationRule\nmetadata: {{name: r}}\nspec: {{host: x}}").HasErrors);
}
