namespace Grpc.Core;

/// <summary>How a call ended, and why. Immutable.</summary>
public readonly record struct Status
{
    /// <summary>Success.</summary>
    public static readonly Status DefaultSuccess = new(StatusCode.OK, "");

    /// <summary>The caller gave up.</summary>
    public static readonly Status DefaultCancelled = new(StatusCode.Cancelled, "");

    /// <param name="statusCode">How it ended.</param>
    /// <param name="detail">Why, for a person. It is sent to the peer, so nothing secret.</param>
    public Status(StatusCode statusCode, string detail)
        : this(statusCode, detail, null)
    {
    }

    /// <inheritdoc cref="Status(StatusCode, string)"/>
    /// <param name="statusCode">How it ended.</param>
    /// <param name="detail">Why, for a person.</param>
    /// <param name="debugException">What lies behind it on this side. It is never sent.</param>
    public Status(StatusCode statusCode, string detail, Exception? debugException)
    {
        StatusCode = statusCode;
        _detail = detail;
        DebugException = debugException;
    }

    private readonly string? _detail;

    public StatusCode StatusCode { get; }

    /// <summary>Why, for a person; may be empty, never null.</summary>
    public string Detail => _detail ?? "";

    /// <summary>What lies behind it on this side, when known. It is never sent.</summary>
    public Exception? DebugException { get; }

    public override string ToString() => $"Status(StatusCode=\"{StatusCode}\", Detail=\"{Detail}\")";
}
