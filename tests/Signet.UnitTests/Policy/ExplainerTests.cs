using Signet.Policy.Explaining;

namespace Signet.UnitTests.Policy;

/// <summary>An explanation says what decided, what nearly matched, and what to do.</summary>
public sealed class ExplainerTests
{
    private const string Orders = "source: {principal: cluster.local/ns/production/sa/order-service}";

    private static Explanation Explain(string yaml, string request)
    {
        var written = Ask.Request(request);
        var policy = Ask.Set(yaml).ForWorkload(written.Destination);
        return Explainer.Explain(policy, written.Facts, written.Decide(policy));
    }

    [Fact]
    public void A_default_denial_shows_the_nearest_rule_and_what_it_misses()
    {
        var yaml = Ask.Policy("ALLOW", "{from: [{source: {principals: [cluster.local/ns/production/sa/order-service]}}], to: [{operation: {methods: [POST], paths: [/api/payments]}}]}", name: "near")
            + Ask.Policy("ALLOW", "{from: [{source: {namespaces: [elsewhere], ipBlocks: [1.2.3.4]}}], to: [{operation: {methods: [PUT]}}]}", name: "far");
        var explanation = Explain(yaml, Orders + ", request: {method: GET, path: /api/payments}");
        Assert.Equal(["production/near", "production/far"], explanation.NearMisses.Select(miss => miss.Policy));
        Assert.Equal("methods must be POST, and the request has GET", Assert.Single(explanation.NearMisses[0].Missing).ToString());
        Assert.Equal("Rule 0 of production/near comes nearest: methods must be POST, and the request has GET.", explanation.NextStep);
        Assert.StartsWith("cluster.local/ns/production/sa/order-service: GET /api/payments on port 8080 is denied.", explanation.Summary);
    }

    [Fact]
    public void Of_several_alternatives_the_nearest_is_shown()
    {
        var yaml = Ask.Policy("ALLOW", "{to: [{operation: {methods: [PUT], paths: [/x]}}, {operation: {methods: [GET], paths: [/y]}}]}");
        Assert.Equal("paths must be /y, and the request has /z", Assert.Single(Explain(yaml, "request: {method: GET, path: /z}").NearMisses[0].Missing).ToString());
    }

    [Fact]
    public void Every_kind_of_clause_says_what_it_saw()
    {
        var yaml = Ask.Policy("ALLOW", "{from: [{source: {notNamespaces: [production], remoteIpBlocks: [1.1.1.1], requestPrincipals: [a/b]}}], to: [{operation: {hosts: [h], ports: [\"1\"]}}], when: [{key: \"request.headers[x]\", values: [y]}, {key: \"request.auth.claims[c]\", values: [d]}, {key: connection.sni, values: [s]}]}");
        var text = string.Join("\n", Explain(yaml, Orders + ", request: {method: GET, path: /, host: other}").NearMisses[0].Missing);
        Assert.Contains("namespaces must not be production, and the request has cluster.local/ns/production/sa/order-service", text);
        Assert.Contains("remoteIpBlocks must be 1.1.1.1, and the request has an unknown address", text);
        Assert.Contains("requestPrincipals must be a/b, and the request has no token", text);
        Assert.Contains("hosts must be h, and the request has other", text);
        Assert.Contains("ports must be 1, and the request has 8080", text);
        Assert.Contains("request.headers[x] must be y, and the request has no such header", text);
        Assert.Contains("request.auth.claims[c] must be d, and the request has no token", text);
        Assert.Contains("connection.sni must be s, and the request has no server name", text);
    }

    [Fact]
    public void On_TCP_a_rule_with_HTTP_fields_says_why_it_is_not_considered()
    {
        var explanation = Explain(Ask.Policy("ALLOW", "{to: [{operation: {methods: [GET]}}]}"), "destination: {namespace: production, labels: {app: x}, port: 9000, protocol: tcp}");
        Assert.Contains("the port is TCP, and the rule has methods", explanation.NextStep);
    }

    [Fact]
    public void A_policy_without_rules_is_named_as_the_one_that_allows_nothing() => Assert.Contains(
        "production/p allow nothing", Explain("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: production}\nspec: {}", "request: {}").NextStep);

    [Fact]
    public void A_denial_by_DENY_names_the_rule_to_change() => Assert.Contains("change rule 0 of production/p", Explain(Ask.Policy("DENY", "{}"), "request: {}").NextStep);

    [Fact]
    public void Plaintext_to_STRICT_says_to_give_the_client_an_identity()
    {
        var explanation = Explain("apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: s, namespace: production}\nspec: {mtls: {mode: STRICT}}", "source: {ip: 10.0.0.7}");
        Assert.StartsWith("a peer without mutual TLS at 10.0.0.7: a connection to port 8080 is denied.", explanation.Summary);
        Assert.Contains("production/s", explanation.NextStep);
    }

    [Fact]
    public void What_is_allowed_needs_no_next_step()
    {
        var explanation = Explain(Ask.Policy("ALLOW", "{}"), "request: {method: GET, path: /}");
        Assert.Null(explanation.NextStep);
        Assert.Empty(explanation.NearMisses);
    }
}
