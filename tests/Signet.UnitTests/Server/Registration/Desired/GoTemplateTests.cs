using FsCheck;
using FsCheck.Fluent;
using Signet.Server.Registration.Desired;

namespace Signet.UnitTests.Server.Registration.Desired;

public sealed class GoTemplateTests
{
    private static readonly TemplateData Data = new(new Dictionary<string, object>
    {
        ["A"] = "a",
        ["Labels"] = new TemplateData(new Dictionary<string, object> { ["app.kubernetes.io/name"] = "web", ["tier"] = "front" }),
    });

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("", "")]
    [InlineData("{{ .A }}", "a")]
    [InlineData("{{.A}}-{{.Labels.tier}}", "a-front")]
    [InlineData("x {{- .A -}} y", "xay")]
    [InlineData("{{ index .Labels \"app.kubernetes.io/name\" }}", "web")]
    [InlineData("}} { {{ .A }}", "}} { a")]
    public void A_template_says_what_it_is_given(string text, string expected)
    {
        Assert.True(GoTemplate.TryParse(text, out var template, out var problem), problem);
        Assert.True(template.TryRender(Data, out var rendered, out problem), problem);
        Assert.Equal(expected, rendered);
    }

    [Theory]
    [InlineData("{{ .B }}", "there is no .B")]
    [InlineData("{{ .Labels.app }}", "there is no .Labels.app")]
    [InlineData("{{ .Labels }}", ".Labels is not a text")]
    [InlineData("{{ .A.B }}", "there is no .A.B")]
    public void What_is_not_there_is_an_error_and_never_nothing(string text, string expected)
    {
        Assert.True(GoTemplate.TryParse(text, out var template, out _));
        Assert.False(template.TryRender(Data, out _, out var problem));
        Assert.Equal(expected, problem);
    }

    [Theory]
    [InlineData("{{ .A")]
    [InlineData("{{ }}")]
    [InlineData("{{ A }}")]
    [InlineData("{{ .A | upper }}")]
    [InlineData("{{ if .A }}")]
    [InlineData("{{ . }}")]
    [InlineData("{{ .A..B }}")]
    [InlineData("{{ index .A }}")]
    [InlineData("{{ index .A \"x\\\"y\" }}")]
    [InlineData("{{ printf \"%s\" .A }}")]
    public void What_is_not_understood_is_refused(string text)
    {
        Assert.False(GoTemplate.TryParse(text, out _, out var problem));
        Assert.NotEmpty(problem);
    }

    [Fact]
    public void No_text_whatever_breaks_the_parser() =>
        Prop.ForAll(
            Gen.Elements("{{", "}}", " ", "-", ".", "A", "index", "\"", "\\", "é", "\n").ArrayOf().ToArbitrary(),
            pieces => GoTemplate.TryParse(string.Concat(pieces), out var template, out var problem) ? template.TryRender(Data, out _, out _) || true : problem.Length > 0).QuickCheckThrowOnFailure();
}
