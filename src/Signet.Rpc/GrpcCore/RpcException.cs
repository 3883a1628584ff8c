namespace Grpc.Core;

/// <summary>A call that did not end with <see cref="StatusCode.OK"/>: thrown to callers, and by handlers that refuse.</summary>
public class RpcException : Exception
{
    /// <param name="status">How the call ended.</param>
    public RpcException(Status status)
        : this(status, [])
    {
    }

    /// <param name="status">How the call ended.</param>
    /// <param name="trailers">What the server said besides.</param>
    public RpcException(Status status, Metadata trailers)
        : base(status.ToString(), status.DebugException)
    {
        Status = status;
        Trailers = trailers;
    }

    public Status Status { get; }

    public StatusCode StatusCode => Status.StatusCode;

    /// <summary>What the server said besides; may be empty.</summary>
    public Metadata Trailers { get; }
}
