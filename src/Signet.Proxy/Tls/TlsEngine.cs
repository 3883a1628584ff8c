using Signet.Proxy.Loop;

namespace Signet.Proxy.Tls;

/// <summary>
/// Makes mutual TLS out of a socket. OpenSSL does the protocol; who the peer may be is asked of the setup, over the certificates as they
/// were sent. There is no fallback: the answer is a session with a proven peer, or a refusal of which the peer was told by an alert.
/// </summary>
internal static class TlsEngine
{
    /// <summary>The accepting side's handshake. The peer must present a certificate.</summary>
    /// <param name="socket">Whose loop does the work; the caller closes it after a refusal.</param>
    /// <param name="received">Bytes that were already read from it.</param>
    /// <param name="setup">What this side presents and whom it believes.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="OperationCanceledException">The connection was closed meanwhile.</exception>
    public static ValueTask<TlsOutcome> AcceptAsync(LoopSocket socket, ReadOnlyMemory<byte> received, TlsServerSetup setup, CancellationToken cancellationToken) =>
        HandshakeAsync(socket, new TlsNegotiation(setup), received, cancellationToken);

    /// <summary>The connecting side's handshake.</summary>
    /// <inheritdoc cref="AcceptAsync"/>
    public static ValueTask<TlsOutcome> ConnectAsync(LoopSocket socket, TlsClientSetup setup, CancellationToken cancellationToken) =>
        HandshakeAsync(socket, new TlsNegotiation(setup), default, cancellationToken);

    private static async ValueTask<TlsOutcome> HandshakeAsync(LoopSocket socket, TlsNegotiation negotiation, ReadOnlyMemory<byte> received, CancellationToken cancellationToken)
    {
        await socket.Loop.EnterAsync();
        TlsTransport? transport = null;
        TlsOutcome? outcome = null;
        try
        {
            transport = new TlsTransport(socket, negotiation, received.Span);
            outcome = await transport.HandshakeAsync(cancellationToken).ConfigureAwait(false);
            return outcome;
        }
        catch (IOException e)
        {
            return outcome = new TlsOutcome.Refused(RefusalReason.HandshakeFailed, e.Message);
        }
        finally
        {
            if (outcome is not TlsOutcome.Established)
            {
                transport?.Detach();
            }
        }
    }
}
