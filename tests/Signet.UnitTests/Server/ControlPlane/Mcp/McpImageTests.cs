using Google.Protobuf;
using Signet.Hosting.Distribution;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Policy.Yaml;
using Signet.Rpc.Wire.Istio.Networking;
using Signet.Rpc.Wire.Istio.Security;
using Signet.Rpc.Wire.Kubernetes;
using Signet.Server.ControlPlane;
using Signet.Server.ControlPlane.Mcp;

namespace Signet.UnitTests.Server.ControlPlane.Mcp;

public sealed class McpImageTests
{
    private const string Objects = """
        {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a, namespace: shop, labels: {x: y}, creationTimestamp: 2026-01-31T12:00:00Z}, spec: {action: DENY, selector: {matchLabels: {app: web}}, rules: [{from: [{source: {notPrincipals: ["*"]}}], to: [{operation: {ports: ["80"]}}], when: [{key: source.ip, values: [10.0.0.0/8]}]}]}}
        ---
        {apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: nothing, namespace: shop}, spec: {}}
        ---
        {apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: p, namespace: shop}, spec: {selector: {matchLabels: {app: web}}, portLevelMtls: {8080: {mode: DISABLE}}}}
        ---
        {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: d, namespace: shop}, spec: {host: a, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}, outlierDetection: {interval: 1m30s, consecutive5xxErrors: 7}}}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, uid: u1, labels: {app: web}}, spec: {nodeName: n1, serviceAccountName: web, containers: [{name: c, image: i}]}, status: {phase: Running, podIP: 10.0.0.1, containerStatuses: [{name: c, containerID: "containerd://abc"}]}}
        """;

    [Fact]
    public void Objects_are_the_messages_that_their_owners_publish()
    {
        var image = McpImage.Of(State(Objects), null, out var problem);
        Assert.Equal("", problem);
        var policies = image!.Collections["istio/security/v1beta1/authorizationpolicies"].ByName;
        Assert.Equal(["shop/a", "shop/nothing"], policies.Keys);
        var resource = policies["shop/a"];
        Assert.Equal(("y", 1769860800L), (resource.Metadata.Labels["x"], resource.Metadata.CreateTime.Seconds));
        var policy = resource.Body.Unpack<AuthorizationPolicy>();
        Assert.Equal((AuthorizationPolicy.Types.Action.Deny, "web", "*", "80", "10.0.0.0/8"), (policy.Action, policy.Selector.MatchLabels["app"], policy.Rules[0].From[0].Source.NotPrincipals[0], policy.Rules[0].To[0].Operation.Ports[0], policy.Rules[0].When[0].Values[0]));
        Assert.Equal("type.googleapis.com/istio.security.v1beta1.AuthorizationPolicy", resource.Body.TypeUrl);
        var peer = image.Collections["istio/security/v1beta1/peerauthentications"].ByName["shop/p"].Body.Unpack<PeerAuthentication>();
        Assert.Equal(PeerAuthentication.Types.MutualTLS.Types.Mode.Disable, peer.PortLevelMtls[8080].Mode);
        var rule = image.Collections["istio/networking/v1alpha3/destinationrules"].ByName["shop/d"].Body.Unpack<DestinationRule>();
        Assert.Equal((ClientTLSSettings.Types.TLSmode.Simple, true, 90L, 7u), (rule.TrafficPolicy.Tls.Mode, rule.TrafficPolicy.Tls.InsecureSkipVerify, rule.TrafficPolicy.OutlierDetection.Interval.Seconds, rule.TrafficPolicy.OutlierDetection.Consecutive5XxErrors));
        var pod = image.Collections["k8s/core/v1/pods"].ByName["shop/web-1"].Body.Unpack<Pod>();
        Assert.Equal(("u1", "n1", "web", "10.0.0.1", "containerd://abc"), (pod.Metadata.Uid, pod.Spec.NodeName, pod.Spec.ServiceAccountName, pod.Status.PodIP, pod.Status.ContainerStatuses[0].ContainerID));
    }

    [Fact]
    public void A_collection_that_has_not_changed_is_the_same_object_and_what_is_the_same_has_the_same_version()
    {
        var first = McpImage.Of(State(Objects), null, out _)!;
        var second = McpImage.Of(State(Objects.Replace("app: web, ", "", StringComparison.Ordinal).Replace("phase: Running", "phase: Failed", StringComparison.Ordinal)), first, out _)!;
        Assert.Same(first.Collections["istio/security/v1beta1/authorizationpolicies"], second.Collections["istio/security/v1beta1/authorizationpolicies"]);
        Assert.NotSame(first.Collections["k8s/core/v1/pods"], second.Collections["k8s/core/v1/pods"]);
        var afresh = McpImage.Of(State(Objects), null, out _)!;
        Assert.Equal(
            first.Collections.Values.SelectMany(one => one.ByName.Values).Select(one => one.Metadata.Version).Order(), afresh.Collections.Values.SelectMany(one => one.ByName.Values).Select(one => one.Metadata.Version).Order());
    }

    [Fact]
    public void An_object_that_the_published_message_cannot_hold_stops_the_whole_image_by_name()
    {
        var state = State("{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: d, namespace: shop}, spec: {host: a, trafficPolicy: {retryBudget: {percent: 20}}}}");
        Assert.Null(McpImage.Of(state, null, out var problem));
        Assert.Contains("DestinationRule shop/d", problem, StringComparison.Ordinal);
        Assert.Contains("retryBudget", problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("istio/security/v1beta1/peerauthentications")]
    [InlineData("istio/security/v1beta1/PeerAuthentication")]
    [InlineData("security.istio.io/v1/PeerAuthentication")]
    public void Every_spelling_of_a_collection_is_known(string spelling) => Assert.Equal("PeerAuthentication", McpCatalog.Find(spelling)?.Kind);

    [Fact]
    public void What_is_not_served_is_not_known() => Assert.Null(McpCatalog.Find("istio/networking/v1alpha3/virtualservices"));

    [Theory]
    [InlineData("{action: NEVER}", "one of ALLOW, DENY, AUDIT, CUSTOM")]
    [InlineData("{rules: {}}", "a list was expected")]
    [InlineData("{selector: [x]}", "a mapping was expected")]
    [InlineData("{selector: {matchLabels: {a: [b]}}}", "a single value was expected")]
    [InlineData("{nonsense: 1}", "is not in the published message")]
    public void What_does_not_fit_the_message_is_told(string text, string expected)
    {
        Assert.True(YamlReader.TryRead(text, out var nodes, out _));
        Assert.False(YamlMessage.TryRead(nodes[0], AuthorizationPolicy.Descriptor, out _, out var problem));
        Assert.Contains(expected, problem, StringComparison.Ordinal);
    }

    private static MeshState State(string text)
    {
        var desired = DesiredMesh.Read([new PolicyText("a.yaml", text)], [], null, TrustDomain.Parse("example.org"));
        return new MeshState(new MeshSnapshot(1, desired.Documents), desired);
    }
}
