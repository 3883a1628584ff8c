using System.Collections.Immutable;
using System.Net;
using Signet.Hosting.Distribution;
using Signet.Proxy.Mesh;

namespace Signet.UnitTests.Proxy.Mesh;

public sealed class AgentDocumentsTests
{
    private static readonly MeshDocument Settings = new("MeshConfig//", MeshKinds.Settings, "", true, """{"rootNamespace":"root","trustDomainAliases":["old.example"]}""");
    private static readonly MeshDocument Policy = new("PeerAuthentication/root/a", "PeerAuthentication", "root", true, "{}");

    [Fact]
    public void Policies_settings_and_places_are_told_apart_and_the_same_settings_stay_the_same_object()
    {
        Assert.True(AgentDocuments.TryRead(Of(Settings, Policy, Endpoints("a", "a.example", 80, "10.0.0.1:80")), null, out var first, out _));
        Assert.Equal(("root", "PeerAuthentication/root/a"), (first!.Settings.RootNamespace, Assert.Single(first.Policies).Name));
        Assert.Equal([IPEndPoint.Parse("10.0.0.1:80")], first.Places.Find("a.example", 80));
        Assert.Empty(first.Places.Find("a.example", 81));

        Assert.True(AgentDocuments.TryRead(Of(Settings), first, out var second, out _));
        Assert.Same(first.Settings, second!.Settings);
        Assert.Empty(second.Places.Find("a.example", 80));
        Assert.True(AgentDocuments.TryRead(Of(Policy), second, out var third, out _));
        Assert.Equal("istio-system", third!.Settings.RootNamespace);
    }

    [Fact]
    public void Services_that_claim_the_same_name_count_together()
    {
        Assert.True(AgentDocuments.TryRead(Of(Endpoints("a", "x", 80, "10.0.0.1:80"), Endpoints("b", "x", 80, "10.0.0.2:80"), Endpoints("c", "x", 80, "10.0.0.2:80")), null, out var documents, out _));
        Assert.Equal([IPEndPoint.Parse("10.0.0.1:80"), IPEndPoint.Parse("10.0.0.2:80")], documents!.Places.Find("x", 80));
    }

    [Fact]
    public void What_does_not_read_is_refused_by_name()
    {
        Assert.False(AgentDocuments.TryRead(Of(Policy, new MeshDocument("Endpoints/a/b", MeshKinds.Endpoints, "a", true, "{}")), null, out _, out var problem));
        Assert.Contains("Endpoints/a/b", problem, StringComparison.Ordinal);
        Assert.False(AgentDocuments.TryRead(Of(Settings with { Text = """{"pathNormalization":"NONSENSE"}""" }), null, out _, out problem));
        Assert.NotEmpty(problem);
    }

    private static MeshDocument Endpoints(string name, string host, int port, string endpoint) =>
        new($"Endpoints/ns/{name}", MeshKinds.Endpoints, "ns", true, $$"""{"hosts":["{{host}}"],"ports":[{"port":{{port}},"endpoints":["{{endpoint}}"]}]}""");

    private static MeshSnapshot Of(params MeshDocument[] documents) => new(1, documents.ToImmutableDictionary(one => one.Name));
}
