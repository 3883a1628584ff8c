using Microsoft.Extensions.Logging;

namespace Signet.Hosting.Daemons;

/// <summary>Events 1200-1299.</summary>
internal static partial class Log
{
    [LoggerMessage(1200, LogLevel.Information, "{Daemon} started")]
    public static partial void DaemonStarted(this ILogger log, string daemon);

    [LoggerMessage(1201, LogLevel.Critical, "{Daemon} ends: {Reason}")]
    public static partial void DaemonFailed(this ILogger log, string daemon, string reason, Exception e);

    [LoggerMessage(1202, LogLevel.Information, "{Daemon} drains and stops")]
    public static partial void DaemonStopping(this ILogger log, string daemon);

    [LoggerMessage(1203, LogLevel.Information, "{Daemon} stopped with exit code {ExitCode}")]
    public static partial void DaemonStopped(this ILogger log, string daemon, int exitCode);

    [LoggerMessage(1210, LogLevel.Debug, "{Part} started")]
    public static partial void PartStarted(this ILogger log, string part);

    [LoggerMessage(1211, LogLevel.Debug, "{Part} stopped")]
    public static partial void PartStopped(this ILogger log, string part);

    [LoggerMessage(1212, LogLevel.Warning, "{Part} did not drain within {Timeout} and was closed")]
    public static partial void PartDropped(this ILogger log, string part, string timeout);

    [LoggerMessage(1213, LogLevel.Error, "{Part} failed while it stopped")]
    public static partial void PartFailedToStop(this ILogger log, string part, Exception e);
}
