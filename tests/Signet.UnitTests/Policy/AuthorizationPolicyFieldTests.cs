using Signet.Policy;

namespace Signet.UnitTests.Policy;

/// <summary>Every field of a rule, with a request that it matches and one that it does not; as ALLOW, as DENY, and both again for its not-form.</summary>
public sealed class AuthorizationPolicyFieldTests
{
    private const string Mtls = "source: {principal: cluster.local/ns/production/sa/order-service, ip: 10.0.0.7}";
    private const string Plain = "source: {ip: 10.0.0.7}";

    // clause, rule, a request that matches, a request that does not
    public static TheoryData<string, string, string, string> Rows { get; } = new()
    {
        { "no part matches everything", "{}", Plain, "" },
        { "principals exact", Source("principals: [cluster.local/ns/production/sa/order-service]"), Mtls, Peer("cluster.local/ns/production/sa/order-service2") },
        { "principals need mutual TLS", Source("principals: [cluster.local/ns/production/sa/order-service]"), Mtls, Plain },
        { "principals prefix", Source("principals: [\"cluster.local/ns/prod*\"]"), Mtls, Peer("cluster.local/ns/dev/sa/order-service") },
        { "principals suffix", Source("principals: [\"*/sa/order-service\"]"), Peer("other.org/ns/x/sa/order-service"), Peer("cluster.local/ns/production/sa/web") },
        { "principals presence", Source("principals: [\"*\"]"), Peer("anything.org/any/path"), Plain },
        { "principals any of several", Source("principals: [a/b, cluster.local/ns/production/sa/order-service]"), Mtls, Peer("a/c") },
        { "principals with scheme never match", Source("principals: [a.org/x, \"spiffe://cluster.local/ns/production/sa/order-service\"]"), Peer("a.org/x"), Mtls },
        { "principals: a star in the middle is a star", Source("principals: [a.org/x, \"cluster.local/ns/*/sa/order-service\"]"), Peer("a.org/x"), Mtls },
        { "principals: not believed without mutual TLS", Source("principals: [\"*\"]"), Mtls, Mtls + ", tls: {mutual: false}" },
        { "namespaces exact, any trust domain", Source("namespaces: [production]"), Peer("other.org/ns/production/sa/x"), Peer("other.org/ns/production2/sa/x") },
        { "namespaces need mutual TLS", Source("namespaces: [production]"), Mtls, Plain },
        { "namespaces star anywhere", Source("namespaces: [\"pr*n\"]"), Mtls, Peer("cluster.local/ns/proxy/sa/x") },
        { "namespaces star at the end", Source("namespaces: [\"prod*\"]"), Mtls, Peer("cluster.local/ns/dev/sa/x") },
        { "namespaces any depth", Source("namespaces: [b]"), Peer("td.org/ns/a/ns/b/sa/c"), Peer("td.org/ns/a/b/sa/c") },
        { "serviceAccounts with namespace", Source("serviceAccounts: [production/order-service]"), Peer("any.org/ns/production/sa/order-service"), Peer("any.org/ns/dev/sa/order-service") },
        { "serviceAccounts in the policy's namespace", Source("serviceAccounts: [order-service]"), Mtls, Peer("cluster.local/ns/dev/sa/order-service") },
        { "serviceAccounts are whole segments", Source("serviceAccounts: [order-service]"), Mtls, Peer("cluster.local/ns/production/sa/order-service-2") },
        { "serviceAccounts with segments between and after", Source("serviceAccounts: [order-service]"), Peer("td.org/ns/production/pod/x/sa/order-service/extra"), Peer("td.org/pod/x/sa/order-service") },
        { "serviceAccounts need mutual TLS", Source("serviceAccounts: [order-service]"), Mtls, Plain },
        { "trustDomains exact", Source("trustDomains: [other.org]"), Peer("other.org/ns/x/sa/y"), Peer("other.orga/ns/x/sa/y") },
        { "trustDomains prefix", Source("trustDomains: [\"other*\"]"), Peer("other.org/x"), Peer("another.org/x") },
        { "trustDomains suffix", Source("trustDomains: [\"*.org\"]"), Peer("other.org/x"), Peer("other.com/x") },
        { "ipBlocks range", Source("ipBlocks: [10.0.0.0/24]"), "source: {ip: 10.0.0.255}", "source: {ip: 10.0.1.0}" },
        { "ipBlocks address", Source("ipBlocks: [10.0.0.7]"), "source: {ip: 10.0.0.7}", "source: {ip: 10.0.0.8}" },
        { "ipBlocks are the direct peer's", Source("ipBlocks: [10.0.0.7]"), "source: {ip: 10.0.0.7, remoteIp: 1.2.3.4}", "source: {ip: 1.2.3.4, remoteIp: 10.0.0.7}" },
        { "ipBlocks IPv6", Source("ipBlocks: [\"2001:db8::/32\"]"), "source: {ip: \"2001:db8:ffff::1\"}", "source: {ip: \"2001:db9::1\"}" },
        { "ipBlocks IPv4 in IPv6 clothes", Source("ipBlocks: [10.0.0.0/8]"), "source: {ip: \"::ffff:10.1.2.3\"}", "source: {ip: \"::ffff:11.1.2.3\"}" },
        { "ipBlocks everything of a family", Source("ipBlocks: [0.0.0.0/0]"), "source: {ip: 1.2.3.4}", "source: {ip: \"::1\"}" },
        { "remoteIpBlocks", Source("remoteIpBlocks: [1.2.3.0/24]"), "source: {ip: 10.0.0.7, remoteIp: 1.2.3.4}", "source: {ip: 1.2.3.4, remoteIp: 10.0.0.7}" },
        { "remoteIpBlocks default to the direct peer", Source("remoteIpBlocks: [10.0.0.7]"), "source: {ip: 10.0.0.7}", "source: {ip: 10.0.0.8}" },
        { "requestPrincipals exact", Source("requestPrincipals: [\"https://iss.example/sub\"]"), Jwt("iss: https://iss.example, sub: sub"), Jwt("iss: https://iss.example, sub: other") },
        { "requestPrincipals split at the last slash", Source("requestPrincipals: [\"https://iss.example/a/sub\"]"), Jwt("iss: https://iss.example/a, sub: sub"), Jwt("iss: https://iss.example, sub: a/sub") },
        { "requestPrincipals prefix", Source("requestPrincipals: [\"https://iss.example/*\"]"), Jwt("iss: https://iss.example, sub: x"), Jwt("iss: https://iss.example.evil, sub: x") },
        { "requestPrincipals prefix within the subject", Source("requestPrincipals: [\"iss/adm*\"]"), Jwt("iss: iss, sub: admin"), Jwt("iss: iss, sub: user") },
        { "requestPrincipals suffix", Source("requestPrincipals: [\"*/admin\"]"), Jwt("iss: whoever, sub: admin"), Jwt("iss: whoever, sub: badmin") },
        { "requestPrincipals suffix without slash", Source("requestPrincipals: [\"*min\"]"), Jwt("iss: whoever, sub: admin"), Jwt("iss: whoever, sub: user") },
        { "requestPrincipals prefix without slash", Source("requestPrincipals: [\"who*\"]"), Jwt("iss: whoever, sub: admin"), Jwt("iss: other, sub: admin") },
        { "requestPrincipals presence", Source("requestPrincipals: [\"*\"]"), Jwt("iss: a, sub: b"), Plain },
        { "requestPrincipals presence needs both halves", Source("requestPrincipals: [\"*\"]"), Jwt("iss: a, sub: b"), Jwt("iss: a") },
        { "hosts exact, without regard to case", To("hosts: [Shop.Example.com]"), Get("host: shop.EXAMPLE.com"), Get("host: shop.example.org") },
        { "hosts include the port", To("hosts: [\"shop.example.com:8080\"]"), Get("host: \"shop.example.com:8080\""), Get("host: shop.example.com") },
        { "hosts prefix", To("hosts: [\"shop.*\"]"), Get("host: \"shop.example.com:80\""), Get("host: ashop.example.com") },
        { "hosts suffix", To("hosts: [\"*.example.com\"]"), Get("host: a.EXAMPLE.com"), Get("host: example.com") },
        { "hosts presence", To("hosts: [\"*\"]"), Get("host: x"), Get("path: /") },
        { "ports", To("ports: [\"8080\", \"9090\"]"), "request: {path: /}", "destination: {namespace: production, labels: {app: x}, port: 80, protocol: http}" },
        { "methods exact", To("methods: [POST]"), "request: {method: POST}", "request: {method: GET}" },
        { "methods prefix", To("methods: [\"P*\"]"), "request: {method: PUT}", "request: {method: GET}" },
        { "methods presence", To("methods: [\"*\"]"), "request: {method: PUT}", "request: {path: /}" },
        { "paths exact", To("paths: [/api/payments]"), Get("path: /api/payments"), Get("path: /api/payments/") },
        { "paths without the query", To("paths: [/api/payments]"), Get("path: \"/api/payments?x=/other\""), Get("path: \"/other?/api/payments\"") },
        { "paths prefix", To("paths: [\"/api/*\"]"), Get("path: /api/x/y"), Get("path: /apix") },
        { "paths suffix", To("paths: [\"*/info\"]"), Get("path: /a/info"), Get("path: /a/info2") },
        { "paths presence", To("paths: [\"*\"]"), Get("path: /"), "request: {method: GET}" },
        { "paths are case-sensitive", To("paths: [/api]"), Get("path: /api"), Get("path: /API") },
        { "path template, one segment", To("paths: [\"/foo/{*}/bar\"]"), Get("path: /foo/x/bar"), Get("path: /foo/x/y/bar") },
        { "path template, one segment is not none", To("paths: [\"/foo/{*}\"]"), Get("path: /foo/x"), Get("path: /foo/") },
        { "path template, rest", To("paths: [\"/foo/{**}\"]"), Get("path: /foo/x/y/z"), Get("path: /foo") },
        { "path template, rest may be empty", To("paths: [\"/foo/{**}\"]"), Get("path: /foo/"), Get("path: /fo/") },
        { "path template, rest then literal", To("paths: [\"/store/{**}/cart\"]"), Get("path: /store//cart"), Get("path: /store/cart") },
        { "path template, both operators", To("paths: [\"/a/{*}/b/{**}\"]"), Get("path: /a/1/b/2/3"), Get("path: /a/1/c/2") },
        { "fields of one operation are ANDed", To("methods: [GET], paths: [/a]"), Get("path: /a"), "request: {method: POST, path: /a}" },
        { "fields of one source are ANDed", Source("namespaces: [production], ipBlocks: [10.0.0.7]"), Mtls, "source: {principal: cluster.local/ns/production/sa/x, ip: 10.0.0.8}" },
        { "operations are ORed", "{to: [{operation: {methods: [GET]}}, {operation: {paths: [/a]}}]}", "request: {method: POST, path: /a}", "request: {method: POST, path: /b}" },
        { "sources are ORed", "{from: [{source: {namespaces: [x]}}, {source: {ipBlocks: [10.0.0.7]}}]}", Plain, "source: {ip: 10.0.0.8}" },
        { "from, to and when are ANDed", "{from: [{source: {namespaces: [production]}}], to: [{operation: {methods: [GET]}}], when: [{key: destination.port, values: [\"8080\"]}]}", Mtls + ", request: {method: GET}", Mtls + ", request: {method: POST}" },
        { "request.headers exact", When("\"request.headers[x-a]\"", "b"), Headers("x-a: b"), Headers("x-a: c") },
        { "request.headers name without regard to case", When("\"request.headers[X-A]\"", "b"), Headers("x-a: b"), Headers("x-b: b") },
        { "request.headers value is case-sensitive", When("\"request.headers[x-a]\"", "b"), Headers("x-a: b"), Headers("x-a: B") },
        { "request.headers repeated are joined", When("\"request.headers[x-a]\"", "\"one,two\""), Headers("x-a: [one, two]"), Headers("x-a: one") },
        { "request.headers prefix", When("\"request.headers[x-a]\"", "\"Bearer *\""), Headers("x-a: Bearer x"), Headers("x-a: Basic x") },
        { "request.headers suffix", When("\"request.headers[x-a]\"", "\"*.org\""), Headers("x-a: a.org"), Headers("x-a: a.com") },
        { "request.headers presence, even empty", When("\"request.headers[x-a]\"", "\"*\""), Headers("x-a: \"\""), Headers("x-b: \"\"") },
        { "source.ip", When("source.ip", "10.0.0.0/8"), Plain, "source: {ip: 11.0.0.1}" },
        { "remote.ip", When("remote.ip", "1.0.0.0/8"), "source: {ip: 10.0.0.7, remoteIp: 1.2.3.4}", Plain },
        { "source.namespace", When("source.namespace", "production"), Mtls, Plain },
        { "source.principal", When("source.principal", "cluster.local/ns/production/sa/order-service"), Mtls, Plain },
        { "source.serviceAccount", When("source.serviceAccount", "production/order-service"), Mtls, Peer("cluster.local/ns/production/sa/x") },
        { "source.trustDomain", When("source.trustDomain", "cluster.local"), Mtls, Peer("other.org/ns/production/sa/x") },
        { "request.auth.principal", When("request.auth.principal", "a/b"), Jwt("iss: a, sub: b"), Jwt("iss: a, sub: c") },
        { "request.auth.audiences any of a list", When("request.auth.audiences", "y"), Jwt("iss: a, aud: [x, y]"), Jwt("iss: a, aud: [x]") },
        { "request.auth.audiences one text", When("request.auth.audiences", "y"), Jwt("iss: a, aud: y"), Jwt("iss: a") },
        { "request.auth.presenter", When("request.auth.presenter", "p"), Jwt("iss: a, azp: p"), Jwt("iss: a, azp: q") },
        { "request.auth.claims text", When("\"request.auth.claims[team]\"", "blue"), Jwt("claims: {team: blue}"), Jwt("claims: {team: red}") },
        { "request.auth.claims list", When("\"request.auth.claims[groups]\"", "admin"), Jwt("claims: {groups: [user, admin]}"), Jwt("claims: {groups: [user]}") },
        { "request.auth.claims nested", When("\"request.auth.claims[a][b][c]\"", "x"), Jwt("claims: {a: {b: {c: x}}}"), Jwt("claims: {a: {b: x}}") },
        { "request.auth.claims prefix", When("\"request.auth.claims[team]\"", "\"bl*\""), Jwt("claims: {team: blue}"), Jwt("claims: {team: red}") },
        { "request.auth.claims sees iss", When("\"request.auth.claims[iss]\"", "a"), Jwt("iss: a"), Jwt("iss: b") },
        { "request.auth.claims: a number is no text", When("\"request.auth.claims[n]\"", "\"5\""), Jwt("claims: {n: \"5\"}"), Jwt("claims: {n: 5}") },
        { "request.auth.claims: scope is a list with spaces", When("\"request.auth.claims[scope]\"", "read"), Jwt("claims: {scope: \"write read\"}"), Jwt("claims: {scope: \"reader\"}") },
        { "destination.ip", When("destination.ip", "10.0.0.0/24"), Plain, "destination: {namespace: production, labels: {app: x}, port: 8080, ip: 10.1.0.1, protocol: http}" },
        { "destination.port", When("destination.port", "\"8080\""), Plain, "destination: {namespace: production, labels: {app: x}, port: 8081, protocol: http}" },
        { "connection.sni", When("connection.sni", "a.example"), "tls: {sni: a.example}", "tls: {sni: b.example}" },
        { "connection.sni suffix", When("connection.sni", "\"*.example\""), "tls: {sni: a.example}", Plain },
    };

    [Theory]
    [MemberData(nameof(Rows))]
    public void ALLOW_admits_what_matches_and_nothing_else(string clause, string rule, string matching, string missing)
    {
        Assert.NotEmpty(clause);
        var set = Ask.Set(Ask.Policy("ALLOW", rule));
        var allowed = Ask.Decide(set, Http(matching));
        Assert.True(allowed.Allowed, allowed.Verdict.Reason);
        Assert.Equal((Stage.Allow, "production/p", 0), (allowed.Verdict.Stage, allowed.Verdict.Policy, allowed.Verdict.Rule));
        if (rule != "{}")
        {
            var denied = Ask.Decide(set, Http(missing));
            Assert.False(denied.Allowed, denied.Verdict.Reason);
            Assert.Equal((Stage.Default, null, null), (denied.Verdict.Stage, denied.Verdict.Policy, denied.Verdict.Rule));
        }
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void DENY_refuses_what_matches_and_nothing_else(string clause, string rule, string matching, string missing)
    {
        Assert.NotEmpty(clause);
        var set = Ask.Set(Ask.Policy("DENY", rule));
        var denied = Ask.Decide(set, Http(matching));
        Assert.Equal((false, Stage.Deny, "production/p", 0), (denied.Allowed, denied.Verdict.Stage, denied.Verdict.Policy, denied.Verdict.Rule));
        if (rule != "{}")
        {
            Assert.True(Ask.Decide(set, Http(missing)).Allowed);
        }
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void The_not_form_of_a_single_field_matches_exactly_the_rest(string clause, string rule, string matching, string missing)
    {
        Assert.NotEmpty(clause);
        if (NotForm(rule) is not { } negated)
        {
            return;
        }

        var set = Ask.Set(Ask.Policy("ALLOW", negated));
        Assert.False(Ask.Decide(set, Http(matching)).Allowed);
        Assert.True(Ask.Decide(set, Http(missing)).Allowed);
    }

    [Fact]
    public void A_plaintext_peer_satisfies_every_not_form_about_peers()
    {
        foreach (var field in new[] { "notPrincipals: [\"*\"]", "notNamespaces: [x]", "notServiceAccounts: [x]", "notTrustDomains: [x]" })
        {
            Assert.True(Ask.Decide(Ask.Policy("ALLOW", Source(field)), Http(Plain)).Allowed, field);
        }
    }

    [Fact]
    public void DENY_from_notPrincipals_presence_asks_for_mutual_TLS()
    {
        var set = Ask.Set(Ask.Policy("DENY", Source("notPrincipals: [\"*\"]")));
        Assert.False(Ask.Decide(set, Http(Plain)).Allowed);
        Assert.True(Ask.Decide(set, Http(Mtls)).Allowed);
    }

    [Fact]
    public void Values_and_notValues_of_one_condition_are_ANDed()
    {
        var set = Ask.Set(Ask.Policy("ALLOW", "{when: [{key: \"request.headers[x-a]\", values: [\"b*\"], notValues: [bad]}]}"));
        Assert.True(Ask.Decide(set, Http(Headers("x-a: bob"))).Allowed);
        Assert.False(Ask.Decide(set, Http(Headers("x-a: bad"))).Allowed);
        Assert.False(Ask.Decide(set, Http(Headers("x-a: cat"))).Allowed);
    }

    [Fact]
    public void A_condition_on_an_unknown_destination_address_matches_in_neither_form()
    {
        const string unknown = "destination: {namespace: production, labels: {app: x}, port: 8080, protocol: http}";
        Assert.False(Ask.Decide(Ask.Policy("ALLOW", When("destination.ip", "10.0.0.0/8")), unknown).Allowed);
        Assert.False(Ask.Decide(Ask.Policy("ALLOW", "{when: [{key: destination.ip, notValues: [10.0.0.0/8]}]}"), unknown).Allowed);
    }

    [Fact]
    public void The_first_rule_by_namespace_name_and_number_is_the_one_that_is_named()
    {
        var set = Ask.Set(Ask.Policy("DENY", "{to: [{operation: {ports: [\"1\"]}}]}, {to: [{operation: {paths: [/a]}}]}, {}", name: "b") + Ask.Policy("DENY", "{}", name: "c"));
        var verdict = Ask.Decide(set, Http(Get("path: /a"))).Verdict;
        Assert.Equal(("production/b", 1), (verdict.Policy, verdict.Rule));
        verdict = Ask.Decide(set, Http(Get("path: /b"))).Verdict;
        Assert.Equal(("production/b", 2), (verdict.Policy, verdict.Rule));
    }

    private static string Source(string fields) => "{from: [{source: {" + fields + "}}]}";

    private static string To(string fields) => "{to: [{operation: {" + fields + "}}]}";

    private static string When(string key, string value) => "{when: [{key: " + key + ", values: [" + value + "]}]}";

    private static string Peer(string principal) => "source: {principal: " + principal + ", ip: 10.0.0.7}";

    private static string Jwt(string fields) => "jwt: {" + fields + "}";

    private static string Get(string fields) => "request: {method: GET, " + fields + "}";

    private static string Headers(string fields) => "request: {method: GET, path: /, headers: {" + fields + "}}";

    private static string Http(string request) => request.Contains("request:", StringComparison.Ordinal) || request.Contains("protocol:", StringComparison.Ordinal)
        ? request
        : request + (request.Length == 0 ? "" : ", ") + "request: {}";

    // Only rules with a single field have a not-form that is the exact opposite.
    private static string? NotForm(string rule)
    {
        if (rule.StartsWith("{when: ", StringComparison.Ordinal) && !rule.Contains("destination.ip", StringComparison.Ordinal))
        {
            return rule.Replace("values:", "notValues:");
        }

        foreach (var start in new[] { "{from: [{source: {", "{to: [{operation: {" })
        {
            if (rule.StartsWith(start, StringComparison.Ordinal) && !rule.Contains("], ", StringComparison.Ordinal) && !rule.Contains("}, {", StringComparison.Ordinal))
            {
                return start + "not" + char.ToUpperInvariant(rule[start.Length]) + rule[(start.Length + 1)..];
            }
        }

        return null;
    }
}
