using Microsoft.Extensions.Logging;

namespace Signet.Hosting.Configuration;

/// <summary>Events 1000-1049.</summary>
internal static partial class Log
{
    [LoggerMessage(1000, LogLevel.Information, "{File} was read again and is in force")]
    public static partial void ConfigReloaded(this ILogger log, string file);

    [LoggerMessage(1001, LogLevel.Error, "{Problem} (the configuration read before stays in force)")]
    public static partial void ConfigNotReloaded(this ILogger log, string problem);
}
