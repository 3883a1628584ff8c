using System.CommandLine;
using System.Text;
using System.Text.Json.Nodes;
using Signet.Hosting;

namespace Signet.Cli.Output;

/// <summary>What <c>--output</c> says.</summary>
public enum OutputFormat
{
    /// <summary>For people: columns, colour on a terminal.</summary>
    Text,

    /// <summary>For scripts: stable.</summary>
    Json,
}

/// <summary>
/// Where a command writes its answer, and how: built from the parsed command line, so that a test gets what a person would.
/// </summary>
/// <param name="Out">Standard output.</param>
/// <param name="Error">Standard error.</param>
/// <param name="Format">What <c>--output</c> says.</param>
/// <param name="Ink">Colour, if <paramref name="Out"/> takes any.</param>
public sealed record Answer(TextWriter Out, TextWriter Error, OutputFormat Format, Ink Ink)
{
    /// <summary>The option <c>--output text|json</c>; each command adds one of its own.</summary>
    public static Option<OutputFormat> Option()
    {
        var option = new Option<OutputFormat>("--output", "-o")
        {
            Description = "How to answer: text for people, json for scripts",
            HelpName = "text|json",
            CustomParser = result => result.Tokens[0].Value switch
            {
                "text" => OutputFormat.Text,
                "json" => OutputFormat.Json,
                var other => Refused(result, other),
            },
        };
        option.CompletionSources.Add("text", "json");
        return option;

        static OutputFormat Refused(System.CommandLine.Parsing.ArgumentResult result, string other)
        {
            result.AddError($"--output \"{OneLine.Of(other)}\" is not known; write text or json");
            return OutputFormat.Text;
        }
    }

    /// <summary>Where this run of a command answers.</summary>
    public static Answer To(ParseResult parsed, Option<OutputFormat> option)
    {
        var output = parsed.InvocationConfiguration.Output;
        var isTerminal = ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected;
        return new Answer(output, parsed.InvocationConfiguration.Error, parsed.GetValue(option), Ink.For(isTerminal, Environment.GetEnvironmentVariable));
    }

    /// <summary>Answers in the way that was asked for.</summary>
    /// <param name="json">Builds the answer for scripts: camelCase names, RFC 3339 times, lower-case hex.</param>
    /// <param name="text">Writes the answer for people.</param>
    public void Write(Func<JsonNode> json, Action<Answer> text)
    {
        if (Format == OutputFormat.Json)
        {
            Out.WriteLine(Encoding.UTF8.GetString(JsonText.Indented(json()).Span));
        }
        else
        {
            text(this);
        }
    }

    /// <summary>Answers with a list: <c>{"&lt;noun&gt;s": [...], "nextPage": null}</c>, or a table.</summary>
    /// <param name="noun">The plural, as <c>entries</c>.</param>
    /// <param name="items">One object each.</param>
    /// <param name="table">The same for people; when it has no row, <c>no entries</c> is said.</param>
    /// <param name="nextPage">Where the list goes on, or null at its end.</param>
    public void WriteList(string noun, IEnumerable<JsonNode> items, Table table, string? nextPage = null) => Write(
        () => new JsonObject { [noun] = new JsonArray([.. items]), ["nextPage"] = nextPage },
        _ =>
        {
            if (table.IsEmpty)
            {
                Out.WriteLine($"no {noun}");
            }
            else
            {
                table.Write(Out, Ink);
            }
        });
}
