using Signet.Policy;

namespace Signet.UnitTests.Policy;

/// <summary>The order CUSTOM, DENY, ALLOW, default; AUDIT and dry-run; scope; TCP.</summary>
public sealed class AuthorizationPolicyStageTests
{
    private const string Http = "request: {method: GET, path: /}";
    private const string Mtls = "source: {principal: cluster.local/ns/production/sa/order-service}, ";
    private const string Tcp = "destination: {namespace: production, labels: {app: x}, port: 8080, protocol: tcp}";

    private static readonly MeshSettings WithProvider = MeshSettings.Default with { ExtensionProviders = [new("authz"), new("open", FailOpen: true)] };

    private static string Custom(string rule, string provider = "authz", string name = "c") => $$"""
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: {{name}}, namespace: production}
        spec: {action: CUSTOM, provider: {name: {{provider}}}, rules: [{{rule}}]}

        """;

    [Fact]
    public void Without_any_policy_everything_is_allowed_by_default()
    {
        var verdict = Ask.Decide("", Http);
        Assert.Equal((true, Stage.Default, null), (verdict.Allowed, verdict.Verdict.Stage, verdict.Verdict.Policy));
        Assert.NotNull(verdict.Permit);
    }

    [Fact]
    public void An_ALLOW_policy_without_rules_denies_everything()
    {
        foreach (var spec in new[] { "spec: {}", "spec:", "spec: {action: ALLOW}", "" })
        {
            var decision = Ask.Decide($"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: deny-all, namespace: production}}\n{spec}\n", Http);
            Assert.Equal((false, Stage.Default, null, null), (decision.Allowed, decision.Verdict.Stage, decision.Verdict.Policy, decision.Verdict.Rule));
            Assert.Null(decision.Permit);
        }
    }

    [Fact]
    public void A_rule_without_parts_matches_everything() => Assert.True(Ask.Decide(Ask.Policy("ALLOW", "{}"), Http).Allowed);

    [Fact]
    public void The_default_action_is_ALLOW()
    {
        const string policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: production}\nspec: {rules: [{to: [{operation: {methods: [GET]}}]}]}";
        Assert.True(Ask.Decide(policy, Http).Allowed);
        Assert.False(Ask.Decide(policy, "request: {method: PUT, path: /}").Allowed);
    }

    [Fact]
    public void DENY_outweighs_ALLOW()
    {
        var yaml = Ask.Policy("ALLOW", "{}", name: "a") + Ask.Policy("DENY", "{to: [{operation: {methods: [GET]}}]}", name: "d");
        Assert.Equal(Stage.Deny, Ask.Decide(yaml, Http).Verdict.Stage);
        Assert.Equal(Stage.Allow, Ask.Decide(yaml, "request: {method: PUT, path: /}").Verdict.Stage);
    }

    [Fact]
    public void CUSTOM_comes_before_DENY()
    {
        var set = Ask.Set(Custom("{}") + Ask.Policy("DENY", "{}", name: "d"), WithProvider);
        Assert.Equal((Stage.Custom, "production/c", 0), Parts(Ask.Decide(set, Http + ", custom: {authz: deny}")));
        Assert.Equal((Stage.Deny, "production/d", 0), Parts(Ask.Decide(set, Http + ", custom: {authz: allow}")));
    }

    [Fact]
    public void CUSTOM_asks_only_when_a_rule_matches()
    {
        var set = Ask.Set(Custom("{to: [{operation: {paths: [/admin]}}]}"), WithProvider);
        Assert.True(Ask.Decide(set, Http).Allowed);
        var policy = set.ForWorkload(Ask.Workload("production"));
        var asked = policy.Decide(Ask.Request("request: {method: GET, path: /admin}").Facts);
        Assert.Equal(("authz", "production/c", 0), (asked.Ask!.Provider.Name, asked.Ask.Policy, asked.Ask.Rule));
        Assert.False(asked.Allowed);
    }

    [Fact]
    public void An_authoriser_that_gives_no_answer_denies_unless_it_fails_open()
    {
        Assert.Equal((Stage.Custom, "production/c", 0), Parts(Ask.Decide(Custom("{}"), Http, WithProvider)));
        Assert.True(Ask.Decide(Custom("{}", "open"), Http, WithProvider).Allowed);
        Assert.False(Ask.Decide(Custom("{}", "open"), Http + ", custom: {open: deny}", WithProvider).Allowed);
    }

    [Fact]
    public void An_undefined_authoriser_denies_everything_that_the_policy_covers()
    {
        var decision = Ask.Decide(Custom("{to: [{operation: {paths: [/admin]}}]}", "nobody"), Http, WithProvider);
        Assert.Equal((false, Stage.Custom, "production/c", null), (decision.Allowed, decision.Verdict.Stage, decision.Verdict.Policy, decision.Verdict.Rule));
    }

    [Fact]
    public void Several_authorisers_must_all_agree()
    {
        var set = Ask.Set(Custom("{}") + Custom("{}", "open", "c2"), WithProvider);
        Assert.True(Ask.Decide(set, Http + ", custom: {authz: allow, open: allow}").Allowed);
        Assert.False(Ask.Decide(set, Http + ", custom: {authz: allow, open: deny}").Allowed);
        Assert.False(Ask.Decide(set, Http + ", custom: {authz: deny, open: allow}").Allowed);
    }

    [Fact]
    public void An_answer_is_forgotten_with_its_request()
    {
        var policy = Ask.Set(Custom("{}"), WithProvider).ForWorkload(Ask.Workload("production"));
        var facts = Ask.Request(Http).Facts;
        facts.Answer(policy.Decide(facts).Ask!, new CustomAnswer(CustomOutcome.Allowed, ""));
        Assert.True(policy.Decide(facts).Allowed);
        facts.ResetRequest();
        Assert.False(policy.Decide(facts).Allowed);
    }

    [Fact]
    public void AUDIT_is_noted_and_changes_nothing()
    {
        var set = Ask.Set(Ask.Policy("AUDIT", "{}", name: "n") + Ask.Policy("AUDIT", "{to: [{operation: {methods: [PUT]}}]}", name: "m") + Ask.Policy("AUDIT", "{}, {}", name: "l"));
        var decision = Ask.Decide(set, Http);
        Assert.Equal((true, Stage.Default), (decision.Allowed, decision.Verdict.Stage));
        Assert.Equal(["production/l", "production/n"], decision.Verdict.Findings.Audit);
    }

    [Fact]
    public void AUDIT_is_noted_for_a_denied_request_too()
    {
        var decision = Ask.Decide(Ask.Policy("AUDIT", "{}", name: "n") + Ask.Policy("DENY", "{}", name: "d"), Http);
        Assert.False(decision.Allowed);
        Assert.Equal(["production/n"], decision.Verdict.Findings.Audit);
    }

    [Fact]
    public void AUDIT_without_rules_notes_nothing()
    {
        const string policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: n, namespace: production}\nspec: {action: AUDIT}";
        Assert.Empty(Ask.Decide(policy, Http).Verdict.Findings.Audit);
    }

    [Theory]
    [InlineData("DENY", PolicyAction.Deny)]
    [InlineData("ALLOW", PolicyAction.Allow)]
    [InlineData("AUDIT", PolicyAction.Audit)]
    public void A_dry_run_policy_is_reported_and_not_enforced(string action, PolicyAction expected)
    {
        var yaml = Ask.Policy(action, "{to: [{operation: {methods: [PUT]}}]}, {}", extra: ", annotations: {istio.io/dry-run: \"true\"}");
        var decision = Ask.Decide(yaml, Http);
        Assert.Equal((true, Stage.Default), (decision.Allowed, decision.Verdict.Stage));
        Assert.Equal(new DryRunFinding("production/p", expected, 1), Assert.Single(decision.Verdict.Findings.DryRun));
        Assert.Empty(decision.Verdict.Findings.Audit);
    }

    [Theory]
    [InlineData("true", true)]
    [InlineData("T", true)]
    [InlineData("1", true)]
    [InlineData("false", false)]
    [InlineData("yes", false)]
    [InlineData("tRUE", false)]
    public void A_dry_run_value_that_is_not_true_enforces(string value, bool dryRun)
    {
        var yaml = Ask.Policy("DENY", "{}", extra: $", annotations: {{istio.io/dry-run: \"{value}\"}}");
        Assert.Equal(dryRun, Ask.Decide(yaml, Http).Allowed);
    }

    [Fact]
    public void Root_namespace_policies_reach_every_namespace_and_are_united_with_its_own()
    {
        const string yaml = """
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: root, namespace: istio-system}
            spec: {selector: {matchLabels: {app: payment-service}}, action: DENY, rules: [{to: [{operation: {paths: [/root]}}]}]}
            ---
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: own, namespace: production}
            spec: {action: DENY, rules: [{to: [{operation: {paths: [/own]}}]}]}
            ---
            apiVersion: security.istio.io/v1
            kind: AuthorizationPolicy
            metadata: {name: other, namespace: dev}
            spec: {action: DENY, rules: [{}]}
            """;
        var set = Ask.Set(yaml);
        Assert.Equal("istio-system/root", Ask.Decide(set, "request: {path: /root}").Verdict.Policy);
        Assert.Equal("production/own", Ask.Decide(set, "request: {path: /own}").Verdict.Policy);
        Assert.True(Ask.Decide(set, "request: {path: /other}").Allowed);
        Assert.True(Ask.Decide(set, "destination: {namespace: production, labels: {app: web}, port: 1, protocol: http}, request: {path: /root}").Allowed);
    }

    [Fact]
    public void A_selector_must_match_all_its_labels()
    {
        const string yaml = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: production}\nspec: {selector: {matchLabels: {app: a, v: \"1\"}}}";
        var set = Ask.Set(yaml);
        Assert.False(Ask.Decide(set, "destination: {namespace: production, labels: {app: a, v: \"1\", x: y}, port: 1}").Allowed);
        Assert.True(Ask.Decide(set, "destination: {namespace: production, labels: {app: a}, port: 1}").Allowed);
        Assert.True(Ask.Decide(set, "destination: {namespace: other, labels: {app: a, v: \"1\"}, port: 1}").Allowed);
    }

    [Fact]
    public void A_policy_for_gateways_does_not_touch_sidecars()
    {
        const string yaml = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: production}\nspec: {targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: g}]}";
        Assert.True(Ask.Decide(yaml, Http).Allowed);
    }

    [Theory]
    [InlineData("to: [{operation: {methods: [GET]}}]")]
    [InlineData("to: [{operation: {paths: [/]}}]")]
    [InlineData("to: [{operation: {hosts: [x]}}]")]
    [InlineData("to: [{operation: {notPaths: [/x]}}]")]
    [InlineData("from: [{source: {requestPrincipals: [x/y]}}]")]
    [InlineData("when: [{key: \"request.headers[a]\", values: [b]}]")]
    [InlineData("when: [{key: request.auth.audiences, notValues: [b]}]")]
    [InlineData("to: [{operation: {ports: [\"8080\"]}}, {operation: {methods: [GET]}}]")]
    public void On_TCP_an_ALLOW_rule_with_an_HTTP_field_is_left_out_whole(string rule) => Assert.False(Ask.Decide(Ask.Policy("ALLOW", "{" + rule + "}"), Tcp).Allowed);

    [Theory]
    [InlineData("to: [{operation: {methods: [GET]}}]", true)]
    [InlineData("to: [{operation: {notPaths: [/x]}}]", true)]
    [InlineData("to: [{operation: {methods: [GET], ports: [\"8080\"]}}]", true)]
    [InlineData("to: [{operation: {methods: [GET], ports: [\"9090\"]}}]", false)]
    [InlineData("when: [{key: \"request.headers[a]\", values: [b]}]", true)]
    [InlineData("from: [{source: {requestPrincipals: [x/y], namespaces: [elsewhere]}}]", false)]
    public void On_TCP_a_DENY_rule_loses_only_its_HTTP_fields(string rule, bool denied) => Assert.Equal(!denied, Ask.Decide(Ask.Policy("DENY", "{" + rule + "}"), Tcp).Allowed);

    [Fact]
    public void On_TCP_rules_without_HTTP_fields_mean_the_same()
    {
        var set = Ask.Set(Ask.Policy("ALLOW", "{from: [{source: {namespaces: [production]}}], to: [{operation: {ports: [\"8080\"]}}]}"));
        Assert.True(Ask.Decide(set, Mtls + Tcp).Allowed);
        Assert.False(Ask.Decide(set, Tcp).Allowed);
    }

    [Fact]
    public void On_TCP_what_is_known_of_HTTP_does_not_matter()
    {
        var facts = Ask.Request("request: {method: get, path: \"/%00\"}").Facts;
        facts.Protocol = Protocol.Tcp;
        Assert.True(Ask.Set("").ForWorkload(Ask.Workload("production")).Decide(facts).Allowed);
    }

    [Fact]
    public void Every_reason_names_what_decided()
    {
        var set = Ask.Set(Ask.Policy("DENY", "{to: [{operation: {methods: [DELETE]}}, {operation: {paths: [/x], notMethods: [GET]}}]}"));
        Assert.Equal("denied by production/p rule 0: methods [DELETE]", Ask.Decide(set, "request: {method: DELETE}").Verdict.Reason);
        Assert.Equal("denied by production/p rule 0: not methods [GET] and paths [/x]", Ask.Decide(set, "request: {method: PUT, path: /x}").Verdict.Reason);
    }

    [Fact]
    public void The_default_decision_is_a_denial() => Assert.False(default(Decision).Allowed);

    private static (Stage, string?, int?) Parts(Decision decision) => (decision.Verdict.Stage, decision.Verdict.Policy, decision.Verdict.Rule);
}
