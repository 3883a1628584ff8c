namespace Signet.Proxy.L7;

/// <summary>The bounds of the HTTP/1.1 codec. Each is far above what applications send and far below what hurts.</summary>
public static class HttpLimits
{
    /// <summary>Bytes of a message's head: start line and headers.</summary>
    public const int MaxHead = 64 * 1024;

    /// <summary>Header fields of a message.</summary>
    public const int MaxHeaders = 100;

    /// <summary>Values in a field that is a list and decides how a message is handled, such as Connection.</summary>
    public const int MaxMembers = 64;

    /// <summary>Characters of a method.</summary>
    public const int MaxMethod = 24;

    /// <summary>Bytes of the line that announces a chunk, its extensions included.</summary>
    public const int MaxChunkLine = 256;

    /// <summary>Hexadecimal digits of a chunk's size: it always fits a <see cref="long"/>.</summary>
    public const int MaxChunkDigits = 15;

    /// <summary>Decimal digits of a Content-Length: it always fits a <see cref="long"/>.</summary>
    public const int MaxLengthDigits = 18;

    /// <summary>Bytes of a trailer section.</summary>
    public const int MaxTrailers = 8 * 1024;

    /// <summary>Interim (1xx) responses to one request.</summary>
    public const int MaxInterimResponses = 16;

    /// <summary>Characters of a request ID that is taken over from the client.</summary>
    public const int MaxRequestId = 128;

    /// <summary>Bytes of a body that are read at once.</summary>
    public const int BodyBuffer = 64 * 1024;
}
