using Signet.Proxy.Http2;
using Signet.Proxy.Tls;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Tunnel;

/// <summary>What came of connecting to a peer's proxy.</summary>
public abstract record TunnelDial
{
    private TunnelDial()
    {
    }

    /// <param name="Transport">An established session whose peer has agreed to HTTP/2; becomes the tunnel's.</param>
    /// <param name="Session">How it came about, and who is at the other end.</param>
    /// <param name="AtTurnEnd">The turns of the thread that owns the transport, as <see cref="Http2Options.AtTurnEnd"/> means them.</param>
    public sealed record Connected(ITransport Transport, TlsSession? Session, Action<Action>? AtTurnEnd = null) : TunnelDial;

    /// <param name="Reason">The closed reason.</param>
    /// <param name="Detail">Names the address and what happened there.</param>
    public sealed record Failed(RefusalReason Reason, string Detail) : TunnelDial;
}

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
