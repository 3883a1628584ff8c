using Signet.Policy;

namespace Signet.UnitTests.Policy;

/// <summary>A mesh that is renaming its trust domain.</summary>
public sealed class TrustDomainTests
{
    private static readonly MeshSettings Renaming = MeshSettings.Default with { TrustDomain = "new-td", TrustDomainAliases = ["old-td", "older-td"] };

    // what the policy names, who comes, whether it matches
    [Theory]
    [InlineData("new-td/ns/a/sa/b", "old-td/ns/a/sa/b", true)]
    [InlineData("old-td/ns/a/sa/b", "new-td/ns/a/sa/b", true)]
    [InlineData("old-td/ns/a/sa/b", "older-td/ns/a/sa/b", true)]
    [InlineData("old-td/ns/a/sa/b", "stranger/ns/a/sa/b", false)]
    [InlineData("cluster.local/ns/a/sa/b", "new-td/ns/a/sa/b", true)]
    [InlineData("cluster.local/ns/a/sa/b", "old-td/ns/a/sa/b", true)]
    [InlineData("cluster.local/ns/a/sa/b", "cluster.local/ns/a/sa/b", false)]
    [InlineData("stranger/ns/a/sa/b", "stranger/ns/a/sa/b", true)]
    [InlineData("stranger/ns/a/sa/b", "new-td/ns/a/sa/b", false)]
    [InlineData("*-td/ns/a/sa/b", "old-td/ns/a/sa/b", true)]
    [InlineData("*/ns/a/sa/b", "stranger/ns/a/sa/b", true)]
    [InlineData("old-td/other", "new-td/other", false)]
    [InlineData("old-td/other", "old-td/other", true)]
    [InlineData("cluster.local/ns/a/sa/*", "old-td/ns/a/sa/b", true)]
    public void A_principal_with_one_of_the_names_means_all(string written, string peer, bool matches)
    {
        var yaml = Ask.Policy("ALLOW", $"{{from: [{{source: {{principals: [\"{written}\"]}}}}]}}");
        Assert.Equal(matches, Ask.Decide(yaml, $"source: {{principal: {peer}}}, request: {{}}", Renaming).Allowed);
    }

    [Fact]
    public void Excluding_a_principal_excludes_it_under_every_name()
    {
        var yaml = Ask.Policy("DENY", "{from: [{source: {notPrincipals: [old-td/ns/a/sa/b]}}]}");
        Assert.True(Ask.Decide(yaml, "source: {principal: new-td/ns/a/sa/b}, request: {}", Renaming).Allowed);
        Assert.False(Ask.Decide(yaml, "source: {principal: stranger/ns/a/sa/b}, request: {}", Renaming).Allowed);
    }

    // An exact name of the mesh is widened; cluster.local is no pointer here, and wildcards are taken as they are.
    [Theory]
    [InlineData("new-td", "old-td", true)]
    [InlineData("old-td", "new-td", true)]
    [InlineData("cluster.local", "new-td", false)]
    [InlineData("old*", "new-td", false)]
    [InlineData("stranger", "stranger", true)]
    public void Trust_domains_are_widened_only_when_exact(string written, string peer, bool matches)
    {
        var yaml = Ask.Policy("ALLOW", $"{{from: [{{source: {{trustDomains: [\"{written}\"]}}}}]}}");
        Assert.Equal(matches, Ask.Decide(yaml, $"source: {{principal: {peer}/ns/a/sa/b}}, request: {{}}", Renaming).Allowed);
    }

    [Fact]
    public void Namespaces_and_service_accounts_are_not_bound_to_a_trust_domain()
    {
        foreach (var field in new[] { "namespaces: [a]", "serviceAccounts: [a/b]" })
        {
            Assert.True(Ask.Decide(Ask.Policy("ALLOW", $"{{from: [{{source: {{{field}}}}}]}}"), "source: {principal: stranger/ns/a/sa/b}, request: {}", Renaming).Allowed);
        }
    }
}
