using System.Reflection;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Signet.UnitTests.Hosting;

/// <summary>
/// Holds docs/reference/events.md to the code. To write its list anew, run these tests with <c>SIGNET_UPDATE_DOCS=1</c> and commit what changed.
/// </summary>
public sealed class EventsDocumentTests
{
    private const string Begin = "<!-- events: begin -->\n", End = "<!-- events: end -->\n";

    private static readonly (string Project, int First, int Last)[] Ranges =
        [("Signet.Hosting", 1000, 1999), ("Signet.Server", 2000, 2999), ("Signet.Agent", 3000, 3999), ("Signet.Proxy", 4000, 4999), ("signet", 5000, 5099), ("Signet.AspNetCore", 6000, 6099), ("Signet.Helper", 6100, 6199)];

    private static readonly string[] Silent = ["Signet.Identity", "Signet.Rpc", "Signet.Policy", "Signet.Authority", "Signet.Client"];

    [Fact]
    public void Lists_every_event_as_the_code_has_it()
    {
        var path = Path.Combine(Repository(), "docs/reference/events.md");
        var document = File.ReadAllText(path);
        var begin = document.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length;
        var end = document.IndexOf(End, StringComparison.Ordinal);
        var expected = document[..begin] + Generated() + document[end..];
        if (Environment.GetEnvironmentVariable("SIGNET_UPDATE_DOCS") == "1")
        {
            File.WriteAllText(path, expected);
            return;
        }

        Assert.True(expected == document, "docs/reference/events.md is behind the code; run this test with SIGNET_UPDATE_DOCS=1 and commit the file");
    }

    [Fact]
    public void Gives_no_number_twice() =>
        Assert.Empty(Ranges.SelectMany(range => Events(range.Project)).GroupBy(e => e.Id).Where(same => same.Count() > 1).Select(same => $"{same.Key}: {string.Join(", ", same)}"));

    [Fact]
    public void Keeps_each_project_to_its_range() =>
        Assert.Empty(Ranges.SelectMany(range => Events(range.Project).Where(e => e.Id < range.First || e.Id > range.Last)));

    [Fact]
    public void Leaves_logging_to_the_daemons() => Assert.Empty(Silent.SelectMany(Events));

    private static string Generated()
    {
        var text = new StringBuilder();
        foreach (var (project, first, last) in Ranges)
        {
            text.Append($"\n## {(project == "signet" ? "Cli" : project[7..])} ({first}–{last})\n\n| id | level | event | area | message |\n|---|---|---|---|---|\n");
            foreach (var e in Events(project).OrderBy(e => e.Id))
            {
                text.Append($"| {e.Id} | {Level(e.Level)} | {e.Name} | {e.Area} | {e.Message.Replace("|", "\\|", StringComparison.Ordinal)} |\n");
            }
        }

        return text.Append('\n').ToString();
    }

    private static IEnumerable<Event> Events(string assembly) =>
        from type in Assembly.Load(assembly).GetTypes()
        from method in type.GetMethods(BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
        let message = method.GetCustomAttribute<LoggerMessageAttribute>()
        where message is not null
        select new Event(message.EventId, message.Level, message.EventName ?? method.Name, (type.Namespace ?? "")[7..].ToLowerInvariant(), message.Message);

    private static string Level(LogLevel level) => level switch
    {
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        LogLevel.Critical => "fatal",
        _ => level.ToString().ToLowerInvariant(),
    };

    private static string Repository()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Signet.slnx")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("the tests do not lie in the repository");
        }

        return folder;
    }

    private sealed record Event(int Id, LogLevel Level, string Name, string Area, string Message);
}
