using Microsoft.Extensions.Logging;

namespace Signet.Cli;

/// <summary>What Main itself writes to a role's log: event ids 5000 to 5099.</summary>
internal static partial class Log
{
    [LoggerMessage(5000, LogLevel.Information, "the log section of the configuration is in force; whatever else changed counts from the next start on")]
    public static partial void OnlyLogReloaded(this ILogger log);
}
