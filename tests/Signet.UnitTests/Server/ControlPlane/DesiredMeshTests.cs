using Signet.Hosting.Distribution;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Server.ControlPlane;

namespace Signet.UnitTests.Server.ControlPlane;

public sealed class DesiredMeshTests
{
    private const string Pods = """
        apiVersion: v1
        kind: PodList
        items:
        - metadata: {name: web-1, namespace: shop, uid: u1, labels: {app: web}}
          spec: {nodeName: n1, serviceAccountName: web, containers: [{name: c, image: i, ports: [{name: http, containerPort: 8080}]}]}
          status: {phase: Running, podIP: 10.0.0.1, hostIP: 10.1.0.1, containerStatuses: [{name: c, containerID: "containerd://abc", imageID: "sha256:1"}]}
        - metadata: {name: web-2, namespace: shop, uid: u2, labels: {app: web}}
          spec: {nodeName: n1, containers: [{name: c, image: i}]}
          status: {phase: Succeeded, podIP: 10.0.0.2}
        - metadata: {name: web-3, namespace: bank, uid: u3, labels: {app: web}}
          status: {phase: Running, podIP: 10.0.0.3}
        - metadata: {name: web-4, namespace: shop, uid: u4, labels: {app: web}}
          status: {phase: Pending}
        """;

    [Fact]
    public void Policies_of_the_root_namespace_and_exported_rules_concern_everybody_and_others_their_namespace()
    {
        var mesh = Read("""
            {apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: strict, namespace: istio-system}, spec: {mtls: {mode: STRICT}}}
            ---
            {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: nothing, namespace: shop}, spec: {}}
            ---
            {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: all, namespace: shop}, spec: {host: a.shop.svc.cluster.local}}
            ---
            {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: own, namespace: shop}, spec: {host: b.shop.svc.cluster.local, exportTo: ["."]}}
            """);
        Assert.Empty(mesh.Problems);
        Assert.Equal(
            ["AuthorizationPolicy/shop/nothing False", "DestinationRule/shop/all True", "DestinationRule/shop/own False", "PeerAuthentication/istio-system/strict True"],
            mesh.Documents.Values.Select(one => $"{one.Name} {one.Everywhere}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_root_namespace_is_the_one_that_the_mesh_settings_name_and_the_settings_travel_along()
    {
        var mesh = DesiredMesh.Read(
            [new PolicyText("a.yaml", "{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: strict, namespace: root}, spec: {mtls: {mode: STRICT}}}")],
            [],
            new PolicyText("mesh.yaml", "rootNamespace: root\ntrustDomainAliases: [old.example]\n"),
            TrustDomain.Parse("example.org"));
        Assert.Empty(mesh.Problems);
        Assert.True(mesh.Documents["PeerAuthentication/root/strict"].Everywhere);
        Assert.Equal("""{"rootNamespace":"root","trustDomainAliases":["old.example"]}""", mesh.Documents.Values.Single(one => one.Kind == MeshKinds.Settings).Text);
    }

    [Theory]
    [InlineData("{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a, namespace: shop}, spec: {ruels: []}}", "ruels")]
    [InlineData("kind: [broken", "YAML")]
    [InlineData("{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: a}}\n---\n{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: a}}", "declared twice")]
    [InlineData("{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: a, namespace: shop}, spec: {ports: [{number: 80}]}}", "no spec.hosts")]
    [InlineData("{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: a, namespace: shop}, spec: {hosts: [a], ports: [{number: 70000}]}}", "65535")]
    [InlineData("{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: a, namespace: shop}, spec: {hosts: [a], ports: [{number: 80}], endpoints: [{address: \"unix:///x\"}]}}", "no")]
    public void One_mistake_is_told_with_its_place(string text, string expected)
    {
        var problem = string.Join("; ", Read(text).Problems);
        Assert.Contains(expected, problem, StringComparison.Ordinal);
        Assert.Contains("a.yaml:", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_object_written_differently_is_the_same_document()
    {
        var one = Read("{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a, namespace: shop}, spec: {action: DENY, rules: [{to: [{operation: {ports: [\"80\"], methods: [GET]}}]}]}}");
        var other = Read("""
            kind: AuthorizationPolicy
            apiVersion: security.istio.io/v1
            metadata:
              namespace: shop
              name: a    # who reads this
            spec:
              rules:
              - to:
                - operation:
                    methods: ["GET"]
                    ports: ["80"]
              action: "DENY"
            """);
        Assert.Equal(one.Documents.Values.Single(), other.Documents.Values.Single());
    }

    [Fact]
    public void What_travels_means_to_the_proxy_what_it_means_in_the_folder()
    {
        const string Text = """
            {apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: a, namespace: shop}, spec: {selector: {matchLabels: {app: "007", on: "true"}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}}
            ---
            {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: b, namespace: shop, annotations: {istio.io/dry-run: "true"}}, spec: {rules: [{}]}}
            ---
            {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: c, namespace: shop}, spec: {host: a, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}, outlierDetection: {interval: 1m30s}}}}
            """;
        var mesh = Read(Text);
        var (before, after) = (PolicySet.Load([new PolicyText("a", Text)], MeshSettings.Default), PolicySet.Load(mesh.Documents.Values.Select(one => new PolicyText(one.Name, one.Text)), MeshSettings.Default));
        Assert.False(after.HasErrors);
        var workload = new Workload("shop", null, new Dictionary<string, string> { ["app"] = "007", ["on"] = "true" });
        Assert.Equal(before.Set.MtlsFor(workload, 8080), after.Set.MtlsFor(workload, 8080));
        Assert.Equal(before.Set.MtlsFor(workload, 80), after.Set.MtlsFor(workload, 80));
        Assert.Equal(before.Set.ForWorkload(workload).Policies.Select(policy => (policy.Id, policy.DryRun)), after.Set.ForWorkload(workload).Policies.Select(policy => (policy.Id, policy.DryRun)));
        Assert.Equal(before.Set.Objects.Count(), after.Set.Objects.Count());
    }

    [Fact]
    public void Endpoints_are_the_pods_that_run_and_are_selected_in_the_services_namespace()
    {
        var mesh = Read(Pods + """

            ---
            {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}, {name: plain, port: 81, targetPort: 9000}]}}
            ---
            {apiVersion: v1, kind: Service, metadata: {name: headless, namespace: shop}, spec: {ports: [{port: 80}]}}
            """);
        Assert.Empty(mesh.Problems);
        Assert.Equal(4, mesh.Pods.Length);
        Assert.Equal("containerd://abc", mesh.Pods[0].Containers.Single().ContainerId);
        Assert.Equal(
            """{"hosts":["web.shop.svc.cluster.local"],"ports":[{"port":80,"endpoints":["10.0.0.1:8080"]},{"port":81,"endpoints":["10.0.0.1:9000"]}]}""",
            mesh.Documents["Endpoints/shop/Service.web"].Text);
        Assert.Contains("\"endpoints\":[]", mesh.Documents["Endpoints/shop/Service.headless"].Text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_service_entry_lists_endpoints_or_selects_pods_of_another_folder()
    {
        var mesh = DesiredMesh.Read(
            [new PolicyText("a.yaml", """
                {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: db, namespace: shop}, spec: {hosts: [DB.example], exportTo: ["."], ports: [{number: 5432, name: pg, targetPort: 6432}], endpoints: [{address: 10.9.0.1}, {address: "fd00::1", ports: {pg: 7432}}]}}
                ---
                {apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: web, namespace: shop}, spec: {hosts: [web.example], ports: [{number: 80, name: http, targetPort: 8080}], workloadSelector: {labels: {app: web}}}}
                """)],
            [new PolicyText("pods.yaml", Pods)],
            null,
            TrustDomain.Parse("example.org"));
        Assert.Empty(mesh.Problems);
        var db = mesh.Documents["Endpoints/shop/ServiceEntry.db"];
        Assert.Equal(("""{"hosts":["db.example"],"ports":[{"port":5432,"endpoints":["10.9.0.1:6432","[fd00::1]:7432"]}]}""", false), (db.Text, db.Everywhere));
        Assert.Contains("10.0.0.1:8080", mesh.Documents["Endpoints/shop/ServiceEntry.web"].Text, StringComparison.Ordinal);
    }

    private static DesiredMesh Read(string text) => DesiredMesh.Read([new PolicyText("a.yaml", text)], [], null, TrustDomain.Parse("example.org"));
}
