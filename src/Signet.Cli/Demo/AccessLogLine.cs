using System.Text.Json;
using System.Text.Json.Nodes;

namespace Signet.Cli.Demo;

/// <summary>One line of a proxy's JSON access log; a field that is not there reads as "-".</summary>
internal sealed record AccessLogLine(string Text, JsonNode Json)
{
    public string this[string path] => path.Split('.').Aggregate((JsonNode?)Json, (node, key) => node is JsonObject here ? here[key] : null)?.ToString() ?? "-";

    /// <summary>The lines of a log from a number on, oldest first.</summary>
    public static IReadOnlyList<AccessLogLine> Read(string file, int skip)
    {
        if (!File.Exists(file))
        {
            return [];
        }

        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return [.. reader.ReadToEnd()
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Skip(skip)
            .Select(TryParse)
            .OfType<AccessLogLine>()];
    }

    // The last line may still be being written.
    private static AccessLogLine? TryParse(string line)
    {
        try
        {
            return JsonNode.Parse(line) is { } json ? new AccessLogLine(line, json) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
