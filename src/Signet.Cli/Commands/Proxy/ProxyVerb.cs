using System.CommandLine;
using System.Text.Json.Nodes;
using Signet.Cli.Clients;
using Signet.Cli.Output;

namespace Signet.Cli.Commands.Proxy;

/// <summary>One run of a command that asks a proxy.</summary>
/// <param name="Parsed">The command line.</param>
/// <param name="Admin">The proxy.</param>
/// <param name="Answer">Where to answer.</param>
internal sealed record ProxyQuestion(ParseResult Parsed, ProxyAdmin Admin, Answer Answer);

/// <summary>What the commands <c>signet proxy …</c> that ask a running proxy have in common.</summary>
internal static class ProxyVerb
{
    /// <summary>A command with <c>--admin</c> and <c>--output</c>.</summary>
    public static Command Create(string name, string description, Func<ProxyQuestion, CancellationToken, Task<int>> run, params IEnumerable<Option> options)
    {
        var admin = new Option<string>("--admin") { Description = "The proxy's admin endpoint", HelpName = "HOST:PORT", DefaultValueFactory = _ => ProxyAdmin.DefaultEndPoint };
        var output = Answer.Option();
        var command = new Command(name, $"{description}. Example: signet proxy {name}") { admin, output };
        foreach (var option in options)
        {
            command.Options.Add(option);
        }

        CliContext.Run(command, async (parsed, cancellationToken) =>
        {
            using var client = new ProxyAdmin(parsed.GetValue(admin)!);
            return await run(new ProxyQuestion(parsed, client, Answer.To(parsed, output)), cancellationToken).ConfigureAwait(false);
        });
        return command;
    }

    /// <summary>A command that shows a page: as it is for scripts, in its own way for people.</summary>
    public static Command Show(string name, string description, Action<JsonNode, Answer> show) => Create(name, description, async (question, cancellationToken) =>
    {
        var page = await question.Admin.GetAsync($"/{name}", cancellationToken).ConfigureAwait(false);
        question.Answer.Write(() => page, answer => show(page, answer));
        return ExitCode.Done;
    });

    /// <summary>An option that goes into the query under its own name.</summary>
    public static Option<string?> Filter(string name, string description, string help, params string[] words)
    {
        var option = new Option<string?>(name) { Description = description, HelpName = words.Length > 0 ? string.Join('|', words) : help };
        option.CompletionSources.Add(words);
        return option;
    }

    /// <summary>The options that were given, as a query.</summary>
    public static string Query(ParseResult parsed, IEnumerable<Option<string?>> options)
    {
        var pairs = options.Select(option => (Name: option.Name.TrimStart('-'), Value: parsed.GetValue(option))).Where(pair => pair.Value is not null);
        var query = string.Join('&', pairs.Select(pair => $"{pair.Name}={Uri.EscapeDataString(pair.Value!)}"));
        return query.Length > 0 ? "?" + query : "";
    }

    public static IEnumerable<JsonNode> Items(JsonNode? list) => (list as JsonArray)?.OfType<JsonNode>() ?? [];

    public static string Text(JsonNode? node, string key) => node?[key]?.ToString() is { Length: > 0 } text ? text : "-";

    public static bool IsTrue(JsonNode? node, string key) => node?[key]?.ToString() is "true";

    public static long Number(JsonNode? node, string key) => node?[key] is JsonValue value && value.TryGetValue<long>(out var number) ? number : 0;

    /// <summary>Bytes as people say them.</summary>
    public static string Size(long bytes)
    {
        (long Unit, string Word)[] units = [(1L << 30, "GiB"), (1L << 20, "MiB"), (1L << 10, "KiB")];
        var (unit, word) = Array.Find(units, one => bytes >= one.Unit);
        return unit == 0 ? $"{bytes}B" : string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{(double)bytes / unit:0.#}{word}");
    }

    /// <summary>A SPIFFE ID without the scheme that all have.</summary>
    public static string Principal(string id) => id.StartsWith("spiffe://", StringComparison.Ordinal) ? id["spiffe://".Length..] : id;
}
