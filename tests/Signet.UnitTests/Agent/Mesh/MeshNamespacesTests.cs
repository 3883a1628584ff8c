using Signet.Agent.Mesh;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.UnitTests.Agent.Mesh;

public sealed class MeshNamespacesTests
{
    [Theory]
    [InlineData("spiffe://example.org/ns/shop/sa/web", "", "shop")]
    [InlineData("spiffe://example.org/ns/shop/sa/web/extra", "", "shop")]
    [InlineData("spiffe://example.org/web", "k8s:ns:bank", "bank")]
    [InlineData("spiffe://example.org/ns/shop/sa/web", "k8s:ns:bank", "bank shop")]
    [InlineData("spiffe://example.org/web", "", "fallback")]
    [InlineData("spiffe://example.org/x/ns/shop/sa/web", "unix:ns:bank", "fallback")]
    [InlineData("spiffe://example.org/ns/shop", "k8s:sa:ns:bank", "fallback")]
    public void Come_from_identities_and_pods_and_only_otherwise_from_the_configuration(string id, string selector, string expected)
    {
        Selector[] selectors = selector.Length > 0 && Selector.TryParse(selector, out var one, out _) ? [one] : [];
        Assert.Equal(expected, string.Join(' ', MeshNamespaces.Of([SpiffeId.Parse(id)], selectors, "fallback").Order(StringComparer.Ordinal)));
    }

    [Fact]
    public void Are_none_when_nothing_says_one() => Assert.Empty(MeshNamespaces.Of([SpiffeId.Parse("spiffe://example.org/web")], [], null));
}
