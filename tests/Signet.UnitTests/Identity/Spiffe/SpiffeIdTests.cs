using FsCheck;
using FsCheck.Fluent;
using Signet.Identity.Spiffe;

namespace Signet.UnitTests.Identity.Spiffe;

/// <summary>SPIFFE-ID.md, a clause a test.</summary>
public sealed class SpiffeIdTests
{
    [Theory]
    [InlineData("spiffe://example.org", "example.org", "")]
    [InlineData("spiffe://example.org/a", "example.org", "/a")]
    [InlineData("spiffe://example.org/ns/prod/sa/orders", "example.org", "/ns/prod/sa/orders")]
    public void ID01_Reads_scheme_trust_domain_and_path(string text, string trustDomain, string path)
    {
        Assert.True(SpiffeId.TryParse(text, out var id, out var problem), problem);
        Assert.Equal(trustDomain, id.TrustDomain.Name);
        Assert.Equal(path, id.Path);
        Assert.Equal(text, id.Uri);
        Assert.Equal(text, id.ToString());
    }

    [Theory]
    [InlineData("", "is empty")]
    [InlineData("http://example.org/a", "does not begin with")]
    [InlineData("SPIFFE://example.org/a", "does not begin with")]
    [InlineData("spiffe:/example.org/a", "does not begin with")]
    [InlineData("example.org/a", "does not begin with")]
    [InlineData("spiffe://example.org/a?b=c", "query")]
    [InlineData("spiffe://example.org/a#b", "fragment")]
    [InlineData("spiffe://example.org?b", "'?'")]
    [InlineData("spiffe://example.org#b", "'#'")]
    public void ID01_Refuses_another_scheme_a_query_and_a_fragment(string text, string why) => Refuses(text, why);

    [Theory]
    [InlineData("spiffe://", "trust domain is empty")]
    [InlineData("spiffe:///a", "trust domain is empty")]
    [InlineData("spiffe://user@example.org/a", "user information")]
    [InlineData("spiffe://user:pw@example.org/a", "user information")]
    [InlineData("spiffe://example.org:8443/a", "port")]
    [InlineData("spiffe://example.org:/a", "port")]
    [InlineData("spiffe://[::1]/a", "port")]
    public void ID02_Refuses_an_empty_host_user_information_and_a_port(string text, string why) => Refuses(text, why);

    [Theory]
    [InlineData("spiffe://a-z_0.9/x")]
    [InlineData("spiffe://-._/x")]
    public void ID03_Takes_every_character_a_trust_domain_may_have(string text) => Assert.True(SpiffeId.TryParse(text, out _, out var problem), problem);

    [Theory]
    [InlineData("spiffe://Example.org/a", "write \"example.org\"")]
    [InlineData("spiffe://ex%61mple.org/a", "'%'")]
    [InlineData("spiffe://exämple.org/a", "\\u00e4")]
    [InlineData("spiffe://example org/a", "' '")]
    public void ID03_Refuses_upper_case_percent_encoding_and_other_characters(string text, string why) => Refuses(text, why);

    [Theory]
    [InlineData("spiffe://10.1.2.3/a", "10.1.2.3")]
    [InlineData("spiffe://999.999/a", "999.999")]
    [InlineData("spiffe://no-dns-name_/a", "no-dns-name_")]
    public void ID04_Treats_a_name_that_looks_like_an_address_like_any_other(string text, string trustDomain)
    {
        Assert.Equal(trustDomain, SpiffeId.Parse(text).TrustDomain.Name);
        Assert.NotEqual(TrustDomain.Parse("10.1.2.3"), TrustDomain.Parse("10.1.2.03"));
    }

    [Theory]
    [InlineData("spiffe://example.org/", "ends with '/'")]
    [InlineData("spiffe://example.org/a/", "ends with '/'")]
    [InlineData("spiffe://example.org//a", "empty")]
    [InlineData("spiffe://example.org/a//b", "empty")]
    [InlineData("spiffe://example.org/./a", "segment")]
    [InlineData("spiffe://example.org/a/..", "segment")]
    [InlineData("spiffe://example.org/a/../b", "segment")]
    [InlineData("spiffe://example.org/a%2Fb", "percent-encoding")]
    public void ID05_Refuses_empty_dot_and_encoded_segments(string text, string why) => Refuses(text, why);

    [Fact]
    public void ID05_Takes_segments_that_only_begin_with_dots() => Assert.Equal("/.a/..b/...", SpiffeId.Parse("spiffe://example.org/.a/..b/...").Path);

    [Fact]
    public void ID06_Takes_every_character_a_path_may_have_and_keeps_its_case()
    {
        Assert.Equal("/aZ09.-_", SpiffeId.Parse("spiffe://example.org/aZ09.-_").Path);
        Assert.NotEqual(SpiffeId.Parse("spiffe://example.org/a"), SpiffeId.Parse("spiffe://example.org/A"));
    }

    [Theory]
    [InlineData("spiffe://example.org/a b")]
    [InlineData("spiffe://example.org/a:b")]
    [InlineData("spiffe://example.org/a@b")]
    [InlineData("spiffe://example.org/ä")]
    [InlineData("spiffe://example.org/a\u0000b")]
    [InlineData("spiffe://example.org/a\\b")]
    public void ID06_Refuses_other_characters_in_a_path(string text) => Refuses(text, "only a-z, A-Z, 0-9");

    [Fact]
    public void ID07_Takes_2048_bytes_and_a_trust_domain_of_255()
    {
        var longest = "spiffe://example.org/" + new string('a', SpiffeId.MaxLength - "spiffe://example.org/".Length);
        Assert.Equal(longest, SpiffeId.Parse(longest).Uri);
        Assert.Equal(255, TrustDomain.Parse(new string('a', 255)).Name.Length);
    }

    [Fact]
    public void ID07_Refuses_more_than_2048_bytes_and_a_trust_domain_of_256()
    {
        Refuses("spiffe://example.org/" + new string('a', SpiffeId.MaxLength), "the limit is 2048");
        Refuses("spiffe://" + new string('a', 256) + "/x", "the limit is 255");
    }

    [Fact]
    public void Never_throws_and_never_shows_a_control_character() => Prop.ForAll(
        ArbMap.Default.ArbFor<string>(),
        text =>
        {
            foreach (var candidate in new[] { text, "spiffe://" + text, "spiffe://example.org/" + text })
            {
                if (SpiffeId.TryParse(candidate, out var id, out var problem))
                {
                    Assert.Equal(candidate, id.Uri);
                }
                else
                {
                    Assert.DoesNotContain(problem, c => char.IsControl(c));
                }
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_trust_domain_is_no_member_of_one_whose_name_it_begins_with()
    {
        Assert.False(SpiffeId.Parse("spiffe://example.org/a").IsMemberOf(TrustDomain.Parse("example")));
        Assert.True(SpiffeId.Parse("spiffe://example.org/a").IsMemberOf(TrustDomain.Parse("spiffe://example.org")));
    }

    private static void Refuses(string text, string why)
    {
        Assert.False(SpiffeId.TryParse(text, out var id, out var problem));
        Assert.Null(id);
        Assert.Contains(why, problem);
        Assert.Throws<FormatException>(() => SpiffeId.Parse(text));
    }
}
