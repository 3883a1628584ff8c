namespace Signet.Proxy.Http2;

/// <summary>How a connection ended.</summary>
/// <param name="IsOrderly">Every stream had ended, and nobody broke a rule.</param>
/// <param name="Code">The code that was sent, or received, or <see cref="Http2Error.NoError"/>.</param>
/// <param name="Reason">For the operator.</param>
/// <param name="IsBreach">The peer broke a rule or a limit.</param>
public sealed record Http2End(bool IsOrderly, Http2Error Code, string Reason, bool IsBreach = false);

/// <summary>Why no stream can be opened on a connection.</summary>
public enum OpenRefusal
{
    None,

    /// <summary>As many are open as the peer allows: another connection would help.</summary>
    AtLimit,

    /// <summary>This side or the peer is about to close the connection.</summary>
    Draining,

    /// <summary>The connection is over.</summary>
    Ended,
}
