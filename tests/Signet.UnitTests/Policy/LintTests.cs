using Signet.Policy;
using Signet.Policy.Inputs;
using Signet.Policy.Linting;

namespace Signet.UnitTests.Policy;

/// <summary>Every trap is found, and its nearest harmless relative is not.</summary>
public sealed class LintTests
{
    private const string Services = """
        - {name: web-to-orders, client: {namespace: web, labels: {app: web}, principal: cluster.local/ns/web/sa/web}, host: orders, namespace: production, port: 80, targetPort: 8080, endpoints: [{labels: {app: orders}, sidecar: true}]}
        """;

    private static readonly MeshSettings WithProvider = MeshSettings.Default with { ExtensionProviders = [new("authz")] };

    // code, what triggers it, its harmless relative
    public static TheoryData<string, string, string> Policies { get; } = new()
    {
        { LintCodes.AllowsPlaintext, Authz("ALLOW", "{from: [{source: {notNamespaces: [dev]}}]}"), Authz("ALLOW", "{from: [{source: {namespaces: [web], notPrincipals: [a/b]}}]}") },
        { LintCodes.AllowsPlaintext, Authz("ALLOW", "{when: [{key: source.principal, notValues: [a/b]}]}"), Authz("ALLOW", "{from: [{source: {notIpBlocks: [10.0.0.1]}}]}") },
        { LintCodes.DenyWiderOnTcp, Authz("DENY", "{to: [{operation: {methods: [GET]}}]}"), Authz("DENY", "{to: [{operation: {ports: [\"80\"]}}]}") },
        { LintCodes.WildcardPrincipal, Authz("ALLOW", "{from: [{source: {principals: [\"*\"]}}]}"), Authz("DENY", "{from: [{source: {notPrincipals: [\"*\"]}}]}") },
        { LintCodes.PrincipalNeverMatches, Authz("ALLOW", "{from: [{source: {principals: [\"spiffe://cluster.local/ns/a/sa/b\"]}}]}"), Authz("ALLOW", "{from: [{source: {principals: [cluster.local/ns/a/sa/b]}}]}") },
        { LintCodes.PrincipalNeverMatches, Authz("ALLOW", "{from: [{source: {principals: [\"cluster.local/ns/*/sa/b\"]}}]}"), Authz("ALLOW", "{from: [{source: {namespaces: [\"a*b\"]}}]}") },
        { LintCodes.ForeignTrustDomain, Authz("ALLOW", "{from: [{source: {principals: [other.org/ns/a/sa/b]}}]}"), Authz("ALLOW", "{from: [{source: {principals: [cluster.local/ns/a/sa/b]}}]}") },
        { LintCodes.UnreachableRule, Authz("ALLOW", "{}, {to: [{operation: {methods: [GET]}}]}"), Authz("ALLOW", "{to: [{operation: {methods: [GET]}}]}, {}") },
        { LintCodes.UnreachableRule, Authz("ALLOW", "{to: [{operation: {methods: [GET]}}]}, {to: [{operation: {methods: [GET]}}]}"), Authz("ALLOW", "{to: [{operation: {methods: [GET]}}]}, {to: [{operation: {methods: [PUT]}}]}") },
        { LintCodes.UnreachableRule, Authz("ALLOW", "{to: [{operation: {methods: [GET], notMethods: [GET, PUT]}}]}"), Authz("ALLOW", "{to: [{operation: {methods: [GET], notMethods: [PUT]}}]}") },
        { LintCodes.UndefinedProvider, Authz("CUSTOM", "{}", "provider: {name: nobody}, "), Authz("CUSTOM", "{}", "provider: {name: authz}, ") },
        { LintCodes.TargetRefsIgnored, Authz("ALLOW", "{}", "targetRefs: [{kind: Gateway, name: g}], "), Authz("ALLOW", "{}", "selector: {matchLabels: {app: x}}, ") },
        { LintCodes.DenyByPeerWithoutStrict, Authz("DENY", "{from: [{source: {namespaces: [dev]}}]}"), Authz("DENY", "{from: [{source: {namespaces: [dev]}}]}") + Peer("m", "istio-system", "mtls: {mode: STRICT}") },
        { LintCodes.AuditWithoutRules, "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: production}\nspec: {action: AUDIT}\n", Authz("AUDIT", "{}") },
        { LintCodes.TwoInOneScope, Peer("a", "production", "mtls: {mode: STRICT}") + Peer("b", "production", "mtls: {mode: DISABLE}"), Peer("a", "production", "mtls: {mode: STRICT}") + Peer("b", "web", "mtls: {mode: DISABLE}") },
        { LintCodes.TwoInOneScope, Peer("a", "production", "selector: {matchLabels: {app: x}}, mtls: {mode: STRICT}") + Peer("b", "production", "selector: {matchLabels: {app: x, v: y}}, mtls: {mode: DISABLE}"), Peer("a", "production", "selector: {matchLabels: {app: x}}, mtls: {mode: STRICT}") + Peer("b", "production", "selector: {matchLabels: {app: y}}, mtls: {mode: DISABLE}") },
        { LintCodes.RootSelectorIgnored, Peer("a", "istio-system", "selector: {matchLabels: {app: x}}, mtls: {mode: STRICT}"), Peer("a", "istio-system", "mtls: {mode: STRICT}") },
        { LintCodes.ShadowedRule, Rule("own", "production", "host: orders, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}") + Rule("wide", "web", "host: \"*.local\", trafficPolicy: {tls: {mode: DISABLE}}"), Rule("own", "production", "host: orders, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}") + Rule("wide", "web", "host: \"*.com\", trafficPolicy: {tls: {mode: DISABLE}}") },
        { LintCodes.PlaintextToStrict, Peer("a", "production", "mtls: {mode: STRICT}") + Rule("r", "production", "host: orders, trafficPolicy: {tls: {mode: DISABLE}}"), Peer("a", "production", "mtls: {mode: STRICT}") + Rule("r", "production", "host: orders, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}") },
        { LintCodes.TlsToDisabled, Peer("a", "production", "mtls: {mode: DISABLE}") + Rule("r", "production", "host: orders, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"), Peer("a", "production", "mtls: {mode: PERMISSIVE}") + Rule("r", "production", "host: orders, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}") },
        { LintCodes.SkipsVerification, Rule("r", "a", "host: x.com, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}"), Rule("r", "a", "host: x.com, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /ca}}") },
        { LintCodes.NoCertificateCheck, Rule("r", "a", "host: x.com, trafficPolicy: {tls: {mode: SIMPLE}}"), Rule("r", "a", "host: x.com, trafficPolicy: {tls: {mode: SIMPLE, subjectAltNames: [x.com]}}") },
        { LintCodes.TwoForOneHost, Rule("r", "a", "host: x.com, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}") + Rule("s", "a", "host: x.com, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"), Rule("r", "a", "host: x.com, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}") + Rule("s", "a", "host: x.com, subsets: [{name: v}]") },
        { PolicyCodes.DryRunTypo, Authz("DENY", "{}", annotations: "istio.io/dry-run: \"ture\""), Authz("DENY", "{}", annotations: "istio.io/dry-run: \"true\"") },
        { PolicyCodes.DryRunTypo, Authz("DENY", "{}", annotations: "istio.io/dryrun: \"true\""), Authz("DENY", "{}", annotations: "example.org/owner: \"me\"") },
        { PolicyCodes.NeverTriggered, "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\nspec: {action: DENY}\n", Authz("DENY", "{}") },
        { PolicyCodes.EmptyList, Authz("ALLOW", "{from: [{source: {principals: [], namespaces: [a]}}]}"), Authz("ALLOW", "{from: [{source: {namespaces: [a]}}]}") },
        { PolicyCodes.EmptyList, Authz("ALLOW", "{from: []}"), Authz("ALLOW", "{}") },
        { PolicyCodes.KeysOverPlaintext, Tokens("jwksUri: \"http://a\""), Tokens("jwksUri: \"https://a\"") },
        { PolicyCodes.KeysOverPlaintext, Tokens("jwksUri: \"http://10.0.0.1/k\""), Tokens("jwksUri: \"http://127.0.0.1:1/k\"") },
        { PolicyCodes.KeysNowhere, Tokens("audiences: [a]"), Tokens("jwks: '{\"keys\":[]}'") },
    };

    public static TheoryData<string, string, string> WithServices { get; } = new()
    {
        { LintCodes.SelectsNothing, Authz("ALLOW", "{}", "selector: {matchLabels: {app: ordres}}, "), Authz("ALLOW", "{}", "selector: {matchLabels: {app: orders}}, ") },
        { LintCodes.SelectsNothing, Peer("p", "web", "selector: {matchLabels: {app: orders}}, mtls: {mode: STRICT}"), Peer("p", "web", "selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}") },
        { LintCodes.NoSuchWorkloadPort, Peer("p", "production", "selector: {matchLabels: {app: orders}}, portLevelMtls: {80: {mode: STRICT}}"), Peer("p", "production", "selector: {matchLabels: {app: orders}}, portLevelMtls: {8080: {mode: STRICT}}") },
        { LintCodes.PlaintextToStrict, Peer("p", "production", "mtls: {mode: STRICT}") + Rule("r", "web", "host: orders.production.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}}"), Peer("p", "production", "mtls: {mode: STRICT}") },
        { LintCodes.TlsToDisabled, Peer("p", "production", "mtls: {mode: DISABLE}") + Rule("r", "web", "host: orders.production.svc.cluster.local, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"), Peer("p", "production", "mtls: {mode: DISABLE}") },
    };

    [Theory]
    [MemberData(nameof(Policies))]
    public void A_trap_is_found_and_its_harmless_relative_is_not(string code, string trap, string harmless)
    {
        Assert.Contains(Lint(trap, null), finding => finding.Code == code);
        Assert.DoesNotContain(Lint(harmless, null), finding => finding.Code == code);
    }

    [Theory]
    [MemberData(nameof(WithServices))]
    public void A_trap_that_needs_services_is_found_with_them(string code, string trap, string harmless)
    {
        Assert.Contains(Lint(trap, Services), finding => finding.Code == code);
        Assert.DoesNotContain(Lint(harmless, Services), finding => finding.Code == code);
    }

    [Fact]
    public void A_service_port_in_portLevelMtls_is_recognised()
    {
        var finding = Assert.Single(Lint(Peer("p", "production", "selector: {matchLabels: {app: orders}}, portLevelMtls: {80: {mode: STRICT}}"), Services));
        Assert.Equal("80 is the service's port; the workload's is 8080", finding.Hint);
    }

    [Fact]
    public void Every_finding_has_a_place_a_code_that_is_documented_and_a_hint()
    {
        var documented = File.ReadAllText(Path.Combine(RepositoryRoot(), "docs", "reference", "policy-lint.md"));
        foreach (var (_, trap, _) in Policies.Select(row => row.Data).Concat(WithServices.Select(row => row.Data)))
        {
            foreach (var finding in Lint(trap, null).Concat(Lint(trap, Services)))
            {
                Assert.True(finding.Line >= 1 && finding.File == "test.yaml" && finding.Message.Length > 20);
                Assert.Contains("### " + finding.Code, documented);
                Assert.NotNull(finding.Hint);
            }
        }

        foreach (var code in typeof(PolicyCodes).GetFields().Concat(typeof(LintCodes).GetFields()).Select(field => (string)field.GetValue(null)!))
        {
            Assert.Contains("### " + code + " ", documented);
        }
    }

    private static IReadOnlyList<PolicyProblem> Lint(string yaml, string? services) =>
        Linter.Lint(Ask.Load(yaml, WithProvider), services is null ? null : ServicesFile.Read(new PolicyText("services.yaml", services)).Value);

    private static string Authz(string action, string rules, string extra = "", string annotations = "") =>
        $"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p, namespace: production, annotations: {{{annotations}}}}}\nspec: {{{extra}action: {action}, rules: [{rules}]}}\n";

    private static string Peer(string name, string ns, string spec) => $"---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: {name}, namespace: {ns}}}\nspec: {{{spec}}}\n";

    private static string Rule(string name, string ns, string spec) => $"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}, namespace: {ns}}}\nspec: {{{spec}}}\n";

    private static string Tokens(string rule) => $"---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: r, namespace: a}}\nspec: {{jwtRules: [{{issuer: i, {rule}}}]}}\n";

    private static string RepositoryRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Signet.slnx")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("the tests do not run inside the repository");
        }

        return folder;
    }
}
