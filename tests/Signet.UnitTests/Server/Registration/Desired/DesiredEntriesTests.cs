using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Registration.Desired;

namespace Signet.UnitTests.Server.Registration.Desired;

public sealed class DesiredEntriesTests
{
    private static readonly DesiredScope Scope = new(TrustDomain.Parse("example.org"), "prod");

    private const string Cluster = """
        apiVersion: v1
        kind: List
        items:
        - {kind: Namespace, metadata: {name: shop, labels: {mesh: "on"}}}
        - {kind: Node, metadata: {name: node-1, uid: n-1}, spec: {podCIDR: 10.0.0.0/24}}
        - kind: Pod
          metadata: {name: web-1, namespace: shop, uid: p-1, labels: {app: web, tier: front}}
          spec: {nodeName: node-1, serviceAccountName: web, containers: [{name: web, image: web:1}]}
          status: {phase: Running, conditions: [{type: Ready}]}
        - {kind: Pod, metadata: {name: db-1, namespace: data, uid: p-2, labels: {app: db}}, spec: {nodeName: node-1}}
        - {kind: Pod, metadata: {name: job-1, namespace: shop, uid: p-3, labels: {app: web}}, spec: {nodeName: node-1}, status: {phase: Succeeded}}
        """;

    [Fact]
    public void Entries_are_read_as_configuration_writes_them()
    {
        var entry = Assert.Single(Good("""
            entries:
            - spiffeId: spiffe://example.org/web
              parentId: spiffe://example.org/spire/agent/join_token/a
              selectors: ["unix:uid:1000", "unix:path:/usr/bin/web"]
              x509Ttl: 2h
              jwtTtl: 10m
              dnsNames: [web.example.org]
              federatesWith: [partner.example]
              keyType: rsa-4096
              subject: CN={path.last},O=Acme
              names: ["ip:10.0.0.7"]
              hint: external
              admin: true
              downstream: true
              expiresAt: 2040-01-31T12:00:00Z
            """));
        Assert.Equal("spiffe://example.org/web", entry.SpiffeId.Uri);
        Assert.Equal(["unix:uid:1000", "unix:path:/usr/bin/web"], entry.Selectors.Select(selector => selector.ToString()));
        Assert.Equal((TimeSpan.FromHours(2), TimeSpan.FromMinutes(10)), (entry.X509Ttl, entry.JwtTtl));
        Assert.Equal(("web.example.org", "partner.example", "external"), (entry.DnsNames[0], entry.FederatesWith[0].Name, entry.Hint));
        Assert.Equal(new SvidTemplate { KeyType = KeyType.Rsa4096, Subject = "CN={path.last},O=Acme", Names = ["ip:10.0.0.7"] }, entry.Template);
        Assert.True(entry is { Admin: true, Downstream: true });
        Assert.Equal(new DateTimeOffset(2040, 1, 31, 12, 0, 0, TimeSpan.Zero), entry.ExpiresAt);
    }

    [Fact]
    public void Entries_are_read_as_SPIREs_data_files_write_them()
    {
        var entry = Assert.Single(Good("""
            {"entries": [{"selectors": [{"type": "unix", "value": "uid:1111"}], "spiffe_id": "spiffe://example.org/blog", "parent_id": "spiffe://example.org/spire/agent/join_token/TokenBlog",
              "x509_svid_ttl": 200, "jwt_svid_ttl": 30, "admin": true, "expires_at": 1900000000, "dns_names": ["blog.example.org"]}]}
            """));
        Assert.Equal("unix:uid:1111", Assert.Single(entry.Selectors).ToString());
        Assert.Equal((TimeSpan.FromSeconds(200), TimeSpan.FromSeconds(30)), (entry.X509Ttl, entry.JwtTtl));
        Assert.Equal(1900000000, entry.ExpiresAt!.Value.ToUnixTimeSeconds());
        Assert.True(entry.Admin);
    }

    [Fact]
    public void A_ClusterStaticEntry_is_an_entry()
    {
        var entry = Assert.Single(Good("""
            apiVersion: spire.spiffe.io/v1alpha1
            kind: ClusterStaticEntry
            metadata: {name: backup, labels: {team: ops}}
            spec:
              spiffeID: spiffe://example.org/backup
              parentID: spiffe://example.org/spire/server
              selectors: [k8s:ns:ops, k8s:sa:backup]
              x509SVIDTTL: 24h0m0s
              jwtSVIDTTL: 0s
              className: signet
            status: {rendered: true}
            """));
        Assert.Equal("/backup", entry.SpiffeId.Path);
        Assert.Equal(TimeSpan.FromHours(24), entry.X509Ttl);
        Assert.Null(entry.JwtTtl);
    }

    [Fact]
    public void A_ClusterSPIFFEID_gives_each_running_pod_that_it_selects_an_entry_on_its_node()
    {
        var entry = Assert.Single(Good(Cluster, """
            apiVersion: spire.spiffe.io/v1alpha1
            kind: ClusterSPIFFEID
            metadata: {name: shop}
            spec:
              spiffeIDTemplate: "spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}"
              dnsNameTemplates: ['{{ index .PodMeta.Labels "app" }}.{{ .PodMeta.Namespace }}.svc']
              workloadSelectorTemplates: ["k8s:container-name:{{ .PodMeta.Labels.app }}"]
              namespaceSelector: {matchLabels: {mesh: "on"}}
              podSelector: {matchExpressions: [{key: tier, operator: In, values: [front, back]}]}
              ttl: 1h
              hint: shop
            """));
        Assert.Equal("spiffe://example.org/ns/shop/sa/web", entry.SpiffeId.Uri);
        Assert.Equal("spiffe://example.org/spire/agent/k8s_psat/prod/n-1", entry.ParentId.Uri);
        Assert.Equal(["k8s:pod-uid:p-1", "k8s:container-name:web"], entry.Selectors.Select(selector => selector.ToString()));
        Assert.Equal("web.shop.svc", Assert.Single(entry.DnsNames));
        Assert.Equal((TimeSpan.FromHours(1), "shop"), (entry.X509Ttl, entry.Hint));
    }

    [Fact]
    public void A_fallback_counts_only_for_pods_that_no_other_selects()
    {
        var entries = Good(Cluster, """
            kind: ClusterSPIFFEID
            metadata: {name: all}
            spec: {fallback: true, spiffeIDTemplate: "spiffe://{{ .TrustDomain }}/fallback/{{ .PodMeta.Name }}"}
            ---
            kind: ClusterSPIFFEID
            metadata: {name: web}
            spec: {spiffeIDTemplate: "spiffe://{{ .TrustDomain }}/web", podSelector: {matchLabels: {app: web}}}
            """);
        Assert.Equal(["/fallback/db-1", "/web"], entries.Select(entry => entry.SpiffeId.Path).Order());
    }

    [Fact]
    public void A_pod_whose_entry_cannot_be_made_is_skipped_with_the_reason_and_the_others_get_theirs()
    {
        var read = Read(Cluster, """
            kind: ClusterSPIFFEID
            metadata: {name: by-tier}
            spec: {spiffeIDTemplate: "spiffe://{{ .TrustDomain }}/tier/{{ .PodMeta.Labels.tier }}"}
            """);
        Assert.Equal("/tier/front", Assert.Single(read.Entries).SpiffeId.Path);
        Assert.Equal("pod data/db-1: ClusterSPIFFEID by-tier: there is no .PodMeta.Labels.tier", Assert.Single(read.Skipped));
    }

    [Fact]
    public void A_pod_on_an_unknown_node_is_skipped()
    {
        var read = Read("""
            kind: Pod
            metadata: {name: a, namespace: b, uid: c}
            spec: {nodeName: elsewhere}
            ---
            kind: ClusterSPIFFEID
            metadata: {name: all}
            spec: {spiffeIDTemplate: "spiffe://{{ .TrustDomain }}/x"}
            """);
        Assert.Contains("its node \"elsewhere\" is not known", Assert.Single(read.Skipped));
        Assert.Empty(read.Entries);
    }

    [Theory]
    [InlineData("entries: [{spiffeId: web, parentId: spiffe://example.org/a, selectors: [unix:uid:1]}]", "f0:1: entries[0].spiffeId")]
    [InlineData("entries:\n- spiffeId: spiffe://example.org/web\n  parentId: spiffe://example.org/a\n  selector: [unix:uid:1]", "did you mean \"selectors\"")]
    [InlineData("entries: [{spiffeId: spiffe://example.org/web, parentId: spiffe://example.org/a, selectors: []}]", "without one every workload would match")]
    [InlineData("entries: [{spiffeId: spiffe://example.org/web, parentId: spiffe://example.org/a, selectors: [uid]}]", "has no type or no value")]
    [InlineData("entries: [{spiffeId: spiffe://example.org/web, parentId: spiffe://example.org/a, selectors: [unix:uid:1], expiresAt: tomorrow}]", "is not a time")]
    [InlineData("entries: [{spiffeId: spiffe://example.org/web, parentId: spiffe://example.org/a, selectors: [unix:uid:1], keyType: dsa}]", "key type \"dsa\" is unknown")]
    [InlineData("entries: {a: b}", "a list was expected")]
    [InlineData("services: []", "entries: is missing")]
    [InlineData("kind: Deployment", "\"Deployment\" is not a kind that makes entries")]
    [InlineData("- a", "must hold keys and values")]
    [InlineData("entries: [\"", "not YAML")]
    [InlineData("kind: ClusterSPIFFEID\nspec: {spiffeIDTemplate: \"{{ printf }}\"}", "is not understood")]
    [InlineData("kind: ClusterSPIFFEID\nspec: {}", "spiffeIDTemplate")]
    [InlineData("kind: ClusterSPIFFEID\nspec: {spiffeIDTemplate: x, autoPopulateDNSNames: true}", "write dnsNameTemplates")]
    [InlineData("kind: ClusterStaticEntry\nspec: {spiffeID: spiffe://example.org/x, parentID: spiffe://example.org/a, selectors: [a:b], storeSVID: true}", "storeSVID")]
    public void What_does_not_hold_is_told_with_its_place(string text, string problem) => Assert.Contains(problem, string.Join('\n', Read(text).Problems));

    [Fact]
    public void The_same_entry_in_two_places_is_a_problem_that_names_both()
    {
        const string Text = "entries:\n- {spiffeId: spiffe://example.org/web, parentId: spiffe://example.org/a, selectors: [unix:uid:1]}\n";
        Assert.Contains("stands at f0:2 too", Assert.Single(Read(Text, Text).Problems).ToString());
    }

    [Fact]
    public void Every_problem_of_every_file_is_told() =>
        Assert.Equal(["f0", "f1"], Read("services: []", "kind: Service").Problems.Select(problem => problem.File).Distinct());

    [Fact]
    public void Nothing_wanted_is_nothing_wrong() => Assert.Empty(Good("entries: []", "", "# only a comment\n"));

    private static IReadOnlyList<RegistrationEntry> Good(params string[] texts)
    {
        var read = Read(texts);
        Assert.Empty(read.Problems);
        Assert.Empty(read.Skipped);
        return read.Entries;
    }

    private static DesiredEntries Read(params string[] texts) => DesiredEntries.Read(texts.Select((text, i) => ($"f{i}", text)), Scope);
}
