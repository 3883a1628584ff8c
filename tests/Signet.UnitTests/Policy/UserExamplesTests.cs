using Signet.Policy;

namespace Signet.UnitTests.Policy;

/// <summary>Three documents that users bring, as they are written.</summary>
public sealed class UserExamplesTests
{
    private const string Strict = """
        apiVersion: security.istio.io/v1beta1
        kind: PeerAuthentication
        metadata:
          name: default
          namespace: production
        spec:
          mtls:
            mode: STRICT
        ---
        apiVersion: "security.istio.io/v1beta1"
        kind: "PeerAuthentication"
        metadata:
          name: "demobank"
          namespace: "istio-nm"
        spec:
          selector:
            matchLabels:
              app: demobank
          mtls:
            mode: STRICT
        """;

    private const string IstioMutual = """
        apiVersion: networking.istio.io/v1alpha3
        kind: DestinationRule
        metadata:
          name: default
          namespace: istio-system
        spec:
          host: "*.local"
          trafficPolicy:
            tls:
              mode: ISTIO_MUTUAL
        """;

    private const string PaymentServiceAuthz = """
        apiVersion: security.istio.io/v1beta1
        kind: AuthorizationPolicy
        metadata:
          name: payment-service-authz
          namespace: production
        spec:
          selector:
            matchLabels:
              app: payment-service
          action: ALLOW
          rules:
          - from:
            - source:
                principals: ["cluster.local/ns/production/sa/order-service"]
            to:
            - operation:
                methods: ["POST"]
                paths: ["/api/payments"]
        """;

    [Fact]
    public void STRICT_for_a_namespace_and_for_one_workload()
    {
        var set = Ask.Set(Strict);
        Assert.Equal(new PortMtls(MtlsMode.Strict, "production/default"), set.ForWorkload(Ask.Workload("production")).MtlsFor(8080));
        Assert.Equal(new PortMtls(MtlsMode.Strict, "istio-nm/demobank"), set.ForWorkload(Ask.Workload("istio-nm", ("app", "demobank"))).MtlsFor(8080));
        Assert.Equal(new PortMtls(MtlsMode.Permissive, null), set.ForWorkload(Ask.Workload("istio-nm", ("app", "other"))).MtlsFor(8080));
        Assert.Equal(new PortMtls(MtlsMode.Permissive, null), set.ForWorkload(Ask.Workload("elsewhere")).MtlsFor(8080));
    }

    [Fact]
    public void ISTIO_MUTUAL_for_everything_that_ends_in_local()
    {
        var set = Ask.Set(IstioMutual);
        var client = Ask.Workload("web");
        var inside = set.ClientTls(new ClientTlsQuery(client, "orders", "production", 80, new ClientEndpoint(HasSidecar: false, MtlsMode.Disable)));
        Assert.Equal((ClientTlsMode.IstioMutual, "istio-system/default"), (inside.Mode, inside.From));
        var outside = set.ClientTls(new ClientTlsQuery(client, "api.example.com", "production", 443, new ClientEndpoint(HasSidecar: false, MtlsMode.Disable)));
        Assert.Equal((ClientTlsMode.Disable, null), (outside.Mode, outside.From));
    }

    [Theory]
    [InlineData("source: {principal: cluster.local/ns/production/sa/order-service}, request: {method: POST, path: /api/payments}", true)]
    [InlineData("source: {principal: cluster.local/ns/production/sa/order-service}, request: {method: POST, path: \"/api/payments?x=1\"}", true)]
    [InlineData("source: {principal: cluster.local/ns/production/sa/order-service}, request: {method: GET, path: /api/payments}", false)]
    [InlineData("source: {principal: cluster.local/ns/production/sa/order-service}, request: {method: POST, path: /api/payments/1}", false)]
    [InlineData("source: {principal: cluster.local/ns/production/sa/web}, request: {method: POST, path: /api/payments}", false)]
    [InlineData("source: {principal: evil.org/ns/production/sa/order-service}, request: {method: POST, path: /api/payments}", false)]
    [InlineData("request: {method: POST, path: /api/payments}", false)]
    [InlineData("destination: {namespace: production, labels: {app: payment-service}, port: 9000, protocol: tcp}, source: {principal: cluster.local/ns/production/sa/order-service}", false)]
    public void The_payment_service_takes_POST_from_the_order_service_and_nothing_else(string request, bool allowed) =>
        Assert.Equal(allowed, Ask.Decide(PaymentServiceAuthz, request).Allowed);

    [Fact]
    public void Together_they_are_free_of_findings()
    {
        var load = Ask.Load(string.Join("\n---\n", Strict, IstioMutual, PaymentServiceAuthz));
        Assert.Empty(Signet.Policy.Linting.Linter.Lint(load, null));
    }
}
