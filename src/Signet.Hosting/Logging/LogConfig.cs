using Microsoft.Extensions.Logging;
using Signet.Hosting.Configuration;

namespace Signet.Hosting.Logging;

/// <summary>How log lines look.</summary>
public enum LogFormat
{
    /// <summary>One line for people.</summary>
    Text,

    /// <summary>One JSON object per line, for programs.</summary>
    Json,
}

/// <summary>The <c>log</c> section of every role's configuration.</summary>
/// <param name="Level">The lowest level that is written: <c>trace</c>, <c>debug</c>, <c>info</c>, <c>warn</c>, <c>error</c>.</param>
/// <param name="Format"><c>text</c> or <c>json</c>.</param>
public sealed record LogConfig(LogLevel Level = LogLevel.Information, LogFormat Format = LogFormat.Text)
{
    /// <summary>The words for levels, from the most to the least that is written.</summary>
    public static IReadOnlyList<(string Word, LogLevel Level)> Words => Levels;

    private static readonly (string Word, LogLevel Level)[] Levels =
        [("trace", LogLevel.Trace), ("debug", LogLevel.Debug), ("info", LogLevel.Information), ("warn", LogLevel.Warning), ("error", LogLevel.Error)];

    public static LogConfig Read(ConfigSection log) =>
        new(log.Choice("level", LogLevel.Information, Levels), log.Choice("format", LogFormat.Text, ("text", LogFormat.Text), ("json", LogFormat.Json)));
}
