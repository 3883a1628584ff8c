using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Signet.Hosting.Grpc;

/// <summary>Events 1900 to 1924.</summary>
internal static partial class Log
{
    [LoggerMessage(1900, LogLevel.Debug, "{Method} from {Peer} ended with {Status}")]
    public static partial void CallEnded(this ILogger logger, string method, string peer, StatusCode status);

    [LoggerMessage(1901, LogLevel.Error, "{Method} from {Peer} failed; the caller was given the reference {Reference}")]
    public static partial void HandlerFailed(this ILogger logger, Exception exception, string method, string peer, string reference);

    [LoggerMessage(1902, LogLevel.Debug, "{Method} from {Peer} was given up by the caller")]
    public static partial void CallAbandoned(this ILogger logger, string method, string peer);

    [LoggerMessage(1903, LogLevel.Debug, "A request from {Peer} was refused: {Reason}")]
    public static partial void RequestRefused(this ILogger logger, string peer, string reason);
}
