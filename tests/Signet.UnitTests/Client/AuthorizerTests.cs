using Signet.Client;
using Signet.Identity.Spiffe;

namespace Signet.UnitTests.Client;

public sealed class AuthorizerTests
{
    private static readonly TrustDomain Home = TrustDomain.Parse("example.org");
    private static readonly SpiffeId Web = SpiffeId.Parse("spiffe://example.org/ns/production/sa/web");
    private static readonly SpiffeId Abroad = SpiffeId.Parse("spiffe://other.org/ns/production/sa/web");

    [Fact]
    public void Any_allows_whoever_has_proved_an_identity() => Assert.All([Web, Abroad], Allowed(Authorizer.Any));

    [Fact]
    public void Members_are_of_exactly_that_trust_domain()
    {
        Allowed(Authorizer.MemberOf(Home))(Web);
        Refused(Authorizer.MemberOf(Home), Abroad, "members of example.org");
        Refused(Authorizer.MemberOf(Home), SpiffeId.Parse("spiffe://sub.example.org/a"), "members of example.org");
    }

    [Fact]
    public void An_exact_identity_is_that_one()
    {
        Allowed(Authorizer.Exactly(Web))(Web);
        Refused(Authorizer.Exactly(Web), Abroad, Web.Uri);
        Refused(Authorizer.Exactly(Web), SpiffeId.Parse(Web.Uri + "2"), Web.Uri);
        Refused(Authorizer.Exactly(Web), SpiffeId.Parse("spiffe://example.org/ns/production/sa/Web"), Web.Uri);
    }

    [Fact]
    public void A_set_allows_its_members_and_an_empty_one_nobody()
    {
        Assert.All([Web, Abroad], Allowed(Authorizer.OneOf(Web, Abroad)));
        Refused(Authorizer.OneOf(Abroad), Web, Abroad.Uri);
        Refused(Authorizer.OneOf(), Web, "nobody");
    }

    [Theory]
    [InlineData("/ns/production", true)]
    [InlineData("/ns/production/sa/web", true)]
    [InlineData("/ns/prod", false)]
    [InlineData("/ns/production/sa/we", false)]
    [InlineData("/ns/production/sa/web/more", false)]
    [InlineData("/NS/production", false)]
    public void A_path_prefix_covers_whole_segments(string prefix, bool allowed)
    {
        Assert.Equal(allowed, Authorizer.PathPrefix(Home, prefix).Allows(Web, out _));
        Refused(Authorizer.PathPrefix(Home, prefix), Abroad, "below it");
    }

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("/ns/")]
    [InlineData("ns")]
    [InlineData("/ns/../x")]
    public void A_prefix_that_no_path_can_have_is_a_mistake(string prefix) => Assert.Throws<FormatException>(() => Authorizer.PathPrefix(Home, prefix));

    [Fact]
    public void A_predicate_decides_and_one_that_throws_refuses()
    {
        Allowed(Authorizer.Where("the web", id => id == Web))(Web);
        Refused(Authorizer.Where("the web", id => id == Web), Abroad, "the web");
        Refused(Authorizer.Where("the web", _ => throw new InvalidOperationException("no table")), Web, "no table");
    }

    private static Action<SpiffeId> Allowed(Authorizer authorizer) => id =>
    {
        Assert.True(authorizer.Allows(id, out var reason));
        Assert.Empty(reason);
    };

    private static void Refused(Authorizer authorizer, SpiffeId id, string because)
    {
        Assert.False(authorizer.Allows(id, out var reason));
        Assert.Contains(id.Uri, reason, StringComparison.Ordinal);
        Assert.Contains(because, reason, StringComparison.Ordinal);
    }
}
