using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.Mesh;
using Signet.Hosting.Distribution;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Rpc.Wire.Istio.Mcp;
using Signet.Rpc.Wire.Istio.Security;
using Signet.Server.ControlPlane;
using Signet.Server.ControlPlane.Mcp;
using McpMessage = Signet.Agent.Mesh.McpMessage;

namespace Signet.UnitTests.Agent.Mesh;

public sealed class McpPoliciesTests
{
    private const string Objects = """
        {apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: p, namespace: istio-system, creationTimestamp: 2026-01-31T12:00:00Z}, spec: {mtls: {mode: STRICT}}}
        ---
        {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a, namespace: shop, annotations: {istio.io/dry-run: "true"}}, spec: {action: DENY, rules: [{from: [{source: {notPrincipals: ["*"]}}]}]}}
        ---
        {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: nothing, namespace: shop}, spec: {}}
        ---
        {apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: r, namespace: shop}, spec: {jwtRules: [{issuer: i, jwks: "{\"keys\":[]}"}]}}
        ---
        {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: d, namespace: shop}, spec: {host: a.shop.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}, outlierDetection: {interval: 1m30s}}}}
        ---
        {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: own, namespace: shop}, spec: {host: b, exportTo: ["."]}}
        """;

    private readonly MeshHolder _held = new(new MeshMemory(() => null, _ => { }), NullLogger<MeshHolder>.Instance);

    [Fact]
    public void What_goes_by_MCP_means_to_the_proxy_what_was_written_and_nothing_is_there_before_all_of_it()
    {
        var desired = DesiredMesh.Read([new PolicyText("a.yaml", Objects)], [], null, TrustDomain.Parse("example.org"));
        Assert.Empty(desired.Problems);
        var image = McpImage.Of(new MeshState(new MeshSnapshot(1, desired.Documents), desired), null, out _)!;
        var policies = new McpPolicies(_held, TimeProvider.System);
        foreach (var collection in McpPolicies.Collections.Keys)
        {
            Assert.Null(_held.Current.Snapshot);
            Assert.Null(policies.Take(collection, new McpMessage("1", false, [.. image.Collections[collection].ByName.Values], [])));
        }

        var taken = _held.Current.Snapshot!.Documents;
        Assert.Equal(desired.Documents.Keys.Order(StringComparer.Ordinal), taken.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(desired.Documents.Values.Where(one => one.Everywhere).Select(one => one.Name).Order(StringComparer.Ordinal), taken.Values.Where(one => one.Everywhere).Select(one => one.Name).Order(StringComparer.Ordinal));
        var (before, after) = (PolicySet.Load([new PolicyText("a", Objects)], MeshSettings.Default), PolicySet.Load(taken.Values.Select(one => new PolicyText(one.Name, one.Text)), MeshSettings.Default));
        Assert.False(after.HasErrors, string.Join("; ", after.Problems));
        Assert.Equal(before.Set.Objects.Select(one => (one.Kind, one.Id, one.Created)).Order(), after.Set.Objects.Select(one => (one.Kind, one.Id, one.Created)).Order());
        var workload = new Workload("shop", null, new Dictionary<string, string>());
        Assert.Equal(before.Set.MtlsFor(workload, 80), after.Set.MtlsFor(workload, 80));
        Assert.Equal(before.Set.ForWorkload(workload).Policies.Select(policy => (policy.Id, policy.DryRun, policy.Action)), after.Set.ForWorkload(workload).Policies.Select(policy => (policy.Id, policy.DryRun, policy.Action)));
        var query = new ClientTlsQuery(workload, "a.shop.svc.cluster.local", "shop", 80);
        Assert.Equal((ClientTlsMode.Disable, "shop/d"), (after.Set.ClientTls(query).Mode, after.Set.ClientTls(query).From));
    }

    public static TheoryData<string> Bad => ["a difference", "no namespace", "other type", "garbage", "too large", "null"];

    [Theory]
    [MemberData(nameof(Bad))]
    public void What_does_not_hold_changes_nothing(string what)
    {
        var policies = new McpPolicies(_held, TimeProvider.System);
        foreach (var collection in McpPolicies.Collections.Keys)
        {
            Assert.Null(policies.Take(collection, new McpMessage("1", false, [], [])));
        }

        var good = Any.Pack(new PeerAuthentication());
        Resource? bad = what switch
        {
            "no namespace" => new Resource { Metadata = new Metadata { Name = "a" }, Body = good },
            "other type" => new Resource { Metadata = new Metadata { Name = "a/b" }, Body = Any.Pack(new AuthorizationPolicy()) },
            "garbage" => new Resource { Metadata = new Metadata { Name = "a/b" }, Body = new Any { TypeUrl = good.TypeUrl, Value = ByteString.CopyFromUtf8("\xff\xff") } },
            "too large" => new Resource { Metadata = new Metadata { Name = "a/b" }, Body = Any.Pack(new PeerAuthentication { Selector = new() { MatchLabels = { ["a"] = new string('x', 2 * MeshDocument.MaxBytes) } } }) },
            "null" => null,
            _ => new Resource { Metadata = new Metadata { Name = "a/b" }, Body = good },
        };
        var before = _held.Current.Snapshot;
        Assert.NotEmpty(policies.Take("istio/security/v1beta1/peerauthentications", new McpMessage("2", what == "a difference", [bad], []))!);
        Assert.Same(before, _held.Current.Snapshot);
    }
}
