using System.Net;
using FsCheck;
using FsCheck.Fluent;
using Signet.Identity.Spiffe;
using Signet.Policy;

namespace Signet.UnitTests.Policy;

/// <summary>What holds for all policies and requests.</summary>
public sealed class PolicyPropertyTests
{
    private const int RequestsPerMesh = 20;

    private static readonly MeshSettings Mesh = MeshSettings.Default with { TrustDomain = "td1", TrustDomainAliases = ["td2"] };

    [Fact]
    public void The_engine_agrees_with_a_slow_and_obvious_evaluator() => ForAllMeshes(1500, mesh =>
    {
        var (policies, peers) = (mesh.Policies(), mesh.Peers());
        var set = Load([.. policies.Select(RandomMesh.Yaml), .. peers.Select(RandomMesh.Yaml)]);
        for (var i = 0; i < RequestsPerMesh; i++)
        {
            var request = mesh.Request();
            var expected = ReferenceEvaluator.Decide(policies, peers, request);
            var compiled = set.ForWorkload(new Workload(request.Namespace, null, request.Labels));
            var decision = compiled.Decide(Facts(request));
            var verdict = decision.Verdict;
            Assert.Equal(ReferenceEvaluator.Mode(peers, request), compiled.MtlsFor(request.Port).Mode.ToString().ToUpperInvariant());
            Assert.Equal(expected, (decision.Allowed, verdict.Stage.ToString(), verdict.Stage == Stage.PeerAuthentication ? null : verdict.Policy, verdict.Rule));
        }
    });

    [Fact]
    public void Looking_rules_up_finds_what_asking_every_rule_finds() => ForAllMeshes(150, mesh =>
    {
        // Values over two letters, so that prefixes nest, repeat and end where values do.
        string Word() => string.Concat(Enumerable.Range(0, mesh.Pick(0, 1, 2, 3, 4)).Select(_ => mesh.Pick('a', 'b')));
        string Pattern(string head) => head + Word() + mesh.Pick("", "*", "*");
        var rules = Enumerable.Range(0, mesh.Pick(1, 5, 60)).Select(_ => (Field: mesh.Pick("paths", "principals", "serviceAccounts", "namespaces"), Values: new[] { Pattern(""), Pattern("a") }))
            .Select(rule => rule.Field switch
            {
                "paths" => (rule.Field, [.. rule.Values.Select(value => "/" + value)]),
                "principals" => (rule.Field, [.. rule.Values.Select(value => "td1/ns/n" + value)]),
                "serviceAccounts" => (rule.Field, Values: rule.Values.Select(value => value.TrimEnd('*') + "a").ToArray()),
                _ => (rule.Field, [.. rule.Values.Select(value => "n" + value.TrimEnd('*'))]),
            }).ToList();
        string Document(int i, string action) => RandomMesh.Yaml(new RefPolicy("nb", $"{action.ToLowerInvariant()}{i:d3}", action, false, [], [rules[i].Field == "paths"
            ? new RefRule([], [new() { [rules[i].Field] = rules[i].Values }], [])
            : new RefRule([new() { [rules[i].Field] = rules[i].Values }], [], [])]));
        var policy = Load([.. rules.SelectMany((_, i) => new[] { Document(i, "ALLOW"), Document(i, "AUDIT") })]).ForWorkload(new Workload("nb", null, new Dictionary<string, string>()));
        for (var i = 0; i < RequestsPerMesh; i++)
        {
            var (ns, account, path) = (mesh.Pick("b", "n" + Word()), Word() + "a", "/" + Word());
            var facts = new RequestFacts { Protocol = Protocol.Http, Method = "GET", Path = path, MutualTls = true, Peer = SpiffeId.Parse($"spiffe://td1/ns/{ns}/sa/{account}") };
            List<int> expected = [.. Enumerable.Range(0, rules.Count).Where(at => rules[at].Values.Any(value => rules[at].Field switch
            {
                "paths" => Fits(value, path),
                "principals" => Fits(value, $"td1/ns/{ns}/sa/{account}"),
                "serviceAccounts" => ns == "nb" && value == account,
                _ => value == ns,
            }))];
            var verdict = policy.Decide(facts).Verdict;
            Assert.Equal(expected.Count == 0 ? null : $"nb/allow{expected[0]:d3}", verdict.Policy);
            Assert.Equal(expected.Select(at => $"nb/audit{at:d3}"), verdict.Findings.Audit);
        }

        static bool Fits(string pattern, string value) =>
            pattern.EndsWith('*') ? value.StartsWith(pattern[..^1], StringComparison.Ordinal) : pattern == value;
    });

    [Fact]
    public void One_more_DENY_never_admits_more() => ForAllMeshes(300, mesh =>
    {
        var documents = Documents(mesh);
        var deny = RandomMesh.Yaml(mesh.Policy("extra") with { Action = "DENY", Rules = [.. mesh.Policies().SelectMany(policy => policy.Rules).Take(2).DefaultIfEmpty(new RefRule([], [], []))] });
        NeverAdmitsMore(mesh, Load(documents), Load([.. documents, deny]));
    });

    [Fact]
    public void Taking_the_last_rule_from_an_ALLOW_never_admits_more() => ForAllMeshes(300, mesh =>
    {
        var policies = mesh.Policies();
        var fewer = policies.Select(policy => policy.Action == "ALLOW" && policy.Rules.Count > 0 ? policy with { Rules = [.. policy.Rules.SkipLast(1)] } : policy);
        NeverAdmitsMore(mesh, Load([.. policies.Select(RandomMesh.Yaml)]), Load([.. fewer.Select(RandomMesh.Yaml)]));
    });

    [Fact]
    public void Dropping_TLS_never_admits_more_where_only_positive_fields_allow_and_only_not_forms_deny() => ForAllMeshes(300, mesh =>
    {
        var documents = mesh.Policies()
            .Where(policy => policy.Action is "ALLOW" or "DENY")
            .Where(policy => policy.Rules.All(rule => Fields(rule).Where(IsAboutPeer).All(field => field.StartsWith("not", StringComparison.Ordinal) == (policy.Action == "DENY"))))
            .Select(RandomMesh.Yaml).ToList();
        var set = Load(documents);
        for (var i = 0; i < RequestsPerMesh; i++)
        {
            var request = mesh.Request() with { Mutual = true };
            var workload = set.ForWorkload(new Workload(request.Namespace, null, request.Labels));
            var without = workload.Decide(Facts(request with { Mutual = false, Principal = null })).Allowed;
            Assert.True(workload.Decide(Facts(request)).Allowed || !without);
        }
    });

    [Fact]
    public void STRICT_admits_nothing_that_PERMISSIVE_refuses() => ForAllMeshes(200, mesh =>
    {
        var documents = mesh.Policies().Select(RandomMesh.Yaml).ToList();
        var strict = RandomMesh.Yaml(new RefPeer("istio-system", "strict", 0, [], "STRICT", []));
        NeverAdmitsMore(mesh, Load(documents), Load([.. documents, strict]));
    });

    [Fact]
    public void The_order_of_documents_never_matters() => ForAllMeshes(200, mesh =>
    {
        var documents = Documents(mesh);
        var before = Load(documents);
        mesh.Shuffle(documents);
        var after = PolicySet.Load(documents.Select((text, i) => new PolicyText("f" + i, text)), Mesh).Set;
        for (var i = 0; i < RequestsPerMesh; i++)
        {
            var request = mesh.Request();
            var workload = new Workload(request.Namespace, null, request.Labels);
            var (first, second) = (before.ForWorkload(workload).Decide(Facts(request)), after.ForWorkload(workload).Decide(Facts(request)));
            Assert.Equal((first.Allowed, first.Verdict.Stage, first.Verdict.Policy, first.Verdict.Rule, first.Verdict.Reason), (second.Allowed, second.Verdict.Stage, second.Verdict.Policy, second.Verdict.Rule, second.Verdict.Reason));
            Assert.Equal(first.Verdict.Findings.Audit, second.Verdict.Findings.Audit);
            Assert.Equal(first.Verdict.Findings.DryRun, second.Verdict.Findings.DryRun);
        }
    });

    [Fact]
    public void A_broken_document_never_admits_more_than_its_absence() => ForAllMeshes(200, mesh =>
    {
        var documents = Documents(mesh);
        var broken = PolicySet.Load([.. documents.Select((text, i) => new PolicyText("f" + i, text)), new PolicyText("broken", RandomMesh.Yaml(mesh.Policy("broken")).Replace("\"rules\":", "\"ruels\":[],\"rules\":", StringComparison.Ordinal))], Mesh);
        Assert.True(broken.HasErrors);
        NeverAdmitsMore(mesh, Load(documents), broken.Set);
    });

    private static void NeverAdmitsMore(RandomMesh mesh, PolicySet before, PolicySet after)
    {
        for (var i = 0; i < RequestsPerMesh; i++)
        {
            var request = mesh.Request();
            var workload = new Workload(request.Namespace, null, request.Labels);
            Assert.True(before.ForWorkload(workload).Decide(Facts(request)).Allowed || !after.ForWorkload(workload).Decide(Facts(request)).Allowed);
        }
    }

    private static void ForAllMeshes(int count, Action<RandomMesh> holds) =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed => holds(new RandomMesh(seed))).Check(Config.QuickThrowOnFailure.WithMaxTest(count).WithEndSize(1_000_000_000));

    private static List<string> Documents(RandomMesh mesh) => [.. mesh.Policies().Select(RandomMesh.Yaml), .. mesh.Peers().Select(RandomMesh.Yaml)];

    private static PolicySet Load(List<string> documents)
    {
        var load = PolicySet.Load([new PolicyText("all", string.Join("\n---\n", documents))], Mesh);
        Assert.False(load.HasErrors, string.Join("; ", load.Problems));
        return load.Set;
    }

    private static IEnumerable<string> Fields(RefRule rule) => rule.From.Concat(rule.To).SelectMany(part => part.Keys)
        .Concat(rule.When.Select(condition => condition.NotValues.Length > 0 ? "not" + condition.Key : condition.Key));

    private static bool IsAboutPeer(string field)
    {
        var plain = field.StartsWith("not", StringComparison.Ordinal) ? field[3..] : field;
        return plain.ToLowerInvariant() is "principals" or "namespaces" or "serviceaccounts" or "trustdomains" or "source.principal" or "source.namespace" or "source.serviceaccount" or "source.trustdomain";
    }

    private static RequestFacts Facts(RefRequest request)
    {
        var claims = request.Claims.ToDictionary(claim => claim.Key, claim => (ClaimValue)new ClaimValue.List(claim.Value));
        claims["aud"] = new ClaimValue.List(request.Audiences);
        if (request.Issuer is not null)
        {
            (claims["iss"], claims["sub"]) = (new ClaimValue.Text(request.Issuer), new ClaimValue.Text(request.Subject!));
        }

        return new RequestFacts
        {
            Peer = request.Principal is null ? null : SpiffeId.Parse("spiffe://" + request.Principal),
            MutualTls = request.Mutual,
            SourceIp = IPAddress.Parse(request.SourceIp),
            RemoteIp = request.RemoteIp is null ? null : IPAddress.Parse(request.RemoteIp),
            DestinationIp = IPAddress.Parse(request.DestinationIp),
            DestinationPort = request.Port,
            Sni = request.Sni,
            Protocol = request.Http ? Protocol.Http : Protocol.Tcp,
            Method = request.Method,
            Host = request.Host,
            Path = request.Path,
            Headers = [.. request.Headers.Select(header => new KeyValuePair<string, string>(header.Name, header.Value))],
            Jwt = new ValidatedJwt(new ClaimValue.Map(claims)),
        };
    }
}
