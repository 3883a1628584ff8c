namespace Signet.Proxy.Http2;

/// <summary>A stream ended before its messages did.</summary>
/// <param name="code">The code that was received or sent.</param>
/// <param name="reason">For the operator.</param>
/// <param name="isUnprocessed">The peer has promised that it did nothing with the request: it may be sent again elsewhere.</param>
/// <param name="inner">The end of the whole connection, when that is the cause.</param>
public sealed class Http2StreamException(Http2Error code, string reason, bool isUnprocessed = false, Exception? inner = null) : IOException(reason, inner)
{
    public Http2Error Code => code;

    public bool IsUnprocessed => isUnprocessed;
}

/// <summary>The peer broke the protocol or a limit: the connection ends with this code.</summary>
internal sealed class Http2ConnectionException(Http2Error code, string reason) : IOException(reason)
{
    public Http2Error Code => code;
}
