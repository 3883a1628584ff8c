using Microsoft.Extensions.Logging;

namespace Signet.Hosting.Files;

/// <summary>Events 1050-1099.</summary>
internal static partial class Log
{
    [LoggerMessage(1050, LogLevel.Error, "{Problem}; what was read before stays in force")]
    public static partial void FilesUnreadable(this ILogger log, string problem);

    [LoggerMessage(1051, LogLevel.Information, "files can be read again; before, {Problem}")]
    public static partial void FilesReadableAgain(this ILogger log, string problem);

    [LoggerMessage(1052, LogLevel.Error, "a changed file was read but could not be used")]
    public static partial void ChangeNotTaken(this ILogger log, Exception e);

    [LoggerMessage(1053, LogLevel.Debug, "changes in {Folder} are not reported by the kernel and looked for every few seconds: {Reason}")]
    public static partial void FolderOnlyPolled(this ILogger log, string folder, string reason);
}
