using FsCheck;
using FsCheck.Fluent;
using Signet.Hosting.Configuration;

namespace Signet.UnitTests.Hosting.Configuration;

public sealed class HclReaderTests
{
    private static readonly Dictionary<string, string> Environment = new() { ["NAME"] = "value" };

    [Fact]
    public void Reads_every_form_that_a_file_of_SPIREs_may_have()
    {
        var root = Parse(
            """
            # comment
            // comment
            /* comment
               of two lines */
            server {
              bind_port = 8081 trust_domain = "example.org"
              flag = true, hex = 0x1F, negative = -4, fraction = 1.5
              escapes = "a\"b\\c\n\t\u00e9\x41"
              list = ["a", "b",]
              ca_subject = { country = ["US"], common_name = "" }
              text = <<EOF
            first
              second
            EOF
              indented = <<-END
                  one
                    two
                  END
            }
            plugins {
              NodeAttestor "join_token" { plugin_data {} }
              NodeAttestor "k8s_psat" { plugin_data { clusters = { "a-1" = { service = "x" } } } }
              "Quoted" "label" { }
            }
            """);
        var server = root.Section("server");
        Assert.Equal(8081, server.Integer("bind_port"));
        Assert.Equal("example.org", server.Text("trust_domain"));
        Assert.True(server.Flag("flag"));
        Assert.Equal((31, -4, "1.5"), (server.Integer("hex"), server.Integer("negative"), server.Text("fraction")));
        Assert.Equal("a\"b\\c\n\té" + "A", server.Text("escapes"));
        Assert.Equal(["a", "b"], server.Texts("list"));
        Assert.Equal(["US"], server.Section("ca_subject").Texts("country"));
        Assert.Equal("", server.Section("ca_subject").Text("common_name"));
        Assert.Equal("first\n  second\n", server.Text("text"));
        Assert.Equal("one\n  two\n", server.Text("indented"));
        Assert.Equal(["join_token", "k8s_psat"], root.Section("plugins").Section("NodeAttestor").Keys);
        Assert.Equal("x", root.Section("plugins").Section("NodeAttestor").Section("k8s_psat").Section("plugin_data").Section("clusters").Section("a-1").Text("service"));
        Assert.True(root.Section("plugins").Section("Quoted").Section("label").IsPresent);
    }

    [Fact]
    public void A_variable_is_expanded_in_braces_only_and_must_be_there()
    {
        var root = Parse("a = \"${NAME}\" b = \"$NAME\" c = \"$${NAME}\"");
        Assert.Equal(("value", "$NAME", "${NAME}"), (root.Text("a"), root.Text("b"), root.Text("c")));
        Assert.Contains("MISSING", Assert.Single(Problems("a = \"${MISSING}\"")).Message);
    }

    [Fact]
    public void Problems_have_their_line() =>
        Assert.Equal(9, Parsed("a = 1\n/*\n*/\nb = <<X\n1\n2\nX\nserver {\n  port = \"x\"\n}\n", section => section.Section("server").Integer("port")).Line);

    [Theory]
    [InlineData("a = 1\na = 2", 2, "already on line 1")]
    [InlineData("a = 1\na { }", 2, "already on line 1")]
    [InlineData("a { }\na = 1", 2, "already on line 1")]
    [InlineData("a = \"x", 1, "without its second double quote")]
    [InlineData("a = \"x\ny\"", 1, "without its second double quote")]
    [InlineData("a = \"\\q\"", 1, "is not an escape")]
    [InlineData("a = \"\\uD800\"", 1, "names no character")]
    [InlineData("a = \"\\u00\"", 1, "names no character")]
    [InlineData("a = yes", 1, "put a text into double quotes")]
    [InlineData("a = 1x", 1, "put a text into double quotes")]
    [InlineData("a =", 1, "the file ends where a value was expected")]
    [InlineData("a", 1, "the file ends where")]
    [InlineData("a {", 1, "the file ends where a key was expected")]
    [InlineData("}", 1, "stands where a key was expected")]
    [InlineData("a = [1 2]", 1, "stands where \",\" or \"]\" was expected")]
    [InlineData("a = <<X\n1\n", 1, "does not end")]
    [InlineData("a = <<\n", 1, "begins with << and a word")]
    [InlineData("a = 1\n/* b = 2", 2, "a comment begins here and does not end")]
    [InlineData("a = 1\0b = 2", 1, "stands where a key was expected")]
    [InlineData("a = \"\u0001\"", 1, "control character")]
    public void A_mistake_is_named_with_its_line(string text, int line, string expected)
    {
        var problem = Problems(text)[0];
        Assert.Equal(line, problem.Line);
        Assert.Contains(expected, problem.Message);
    }

    [Fact]
    public void Depth_values_and_length_are_bounded()
    {
        Assert.Contains("nested deeper", Assert.Single(Problems(string.Concat(Enumerable.Repeat("a {", 100_000)))).Message);
        Assert.Contains("nested deeper", Assert.Single(Problems("a " + string.Concat(Enumerable.Repeat("\"l\" ", 100_000)) + "{}")).Message);
        Assert.Contains("nested deeper", Assert.Single(Problems("a = " + new string('[', 100_000))).Message);
        Assert.Contains("keys and values", Assert.Single(Problems("a = [" + string.Concat(Enumerable.Repeat("1,", 200_000)) + "]")).Message);
        Assert.Contains("is this the right file", Assert.Single(Problems("a = \"" + new string('x', 2_000_000) + "\"")).Message);
    }

    [Fact]
    public void Whatever_the_text_reading_it_never_throws()
    {
        var pieces = Gen.Elements("a", "\"", "{", "}", "[", "]", "=", ",", "<<", "-", "EOF", "\n", " ", "#", "//", "/*", "*/", "\\", "u", "0x", "1", ".", "$", "${", "true", "\0", "\u0001", "é", "😀");
        var texts = from count in Gen.Choose(0, 40) from parts in Gen.ArrayOf(pieces, count) select string.Concat(parts);
        Prop.ForAll(texts.ToArbitrary(), text =>
        {
            ConfigDocument.Parse("x.conf", text, Environment);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void JSON_in_such_a_file_is_read_as_JSON() =>
        Assert.Equal("example.org", Parse("""{"server": {"trust_domain": "example.org"}}""").Section("server").Text("trust_domain"));

    private static ConfigSection Parse(string text)
    {
        var (root, problems) = ConfigDocument.Parse("server.conf", text, Environment);
        Assert.Empty(problems.Found);
        return root;
    }

    private static IReadOnlyList<ConfigProblem> Problems(string text) => ConfigDocument.Parse("server.conf", text, Environment).Problems.Found;

    private static ConfigProblem Parsed(string text, Action<ConfigSection> read)
    {
        var (root, problems) = ConfigDocument.Parse("server.conf", text, Environment);
        read(root);
        return Assert.Single(problems.Found);
    }
}
