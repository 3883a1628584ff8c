using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Admin;
using Signet.Hosting.Configuration;
using Signet.Hosting.Logging;
using Signet.Identity.Spiffe;

namespace Signet.Proxy.Admin;

/// <summary><c>/logging</c>: how much is logged, and a change that ends with the process at the latest.</summary>
internal static class LoggingPage
{
    private static readonly TimeSpan LongestTime = TimeSpan.FromDays(7);

    public static AdminAnswer Show(ILogLevels? levels) => levels is null ? NotHere : AdminAnswer.Json(200, Of(levels));

    public static AdminAnswer Change(ILogLevels? levels, JsonNode? body, TimeProvider time)
    {
        if (levels is null)
        {
            return NotHere;
        }

        if (body is not JsonObject wanted || wanted.FirstOrDefault(member => member.Key is not ("level" or "for")).Key is not null || !wanted.ContainsKey("level"))
        {
            return Refused("the body is not {\"level\": WORD, \"for\": DURATION}");
        }

        if (wanted["level"] is null)
        {
            levels.Change = null;
            return Show(levels);
        }

        var word = TextOf(wanted["level"]);
        if (LogConfig.Words.FirstOrDefault(known => known.Word == word) is not { Word: not null } level)
        {
            return Refused($"level \"{Printable.Of(word)}\" is not one of {string.Join(", ", LogConfig.Words.Select(known => known.Word))}");
        }

        var until = DateTimeOffset.MaxValue;
        if (wanted["for"] is { } text)
        {
            if (!DurationText.TryParse(TextOf(text), out var span, out var problem) || span <= TimeSpan.Zero || span > LongestTime)
            {
                return Refused(problem.Length > 0 ? problem : $"for is longer than nothing and at most {DurationText.Format(LongestTime)}");
            }

            until = time.GetUtcNow() + span;
        }

        levels.Change = new LevelChange(level.Level, until);
        return Show(levels);
    }

    private static AdminAnswer NotHere => AdminAnswer.Problem(501, "this proxy's log is not its own", "change the level where the log belongs to");

    private static AdminAnswer Refused(string problem) => AdminAnswer.Problem(400, problem, "for example {\"level\": \"debug\", \"for\": \"10m\"}; {\"level\": null} takes a change back");

    private static JsonObject Of(ILogLevels levels)
    {
        var change = levels.Change;
        return new JsonObject
        {
            ["level"] = Word(change?.Level ?? levels.Configured),
            ["configured"] = Word(levels.Configured),
            ["changed"] = change is not null,
            ["until"] = change is null || change.Until == DateTimeOffset.MaxValue ? null : AdminPages.Time(change.Until),
        };
    }

    private static string TextOf(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";

    private static string Word(LogLevel level) => LogConfig.Words.First(known => known.Level == level).Word;
}
