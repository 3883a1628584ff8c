namespace Signet.Proxy.Http2;

/// <summary>A stream ended before its messages did.</summary>
/// <param name="code">The code that was received or sent.</param>
/// <param name="reason">For the operator.</param>
/// <param name="isUnprocessed">The peer has promised that it did nothing with the request: it may be sent again elsewhere.</param>
/// <param name="isBreach">The peer broke a rule on the stream.</param>
public sealed class Http2StreamException(Http2Error code, string reason, bool isUnprocessed = false, bool isBreach = false) : IOException(reason)
{
    public Http2Error Code => code;

    public bool IsUnprocessed => isUnprocessed;

    public bool IsBreach => isBreach;
}

/// <summary>The peer broke the protocol or a limit: the connection ends with this code.</summary>
internal sealed class Http2ConnectionException(Http2Error code, string reason) : IOException(reason)
{
    public Http2Error Code => code;
}
