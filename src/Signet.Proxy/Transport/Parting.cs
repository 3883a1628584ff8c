namespace Signet.Proxy.Transport;

/// <summary>The end of a connection whose last words should arrive.</summary>
internal static class Parting
{
    /// <summary>How long a peer may take to hear them.</summary>
    public static readonly TimeSpan Moment = TimeSpan.FromSeconds(1);

    private const int MaxDiscarded = 256 * 1024;

    /// <summary>
    /// Ends this side's direction and reads what the peer still sends, for a moment: closing with unread bytes in the socket would reset the
    /// connection, and the peer might lose what it was told (RFC 9112 §9.6). The caller closes.
    /// </summary>
    public static async Task LingerAsync(BufferedTransport transport, TimeProvider time)
    {
        using var moment = new CancellationTokenSource(Moment, time);
        try
        {
            await transport.EndWritesAsync(moment.Token).ConfigureAwait(false);
            transport.Consume(transport.Available.Length);
            for (var discarded = 0; discarded < MaxDiscarded && await transport.ReadMoreAsync(int.MaxValue, moment.Token).ConfigureAwait(false);)
            {
                discarded += transport.Available.Length;
                transport.Consume(transport.Available.Length);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // It is over either way.
        }
    }
}
