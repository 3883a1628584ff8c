using Microsoft.Extensions.Logging;

namespace Signet.Hosting.Logging;

/// <summary>Events 1300-1399.</summary>
internal static partial class Log
{
    [LoggerMessage(1300, LogLevel.Warning, "{Count} log lines were dropped because the output was too slow")]
    public static partial void LinesDropped(this ILogger log, long count);

    [LoggerMessage(1301, LogLevel.Information, "the log level is {Level} until {Until}")]
    public static partial void LevelChanged(this ILogger log, string level, string until);
}
