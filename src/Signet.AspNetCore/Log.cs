using Microsoft.Extensions.Logging;

namespace Signet.AspNetCore;

/// <summary>Events 6000-6099.</summary>
internal static partial class Log
{
    [LoggerMessage(6000, LogLevel.Warning, "handshake with {Remote} refused: {Reason}")]
    public static partial void HandshakeRefused(this ILogger log, string remote, string reason);

    [LoggerMessage(6001, LogLevel.Error, "connection of {Remote} closed: {Reason}")]
    public static partial void NothingToPresent(this ILogger log, string remote, string reason);
}
