using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Signet.Hosting.Configuration;

namespace Signet.UnitTests.Hosting.Configuration;

public sealed class ConfigDocumentTests
{
    private static readonly Dictionary<string, string> Nothing = [];

    [Theory]
    [InlineData("")]
    [InlineData("---\n")]
    [InlineData("# only a comment\n")]
    [InlineData("\uFEFF")]
    [InlineData("~")]
    [InlineData("{}")]
    public void Takes_an_empty_document_for_an_empty_configuration(string text) =>
        Assert.Equal(5, ConfigDocument.Read("f", text, Nothing, root => root.Integer("a", 5, 0, 9)));

    [Theory]
    [InlineData("a: &x 1\nb: *x\n", "f:1: anchors and aliases")]
    [InlineData("a: 1\nb: *x\n", "f:2: anchors and aliases")]
    [InlineData("a: !!str 1\n", "f:1: tags (!) are not allowed")]
    [InlineData("a: 1\n---\nb: 2\n", "f:2: a second document begins here")]
    [InlineData("a: 1\n\nb: 2\na: 3\n", "f:4: key \"a\" is already on line 1; keep one of them")]
    [InlineData("a:\n\t- 1\n", "f:1: this is not YAML")]
    [InlineData("a: 'x\n", "f:1: this is not YAML")]
    [InlineData("{\"a\": 1", "f:2: this is not YAML")]
    [InlineData("a: 1\n\0b: 2\n", "f:2: the control character \\u0000 stands here")]
    [InlineData("- \0", "f:1: the control character")]
    [InlineData("- a\n- b\n", "f:1: the file must hold keys and values")]
    [InlineData("example.org", "f:1: the file must hold keys and values")]
    [InlineData("[1, 2]: a\n", "f:1: a key must be a plain word")]
    [InlineData("<<: {a: 1}\n", "f:1: unknown key \"<<\"")]
    public void Says_what_is_wrong_and_where(string text, string problem)
    {
        var e = Assert.Throws<ConfigException>(() => ConfigDocument.Read("f", text, Nothing, root => (root.Text("a"), root.Text("b"))));

        Assert.StartsWith(problem, Assert.Single(e.Problems).ToString());
    }

    [Fact]
    public void Reports_only_the_broken_syntax_when_a_document_cannot_be_read() =>
        Assert.Single(Assert.Throws<ConfigException>(() => ConfigDocument.Read("f", "a: 'x", Nothing, root => root.RequiredText("b"))).Problems);

    [Fact]
    public void Refuses_a_document_that_is_larger_than_one_ever_is()
    {
        Assert.Equal("", ProblemOf(new string('#', ConfigDocument.MaxBytes)));
        Assert.Contains("larger than 1024 KiB", ProblemOf(new string('#', ConfigDocument.MaxBytes + 1)));
        Assert.Contains("larger than 1024 KiB", ProblemOf("#" + new string('é', ConfigDocument.MaxBytes / 2)));
    }

    [Theory]
    [InlineData("[", "]")]
    [InlineData("{a: ", "}")]
    public void Refuses_what_is_nested_deeper_than_one_ever_is(string open, string close)
    {
        Assert.Equal("", ProblemOf(Nested(ConfigDocument.MaxDepth - 1)));
        Assert.Contains("nested deeper than 32 levels", ProblemOf(Nested(ConfigDocument.MaxDepth)));
        Assert.Contains("nested deeper than 32 levels", ProblemOf(Nested(50_000)));

        string Nested(int depth) => "a: " + string.Concat(Enumerable.Repeat(open, depth - 1)) + "1" + string.Concat(Enumerable.Repeat(close, depth - 1));
    }

    [Fact]
    public void Refuses_more_values_than_one_ever_has() =>
        Assert.Contains("more than 100000 keys and values", ProblemOf("a: [" + string.Concat(Enumerable.Repeat("1,", ConfigDocument.MaxNodes)) + "]"));

    [Fact]
    public void Refuses_to_expand_without_end()
    {
        var environment = new Dictionary<string, string> { ["V"] = new string('x', 100_000) };
        var (_, problems) = ConfigDocument.Parse("f", "a: " + string.Concat(Enumerable.Repeat("${V}", 100_000)), environment);
        Assert.Contains("once environment variables are expanded", Assert.Single(problems.Found).ToString());

        (_, problems) = ConfigDocument.Parse("f", "a: [" + string.Concat(Enumerable.Repeat("'${V}',", 50)) + "]", environment);
        Assert.Contains("once environment variables are expanded", problems.Found[0].ToString());
    }

    [Fact]
    public void Keeps_a_screenful_of_problems_and_no_more()
    {
        var text = string.Concat(Enumerable.Range(0, 20_000).Select(i => $"key{i}: 1\n"));

        Assert.Equal(ConfigProblems.MaxKept, Assert.Throws<ConfigException>(() => ConfigDocument.Read("f", text, Nothing, root => root.Text("key"))).Problems.Count);
    }

    [Fact]
    public void Shows_no_control_characters_of_the_file()
    {
        var problem = ProblemOf("\"a\\e[31m\\n\": 1");

        Assert.DoesNotContain(problem, char.IsControl);
    }

    [Fact]
    public void Never_fails_in_another_way_than_by_reporting_problems()
    {
        // Words that mean something to YAML come up far more often than chance would have it.
        string[] words =
            ["a", "b", ":", ": ", "\n", "\n  ", "- ", "-", "?", "? ", "[", "]", "{", "}", ",", "'", "\"", "\\", "|", ">", "|9-\n", "&a", "*a", "!t", "!!str ", "%YAML 1.1\n", "%TAG ! x\n",
                "---\n", "...\n", "#", "~", "${", "}", "$", "\t", "\r", "\u0085", "\u2028", "\0", "\uFEFF", "\ud800", "é", "😀", "\\x4", "\\u12", "\\U00110000", "1h", "file:", "env:", "<<"];
        var texts = Gen.Elements(words).ArrayOf().Select(string.Concat).ToArbitrary();

        Prop.ForAll(texts, text => OnlyReports(text)).Check(Config.QuickThrowOnFailure.WithMaxTest(5_000).WithEndSize(60));
        Prop.ForAll<string>(text => OnlyReports(text ?? "")).Check(Config.QuickThrowOnFailure.WithMaxTest(1_000));
    }

    [Fact]
    public void Survives_a_good_document_with_a_few_characters_changed()
    {
        const string good = "trustDomain: example.org\nca: {ttl: 24h, subject: {country: US}}\nlist:\n- {a: \"x\", b: 'y'}\n- |\n  text\n- >-\n  more\n? k\n: v\n";
        var changes = Gen.Zip(Gen.Choose(0, good.Length - 1), Gen.Choose(0, 127).Select(c => (char)c)).ArrayOf().ToArbitrary();

        Prop.ForAll(changes, edits =>
        {
            var text = new StringBuilder(good);
            foreach (var (at, c) in edits)
            {
                text[at] = c;
            }

            OnlyReports(text.ToString());
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2_000).WithEndSize(8));
    }

    private static void OnlyReports(string text)
    {
        try
        {
            ConfigDocument.Read("f", text, Nothing, root => (
                root.Text("a"), root.Texts("b"), root.Sections("list"), root.Map("ca"), root.Duration("ttl"), root.Size("s"), root.EndPoint("e"), root.Secret("k"), root.UnixPath("u")));
        }
        catch (ConfigException e)
        {
            Assert.NotEmpty(e.Problems);
            Assert.All(e.Problems, problem => Assert.DoesNotContain('\n', problem.ToString()));
        }
    }

    private static string ProblemOf(string text)
    {
        var (root, problems) = ConfigDocument.Parse("f", text, Nothing);
        root.Shape("a");
        return string.Join('\n', problems.Found);
    }
}
