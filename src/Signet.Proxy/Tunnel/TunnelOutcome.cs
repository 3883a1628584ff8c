using Signet.Proxy.Http2;
using Signet.Proxy.Tls;

namespace Signet.Proxy.Tunnel;

/// <summary>What came of asking for a connection through a tunnel.</summary>
public abstract record TunnelOutcome
{
    private TunnelOutcome()
    {
    }

    /// <param name="Stream">Carries the connection's octets; the caller's to dispose of.</param>
    /// <param name="Session">The tunnel's: who is at its other end.</param>
    public sealed record Opened(Http2Stream Stream, TlsSession? Session) : TunnelOutcome;

    /// <param name="Status">403 when policy said no, 503 when the application cannot be reached, and others as HTTP means them.</param>
    public sealed record Refused(int Status) : TunnelOutcome;

    /// <param name="Reason">The closed reason.</param>
    /// <param name="Detail">Names the address and what happened there.</param>
    public sealed record Failed(RefusalReason Reason, string Detail) : TunnelOutcome;
}
