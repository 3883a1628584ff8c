using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Signet.Policy;

namespace Signet.Cli.Commands.Policy;

/// <summary>How the policy commands answer: columns for people, JSON for scripts, <c>error:</c> and <c>hint:</c> for what went wrong.</summary>
internal static class PolicyOutput
{
    private static readonly JsonWriterOptions JsonOptions = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Runs a command's body; what can't be read ends it with exit code 1.</summary>
    public static int Run(ParseResult parsed, Func<TextWriter, int> body)
    {
        try
        {
            return body(parsed.InvocationConfiguration.Output);
        }
        catch (InputException bad)
        {
            WriteProblems(parsed, bad.Problems);
            return 1;
        }
    }

    /// <summary>Writes what is wrong to the error stream: one <c>error:</c> per problem, and its hint.</summary>
    public static void WriteProblems(ParseResult parsed, IEnumerable<PolicyProblem> problems)
    {
        var error = parsed.InvocationConfiguration.Error;
        foreach (var problem in problems.Where(problem => problem.Severity == PolicySeverity.Error))
        {
            error.WriteLine($"error: {(problem.File.Length == 0 ? problem.Message : problem.ToString())}");
            if (problem.Hint is not null)
            {
                error.WriteLine($"hint: {problem.Hint}");
            }
        }
    }

    public static void WriteJson(TextWriter output, Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, JsonOptions))
        {
            write(json);
        }

        output.WriteLine(Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length));
    }

    /// <summary>Writes aligned columns; the last one is not padded.</summary>
    public static void WriteColumns(TextWriter output, IReadOnlyList<string> head, IReadOnlyList<IReadOnlyList<string>> rows)
    {
        var widths = head.Select((title, i) => rows.Select(row => row[i].Length).Append(title.Length).Max()).ToList();
        foreach (var row in rows.Prepend(head))
        {
            output.WriteLine(string.Join("  ", row.Select((cell, i) => i == row.Count - 1 ? cell : cell.PadRight(widths[i]))).TrimEnd());
        }
    }
}
