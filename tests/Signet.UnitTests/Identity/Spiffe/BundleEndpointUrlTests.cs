using Signet.Identity.Spiffe;

namespace Signet.UnitTests.Identity.Spiffe;

/// <summary>SPIFFE_Federation.md §5.2.1.1 and §5.2.2.1.</summary>
public sealed class BundleEndpointUrlTests
{
    [Theory]
    [InlineData("https://example.org")]
    [InlineData("https://example.org:8443/bundle")]
    [InlineData("https://127.0.0.1/bundle?x=1")]
    [InlineData("https://[::1]:8443/")]
    public void F09_An_https_URL_is_taken(string text)
    {
        Assert.True(BundleEndpointUrl.TryParse(text, out var url, out var problem), problem);
        Assert.Equal(new Uri(text), url.Uri);
    }

    [Theory]
    [InlineData("", "0 characters")]
    [InlineData("example.org", "not a URL")]
    [InlineData("/bundle", "not https")]
    [InlineData("http://example.org/bundle", "not https")]
    [InlineData("spiffe://example.org", "not https")]
    [InlineData("file:///etc/passwd", "not https")]
    [InlineData("https://", "not a URL")]
    [InlineData("https://me@example.org/", "user name")]
    [InlineData("https://me:secret@example.org/", "user name")]
    public void F09_What_is_not_https_or_has_user_information_is_refused(string text, string reason)
    {
        Assert.False(BundleEndpointUrl.TryParse(text, out var url, out var problem));
        Assert.Null(url);
        Assert.Contains(reason, problem);
        Assert.DoesNotContain("secret", problem);
    }

    [Fact]
    public void An_endless_URL_is_refused() => Assert.False(BundleEndpointUrl.TryParse("https://example.org/" + new string('a', BundleEndpointUrl.MaxLength), out _, out _));

    [Theory]
    [InlineData("https://other.example/b", "https://other.example/b")]
    [InlineData("/b", "https://example.org:8443/b")]
    [InlineData("b", "https://example.org:8443/x/b")]
    public void F13_A_redirect_to_an_endpoint_URL_can_be_followed(string location, string target)
    {
        Assert.True(BundleEndpointUrl.TryParse("https://example.org:8443/x/y", out var url, out _));
        Assert.True(url.TryFollow(new Uri(location, UriKind.RelativeOrAbsolute), out var next, out var problem), problem);
        Assert.Equal(target, next.ToString());
    }

    [Theory]
    [InlineData("http://example.org:8443/b")]
    [InlineData("https://me@example.org/b")]
    [InlineData("ftp://example.org/b")]
    [InlineData("file:///etc/passwd")]
    [InlineData("gopher://127.0.0.1/")]
    public void F13_A_redirect_to_anything_else_cannot(string location)
    {
        Assert.True(BundleEndpointUrl.TryParse("https://example.org:8443/x/y", out var url, out _));
        Assert.False(url.TryFollow(new Uri(location, UriKind.RelativeOrAbsolute), out _, out var problem));
        Assert.NotEmpty(problem);
    }
}
