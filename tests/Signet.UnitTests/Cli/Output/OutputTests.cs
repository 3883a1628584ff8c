using System.CommandLine;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Signet.Cli.Output;
using Signet.Hosting.Configuration;

namespace Signet.UnitTests.Cli.Output;

public sealed class OutputTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Fact]
    public void Aligns_columns_and_leaves_no_blanks_at_the_end()
    {
        var table = new Table("spiffe id", "state", "hint");
        table.Add("spiffe://example.org/web", new Cell("ok", Tone.Good), "");
        table.Add("é界", "expired", "x");

        Assert.Equal(
            """
            SPIFFE ID                 STATE    HINT
            spiffe://example.org/web  ok
            é界                       expired  x

            """,
            Written(table, Ink.None));
    }

    [Fact]
    public void Aligns_columns_also_in_colour()
    {
        var table = new Table("a", "b");
        table.Add(new Cell("ok", Tone.Good), "x");
        table.Add("longer", "y");

        Assert.Equal(
            "\e[1mA\e[0m       \e[1mB\e[0m\n\e[32mok\e[0m      x\nlonger  y\n",
            Written(table, Ink.For(isTerminal: true, _ => null)));
    }

    [Fact]
    public void Shows_a_cell_on_one_line_whatever_is_in_it() =>
        Prop.ForAll<string>(text =>
        {
            var table = new Table("a", "b");
            table.Add(text + "\n\e[2J", "x");
            var written = Written(table, Ink.None);
            Assert.Equal(2, written.Count(c => c == '\n'));
            Assert.DoesNotContain('\e', written);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Refuses_a_row_that_does_not_fit() => Assert.Throws<ArgumentException>(() => new Table("a", "b").Add("x"));

    [Theory]
    [InlineData(true, null, "xterm", true)]
    [InlineData(true, "", "xterm", true)]
    [InlineData(true, "1", "xterm", false)]
    [InlineData(true, "0", "xterm", false)]
    [InlineData(true, null, "dumb", false)]
    [InlineData(false, null, "xterm", false)]
    public void Colours_only_for_a_terminal_whose_user_wants_it(bool isTerminal, string? noColor, string term, bool coloured)
    {
        var ink = Ink.For(isTerminal, name => name == "NO_COLOR" ? noColor : name == "TERM" ? term : null);

        Assert.Equal(coloured ? "\e[31mx\e[0m" : "x", ink.Of("x", Tone.Bad));
        Assert.Equal("x", ink.Of("x", Tone.Plain));
    }

    [Theory]
    [InlineData("--output json", "{\n  \"entries\": [\n    {\n      \"id\": \"a+b\"\n    }\n  ],\n  \"nextPage\": null\n}\n")]
    [InlineData("-o json", "{\n  \"entries\": [\n    {\n      \"id\": \"a+b\"\n    }\n  ],\n  \"nextPage\": null\n}\n")]
    [InlineData("--output text", "ID\na+b\n")]
    [InlineData("", "ID\na+b\n")]
    public void Answers_in_the_way_that_was_asked_for(string arguments, string answer) => Assert.Equal((0, answer, ""), Run(arguments));

    [Fact]
    public void Says_that_a_list_is_empty() => Assert.Equal((0, "no entries\n", ""), Run("", empty: true));

    [Fact]
    public void Refuses_another_way_to_answer()
    {
        var (exitCode, _, error) = Run("--output xml");

        Assert.NotEqual(0, exitCode);
        Assert.Contains("--output \"xml\" is not known; write text or json", error);
    }

    [Fact]
    public async Task Reports_an_error_and_its_hint()
    {
        var error = new StringWriter();

        Assert.Equal(1, await Failures.ReportAsync(error, () => throw new CliError("server\n\e[31m is not reachable", "start it")));
        Assert.Equal("error: server\\n\\u001b[31m is not reachable\nhint: start it\n", error.ToString());
    }

    [Fact]
    public async Task Reports_every_problem_of_a_configuration()
    {
        var error = new StringWriter();

        Assert.Equal(1, await Failures.ReportAsync(error, () => throw new ConfigException([new("s.yaml", 1, "a", "x"), new("s.yaml", 2, "", "y")])));
        Assert.Equal("error: s.yaml:1: a: x\nerror: s.yaml:2: y\n", error.ToString());
    }

    [Fact]
    public async Task Reports_the_unexpected_without_a_stack_trace()
    {
        var error = new StringWriter();

        Assert.Equal(1, await Failures.ReportAsync(error, () => throw new InvalidOperationException("what")));
        Assert.StartsWith("error: InvalidOperationException: what\nhint: ", error.ToString());
        Assert.DoesNotContain(" at ", error.ToString());
        Assert.Equal(7, await Failures.ReportAsync(error, () => Task.FromResult(7)));
    }

    [Theory]
    [InlineData(86_399, "in 23h59m")]
    [InlineData(0.4, "now")]
    [InlineData(-0.4, "now")]
    [InlineData(-330, "5m30s ago")]
    public void Says_how_far_away_a_time_is(double seconds, string text) => Assert.Equal(text, HumanTime.Relative(Now.AddSeconds(seconds), Now));

    [Fact]
    public void Writes_times_in_one_way()
    {
        Assert.Equal("2026-01-02T03:04:05Z", HumanTime.Stamp(Now.ToOffset(TimeSpan.FromHours(5)).AddMilliseconds(900)));
        Assert.Equal("2026-01-02T04:04:05Z (in 1h)", HumanTime.Both(Now.AddHours(1), Now));
    }

    private static string Written(Table table, Ink ink)
    {
        var output = new StringWriter();
        table.Write(output, ink);
        return output.ToString();
    }

    private static (int, string, string) Run(string arguments, bool empty = false)
    {
        var option = Answer.Option();
        var command = new RootCommand { option };
        command.SetAction(parsed =>
        {
            var table = new Table("id");
            if (!empty)
            {
                table.Add("a+b");
            }

            Answer.To(parsed, option).WriteList("entries", empty ? [] : [new JsonObject { ["id"] = "a+b" }], table);
        });
        var (output, error) = (new StringWriter(), new StringWriter());
        var exitCode = command.Parse(arguments).Invoke(new InvocationConfiguration { Output = output, Error = error });
        return (exitCode, output.ToString(), error.ToString());
    }
}
