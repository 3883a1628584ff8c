using Microsoft.Extensions.Logging;

namespace Signet.Hosting.PeerCredentials;

/// <summary>Events 1925 to 1949.</summary>
internal static partial class Log
{
    [LoggerMessage(1925, LogLevel.Warning, "A connection to a Unix socket was closed: {Problem}")]
    public static partial void PeerRefused(this ILogger logger, string problem);
}
