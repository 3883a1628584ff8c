using Microsoft.Extensions.Logging;

namespace Signet.Helper;

/// <summary>Events 6100-6199.</summary>
internal static partial class Log
{
    [LoggerMessage(6100, LogLevel.Information, "{Count} files are in force in {Folder}; identity {Identity} until {NotAfter:yyyy-MM-ddTHH:mm:ssZ}")]
    public static partial void FilesWritten(this ILogger log, int count, string folder, string identity, DateTimeOffset notAfter);

    [LoggerMessage(6101, LogLevel.Warning, "files in {Folder} are not renewed, those that were written stay: {Problem}")]
    public static partial void NotRenewed(this ILogger log, string folder, string problem);

    [LoggerMessage(6102, LogLevel.Information, "files in {Folder} can be renewed again")]
    public static partial void RenewedAgain(this ILogger log, string folder);

    [LoggerMessage(6110, LogLevel.Information, "told of the change: {Hook}")]
    public static partial void HookDone(this ILogger log, string hook);

    [LoggerMessage(6111, LogLevel.Error, "could not tell of the change, it will be tried again: {Problem}")]
    public static partial void HookFailed(this ILogger log, string problem);

    [LoggerMessage(6112, LogLevel.Information, "{Program}: {Line}")]
    public static partial void HookOutput(this ILogger log, string program, string line);
}
