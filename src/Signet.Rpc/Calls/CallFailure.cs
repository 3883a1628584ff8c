using System.Net;
using Grpc.Core;

namespace Signet.Rpc.Calls;

/// <summary>What a failure of HTTP means for a call. gRPC over HTTP/2, "Errors", and "HTTP to gRPC Status Code Mapping".</summary>
internal static class CallFailure
{
    /// <summary>A response that is not gRPC's, judged by its HTTP status.</summary>
    public static Status Of(HttpStatusCode code) => new(
        code switch
        {
            HttpStatusCode.BadRequest => StatusCode.Internal,
            HttpStatusCode.Unauthorized => StatusCode.Unauthenticated,
            HttpStatusCode.Forbidden => StatusCode.PermissionDenied,
            HttpStatusCode.NotFound => StatusCode.Unimplemented,
            HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout
                => StatusCode.Unavailable,
            _ => StatusCode.Unknown,
        },
        $"the server answered HTTP {(int)code}, which is not a gRPC response");

    /// <summary>A connection or stream that broke.</summary>
    /// <param name="exception">What HTTP reported.</param>
    /// <param name="target">The server, for the message.</param>
    public static Status Of(Exception exception, string target)
    {
        var code = Find<HttpProtocolException>(exception)?.ErrorCode switch
        {
            // RFC 9113 §7. NO_ERROR closes a connection in an orderly way: the server is going. PROTOCOL_ERROR is INTERNAL in gRPC's table,
            // but .NET's HTTP also reports a ping without an answer under that number, and then another connection may well do.
            null or 0x0 or 0x1 or 0x7 => StatusCode.Unavailable,
            0x8 => StatusCode.Cancelled,
            0xb => StatusCode.ResourceExhausted,
            0xc => StatusCode.PermissionDenied,
            _ => StatusCode.Internal,
        };
        return new Status(code, $"{target}: {Innermost(exception).Message}", exception);
    }

    private static Exception Innermost(Exception exception)
    {
        while (exception.InnerException is { } inner)
        {
            exception = inner;
        }

        return exception;
    }

    private static T? Find<T>(Exception? exception)
        where T : Exception
    {
        while (exception is not null and not T)
        {
            exception = exception.InnerException;
        }

        return exception as T;
    }
}
