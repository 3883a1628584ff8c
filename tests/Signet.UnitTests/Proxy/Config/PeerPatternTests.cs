using Signet.Identity.Spiffe;
using Signet.Proxy.Config;

namespace Signet.UnitTests.Proxy.Config;

public sealed class PeerPatternTests
{
    [Theory]
    [InlineData("spiffe://example.org/web", "spiffe://example.org/web", true)]
    [InlineData("spiffe://example.org/web", "spiffe://example.org/web/1", false)]
    [InlineData("spiffe://example.org/web", "spiffe://other.org/web", false)]
    [InlineData("spiffe://example.org/web/*", "spiffe://example.org/web/1", true)]
    [InlineData("spiffe://example.org/web/*", "spiffe://example.org/web", false)]
    [InlineData("spiffe://example.org/web/*", "spiffe://example.org/website", false)]
    [InlineData("spiffe://example.org/*", "spiffe://example.org/web/1", true)]
    [InlineData("spiffe://example.org/*", "spiffe://example.org.evil/web", false)]
    public void Matches_the_id_or_what_lies_below(string text, string id, bool matches)
    {
        Assert.True(PeerPattern.TryParse(text, out var pattern, out var problem), problem);
        Assert.Equal(text, pattern.ToString());
        Assert.Equal(matches, pattern.Matches(SpiffeId.Parse(id)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("*")]
    [InlineData("/*")]
    [InlineData("example.org/web")]
    [InlineData("spiffe://example.org/we*b")]
    [InlineData("spiffe://example.org//*")]
    [InlineData("spiffe://*")]
    public void Refuses_what_is_no_id(string text)
    {
        Assert.False(PeerPattern.TryParse(text, out _, out var problem));
        Assert.NotEmpty(problem);
    }
}
