using System.Reflection;
using Signet.Policy;
using Signet.Policy.Objects;

namespace Signet.UnitTests.Policy;

/// <summary>The API versions of each kind that Istio has published: each is read, all mean the same, and no other is.</summary>
public sealed class ApiVersionTests
{
    private static readonly Dictionary<string, string> Specs = new(StringComparer.Ordinal)
    {
        ["PeerAuthentication"] = "{selector: {matchLabels: {app: x}}, mtls: {mode: STRICT}, portLevelMtls: {\"8080\": {mode: DISABLE}}}",
        ["AuthorizationPolicy"] = "{selector: {matchLabels: {app: x}}, action: DENY, rules: [{from: [{source: {principals: [a/b], notNamespaces: [c]}}], to: [{operation: {paths: [/a]}}], when: [{key: source.ip, values: [10.0.0.1]}]}]}",
        ["RequestAuthentication"] = "{selector: {matchLabels: {app: x}}, jwtRules: [{issuer: i, audiences: [a], jwksUri: https://i/keys, fromParams: [t]}]}",
        ["DestinationRule"] = "{host: orders, exportTo: [.], workloadSelector: {matchLabels: {app: x}}, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}, portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}, subsets: [{name: v1, trafficPolicy: {tls: {mode: SIMPLE, sni: s}}}]}",
    };

    [Theory]
    [InlineData("PeerAuthentication", "security.istio.io", "v1", "v1beta1")]
    [InlineData("AuthorizationPolicy", "security.istio.io", "v1", "v1beta1")]
    [InlineData("RequestAuthentication", "security.istio.io", "v1", "v1beta1")]
    [InlineData("DestinationRule", "networking.istio.io", "v1", "v1beta1", "v1alpha3")]
    public void Every_published_version_is_read_and_means_the_same(string kind, string group, params string[] versions)
    {
        var read = versions.Select(version => Ask.Load(Document(kind, $"{group}/{version}"))).ToList();
        Assert.All(read, load => Assert.DoesNotContain(load.Problems, problem => problem.Severity == PolicySeverity.Error));
        var shown = read.Select(load => Shown(Assert.Single(load.Set.Objects))).ToList();
        Assert.Single(shown.Distinct(StringComparer.Ordinal));
        Assert.Contains("x", shown[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("PeerAuthentication", "security.istio.io/v1alpha3")]
    [InlineData("PeerAuthentication", "security.istio.io/v1alpha1")]
    [InlineData("PeerAuthentication", "security.istio.io/v2")]
    [InlineData("PeerAuthentication", "security.istio.io/V1")]
    [InlineData("PeerAuthentication", "networking.istio.io/v1")]
    [InlineData("AuthorizationPolicy", "security.istio.io/v1alpha3")]
    [InlineData("AuthorizationPolicy", "security.istio.io/v1beta2")]
    [InlineData("AuthorizationPolicy", "rbac.istio.io/v1alpha1")]
    [InlineData("AuthorizationPolicy", "security.istio.io/")]
    [InlineData("RequestAuthentication", "security.istio.io/v1alpha1")]
    [InlineData("RequestAuthentication", "security.istio.io/v1beta1 ")]
    [InlineData("RequestAuthentication", "authentication.istio.io/v1")]
    [InlineData("DestinationRule", "networking.istio.io/v1alpha1")]
    [InlineData("DestinationRule", "networking.istio.io/v2")]
    [InlineData("DestinationRule", "security.istio.io/v1")]
    public void Any_other_version_is_an_error_that_denies_everything(string kind, string version)
    {
        var load = Ask.Load(Document(kind, version));
        var problem = Assert.Single(load.Problems);
        Assert.Equal((2, PolicyCodes.BadObject, PolicySeverity.Error), (problem.Line, problem.Code, problem.Severity));
        Assert.Contains(kind, problem.Message, StringComparison.Ordinal);
        Assert.False(load.Set.ForWorkload(Ask.Workload("elsewhere")).Decide(Ask.Request("").Facts).Allowed);
        Assert.NotNull(load.Set.ClientTls(new ClientTlsQuery(Ask.Workload("elsewhere"), "orders", "production", 80)).Refusal);
    }

    /// <summary>A group that has nothing to do with policies may have kinds of the same name.</summary>
    [Theory]
    [InlineData("PeerAuthentication", "example.com/v1")]
    [InlineData("DestinationRule", "v1")]
    public void A_kind_of_another_group_is_passed_over(string kind, string version)
    {
        var load = Ask.Load(Document(kind, version));
        Assert.Equal((PolicyCodes.NotAPolicy, PolicySeverity.Info), (Assert.Single(load.Problems).Code, load.Problems[0].Severity));
        Assert.Empty(load.Set.Objects);
    }

    private static string Document(string kind, string version) => $"---\napiVersion: \"{version}\"\nkind: {kind}\nmetadata: {{name: o, namespace: production}}\nspec: {Specs[kind]}\n";

    /// <summary>Everything that an object holds, written out.</summary>
    private static string Shown(object? value) => value switch
    {
        null => "null",
        string or Uri or ValueType => $"{value}",
        System.Collections.IEnumerable many => "[" + string.Join(", ", many.Cast<object?>().Select(Shown)) + "]",
        Signet.Policy.Engine.Clause clause => clause.ToString(),
        _ => value.GetType().Name + "{" + string.Join(
            ", ", value.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.GetIndexParameters().Length == 0).Select(property => $"{property.Name}: {Shown(property.GetValue(value))}")) + "}",
    };
}
