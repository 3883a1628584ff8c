using Signet.Policy;

namespace Signet.UnitTests.Policy;

/// <summary>What a path looks like when policies see it, level by level, and what no level takes.</summary>
public sealed class PathNormalizationTests
{
    [Theory]
    [InlineData("/a/../b", "/a/../b", "/b", "/b", "/b")]
    [InlineData("/a/./b", "/a/./b", "/a/b", "/a/b", "/a/b")]
    [InlineData("/a/..", "/a/..", "/", "/", "/")]
    [InlineData("/a/.", "/a/.", "/a/", "/a/", "/a/")]
    [InlineData("/../../a", "/../../a", "/a", "/a", "/a")]
    [InlineData("/..a/b..", "/..a/b..", "/..a/b..", "/..a/b..", "/..a/b..")]
    [InlineData("/a//b", "/a//b", "/a//b", "/a/b", "/a/b")]
    [InlineData("//a///b//", "//a///b//", "//a///b//", "/a/b/", "/a/b/")]
    [InlineData("/a//../b", "/a//../b", "/a/b", "/a/b", "/a/b")]
    [InlineData("/%61dmin", "/%61dmin", "/admin", "/admin", "/admin")]
    [InlineData("/a/%2e%2E/b", "/a/%2e%2E/b", "/b", "/b", "/b")]
    [InlineData("/a%2fb", "/a%2fb", "/a%2fb", "/a%2fb", "/a/b")]
    [InlineData("/a%2Fb", "/a%2Fb", "/a%2Fb", "/a%2Fb", "/a/b")]
    [InlineData("/a%5Cb", "/a%5Cb", "/a%5Cb", "/a%5Cb", "/a/b")]
    [InlineData("/a/b%2f..%2fc", "/a/b%2f..%2fc", "/a/b%2f..%2fc", "/a/b%2f..%2fc", "/a/c")]
    [InlineData("/a%2f%2fb", "/a%2f%2fb", "/a%2f%2fb", "/a%2f%2fb", "/a/b")]
    [InlineData("/a\\b", "/a\\b", "/a/b", "/a/b", "/a/b")]
    [InlineData("/a\\..\\b", "/a\\..\\b", "/b", "/b", "/b")]
    [InlineData("/%252e%252e/a", "/%252e%252e/a", "/%252e%252e/a", "/%252e%252e/a", "/%252e%252e/a")]
    [InlineData("/a%252fb", "/a%252fb", "/a%252fb", "/a%252fb", "/a%252fb")]
    [InlineData("/%zz/%4", "/%zz/%4", "/%zz/%4", "/%zz/%4", "/%zz/%4")]
    [InlineData("/a?x=/../y", "/a", "/a", "/a", "/a")]
    [InlineData("/a/?", "/a/", "/a/", "/a/", "/a/")]
    [InlineData("*", "*", "*", "*", "*")]
    [InlineData("/a%20b", "/a%20b", "/a%20b", "/a%20b", "/a%20b")]
    public void A_path_is_normalised_as_its_level_says(string path, string none, string bases, string merged, string decoded)
    {
        foreach (var (level, expected) in new[]
        {
            (PathNormalization.None, none), (PathNormalization.Base, bases), (PathNormalization.MergeSlashes, merged), (PathNormalization.DecodeAndMergeSlashes, decoded),
        })
        {
            var mesh = MeshSettings.Default with { PathNormalization = level };
            var set = Ask.Set(Ask.Policy("ALLOW", "{to: [{operation: {paths: ['" + expected + "']}}]}"), mesh);
            var facts = Ask.Request("request: {method: GET}").Facts;
            facts.Path = path;
            if (expected == "*")
            {
                continue;
            }

            var decision = set.ForWorkload(Ask.Workload("production")).Decide(facts);
            Assert.True(decision.Allowed, $"{level}: {path} should be {expected}");
        }
    }

    [Theory]
    [InlineData("/a%00")]
    [InlineData("/a\0b")]
    [InlineData("/a\nb")]
    [InlineData("/a#b")]
    [InlineData("a")]
    [InlineData("")]
    [InlineData("http://host/path")]
    public void A_malformed_path_is_denied_at_every_level_and_by_no_policy(string path)
    {
        foreach (var level in Enum.GetValues<PathNormalization>())
        {
            var facts = Ask.Request("request: {method: GET}").Facts;
            facts.Path = path;
            var decision = Ask.Set("", MeshSettings.Default with { PathNormalization = level }).ForWorkload(Ask.Workload("production")).Decide(facts);
            Assert.Equal((false, Stage.Request, null), (decision.Allowed, decision.Verdict.Stage, decision.Verdict.Policy));
        }
    }

    [Theory]
    [InlineData("get")]
    [InlineData("Get")]
    [InlineData("G ET")]
    public void A_method_that_is_no_upper_case_word_is_denied(string method)
    {
        var decision = Ask.Decide("", "request: {method: " + method + ", path: /}");
        Assert.Equal((false, Stage.Request), (decision.Allowed, decision.Verdict.Stage));
    }

    [Theory]
    [InlineData("\"x a\"")]
    [InlineData("\"x-a \"")]
    [InlineData("\"\"")]
    public void A_header_name_with_white_space_is_denied(string name)
    {
        var decision = Ask.Decide("", "request: {method: GET, path: /, headers: {" + name + ": b}}");
        Assert.Equal((false, Stage.Request), (decision.Allowed, decision.Verdict.Stage));
    }

    [Fact]
    public void A_deny_on_a_path_can_not_be_walked_around()
    {
        var set = Ask.Set(Ask.Policy("DENY", "{to: [{operation: {paths: [\"/admin*\"]}}]}"), MeshSettings.Default with { PathNormalization = PathNormalization.DecodeAndMergeSlashes });
        var policy = set.ForWorkload(Ask.Workload("production"));
        foreach (var path in new[] { "/admin", "//admin", "/x/../admin", "/%61dmin", "/x%2f..%2fadmin", "\\admin".Insert(0, "/"), "/./admin", "/x/%2e%2e/admin?y", "/%5cadmin" })
        {
            var facts = Ask.Request("request: {method: GET}").Facts;
            facts.Path = path;
            Assert.False(policy.Decide(facts).Allowed, path);
        }
    }

    [Fact]
    public void One_facts_object_serves_many_requests()
    {
        var policy = Ask.Set(Ask.Policy("ALLOW", "{to: [{operation: {paths: [/b]}}]}")).ForWorkload(Ask.Workload("production"));
        var facts = Ask.Request("request: {method: GET}").Facts;
        foreach (var (path, allowed) in new[] { ("/a/../b", true), ("/b", true), ("/a/../../../bb", false), ("/bb", false), ("/a/../b", true), ("/%62", true) })
        {
            facts.ResetRequest();
            (facts.Method, facts.Path) = ("GET", path);
            Assert.Equal(allowed, policy.Decide(facts).Allowed);
        }
    }
}
