using Microsoft.Extensions.Logging;

namespace Signet.Hosting.Admin;

/// <summary>Events 1100-1199.</summary>
internal static partial class Log
{
    [LoggerMessage(1100, LogLevel.Error, "{Method} {Path} on the admin endpoint failed")]
    public static partial void AdminRequestFailed(this ILogger log, string method, string path, Exception e);
}
