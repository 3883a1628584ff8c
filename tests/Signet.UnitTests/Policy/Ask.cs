using Signet.Policy;
using Signet.Policy.Inputs;

namespace Signet.UnitTests.Policy;

/// <summary>Asks policies, written as in their files, about requests, written as in theirs.</summary>
internal static class Ask
{
    public const string Orders = "cluster.local/ns/production/sa/order-service";

    private const string ToPayments = "destination: {namespace: production, labels: {app: payment-service}, port: 8080, ip: 10.0.0.9}";

    public static PolicyLoad Load(string yaml, MeshSettings? mesh = null) => PolicySet.Load([new PolicyText("test.yaml", yaml)], mesh ?? MeshSettings.Default);

    /// <summary>A set without a mistake.</summary>
    public static PolicySet Set(string yaml, MeshSettings? mesh = null)
    {
        var load = Load(yaml, mesh);
        Assert.DoesNotContain(load.Problems, problem => problem.Severity == PolicySeverity.Error);
        return load.Set;
    }

    /// <summary>An AuthorizationPolicy in production with one rule.</summary>
    public static string Policy(string action, string rule, string name = "p", string extra = "") => $$"""
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: {{name}}, namespace: production{{extra}}}
        spec: {action: {{action}}, rules: [{{rule}}]}

        """;

    /// <summary>A request to the payment service; what is not said about it is absent.</summary>
    public static WrittenRequest Request(string written)
    {
        var text = written.Contains("destination:", StringComparison.Ordinal) ? written : ToPayments + (written.Length == 0 ? "" : ", " + written);
        var input = RequestFile.Read(new PolicyText("requests.yaml", "[{" + text + "}]"));
        Assert.Empty(input.Problems);
        return Assert.Single(input.Value!);
    }

    public static Decision Decide(PolicySet set, string request)
    {
        var written = Request(request);
        return written.Decide(set.ForWorkload(written.Destination));
    }

    public static Decision Decide(string yaml, string request, MeshSettings? mesh = null) => Decide(Set(yaml, mesh), request);

    public static Workload Workload(string ns, params (string Key, string Value)[] labels) =>
        new(ns, null, labels.ToDictionary(label => label.Key, label => label.Value));
}
