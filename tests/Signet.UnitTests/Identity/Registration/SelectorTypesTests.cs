using Signet.Identity.Registration;

namespace Signet.UnitTests.Identity.Registration;

public sealed class SelectorTypesTests
{
    private static readonly IReadOnlySet<string> None = new HashSet<string>();

    [Theory]
    [InlineData("unix:uid:1000")]
    [InlineData("unix:path:/usr/bin/web")]
    [InlineData("unix:sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    [InlineData("k8s:pod-label:app:web")]
    [InlineData("docker:label:com.example:x")]
    [InlineData("systemd:id:web.service")]
    [InlineData("k8s_psat:cluster:prod")]
    [InlineData("x509pop:subject:cn:node-1")]
    [InlineData("spiffe_id:spiffe://example.org/x")]
    [InlineData("join_token:abc")]
    public void What_an_attestor_finds_may_be_demanded(string text) => Assert.Null(Problem(text));

    [Theory]
    [InlineData("unx:uid:1000", "did you mean \"unix\"?")]
    [InlineData("k8:ns:x", "did you mean \"k8s\"?")]
    [InlineData("cloud:zone:a", "known types: ")]
    [InlineData("unix:uuid:1000", "unix has no key \"uuid\"; did you mean \"uid\"?")]
    [InlineData("k8s:namespace:x", "k8s has no key \"namespace\"")]
    [InlineData("unix:uid", "has no value; write unix:uid:VALUE")]
    [InlineData("unix:uid:", "has no value; write unix:uid:VALUE")]
    [InlineData("unix:uid:web", "for a name write unix:user:web")]
    [InlineData("unix:gid:-1", "is not a number")]
    [InlineData("unix:path:bin/web", "a path is absolute")]
    [InlineData("unix:sha256:E3B0", "64 lower-case hexadecimal digits")]
    public void What_no_attestor_can_find_is_told_with_what_was_probably_meant(string text, string problem) => Assert.Contains(problem, Problem(text));

    [Fact]
    public void Types_of_ones_own_attestors_may_be_named() => Assert.Null(SelectorTypes.Problem(new Selector("cloud", "zone:a"), new HashSet<string> { "cloud" }));

    private static string? Problem(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        return SelectorTypes.Problem(new Selector(text[..colon], text[(colon + 1)..]), None);
    }
}
