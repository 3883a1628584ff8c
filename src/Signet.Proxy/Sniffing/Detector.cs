using Signet.Proxy.ProxyProtocol;
using Signet.Proxy.Transport;

namespace Signet.Proxy.Sniffing;

/// <summary>Reads a connection's first bytes until the sniffers know, or a deadline says that they never will.</summary>
internal static class Detector
{
    /// <summary>What the peer begins with; "need more" means that it stayed silent until the deadline.</summary>
    /// <param name="from">The connection; every byte stays in it.</param>
    /// <param name="firstByte">How long the peer may stay silent; then it may be waiting for the server to speak.</param>
    /// <param name="whole">How long everything may take once it has begun to speak.</param>
    /// <param name="time">The clock of both.</param>
    /// <param name="cancellationToken">The connection's own end.</param>
    /// <returns>Null when the peer ended the connection without a byte, as port checks do.</returns>
    /// <exception cref="IOException">The connection broke.</exception>
    public static async Task<TlsSniff?> DetectTlsAsync(
        BufferedTransport from, TimeSpan firstByte, TimeSpan whole, TimeProvider time, CancellationToken cancellationToken)
    {
        var sniff = TlsSniffer.Inspect(from.Available.Span);
        var ended = await ReadUntilAsync(
            from,
            () => (sniff = TlsSniffer.Inspect(from.Available.Span)) is not TlsSniff.NeedMore,
            TlsSniffer.MaxHello, firstByte, whole, time, cancellationToken).ConfigureAwait(false);
        return from.Available.IsEmpty ? (ended ? null : sniff)
            : sniff is not TlsSniff.NeedMore ? sniff
            : new TlsSniff.Malformed(ended ? "the peer ended the connection in the middle of its ClientHello" : "the ClientHello was not complete before the deadline");
    }

    /// <summary>The PROXY header with which the peer must begin.</summary>
    /// <param name="from">The connection; every byte stays in it.</param>
    /// <param name="whole">How long it may take.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">The connection's own end.</param>
    /// <returns>Null when the peer ended the connection without a byte; never "need more".</returns>
    /// <exception cref="IOException">The connection broke.</exception>
    public static async Task<ProxyHeaderRead?> DetectProxyHeaderAsync(BufferedTransport from, TimeSpan whole, TimeProvider time, CancellationToken cancellationToken)
    {
        ProxyHeaderRead read = ProxyHeaderRead.NeedMore.Instance;
        var ended = await ReadUntilAsync(
            from,
            () => (read = ProxyHeaderReader.Read(from.Available.Span)) is not ProxyHeaderRead.NeedMore,
            ProxyHeaderReader.MaxHeader, whole, whole, time, cancellationToken).ConfigureAwait(false);
        return from.Available.IsEmpty && ended ? null
            : read is not ProxyHeaderRead.NeedMore ? read
            : new ProxyHeaderRead.Malformed(ended ? "the peer ended the connection in the middle of its PROXY header" : "the PROXY header was not complete before the deadline");
    }

    /// <summary>Whether the peer begins with HTTP; silence until the deadline is "no".</summary>
    /// <inheritdoc cref="DetectTlsAsync"/>
    public static async Task<bool> DetectHttpAsync(
        BufferedTransport from, TimeSpan firstByte, TimeSpan whole, TimeProvider time, CancellationToken cancellationToken)
    {
        var sniff = HttpSniff.NeedMore;
        await ReadUntilAsync(
            from,
            () => (sniff = HttpSniffer.Inspect(from.Available.Span)) != HttpSniff.NeedMore,
            HttpSniffer.MaxLine, firstByte, whole, time, cancellationToken).ConfigureAwait(false);
        return sniff is HttpSniff.Http1 or HttpSniff.Http2;
    }

    /// <summary>True when the peer ended its direction first.</summary>
    private static async Task<bool> ReadUntilAsync(
        BufferedTransport from, Func<bool> isKnown, int limit, TimeSpan firstByte, TimeSpan whole, TimeProvider time, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(from.Available.IsEmpty ? firstByte : whole, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        while (from.Available.IsEmpty || !isKnown())
        {
            var wasSilent = from.Available.IsEmpty;
            try
            {
                if (!await from.ReadMoreAsync(limit, both.Token).ConfigureAwait(false))
                {
                    return true;
                }
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                return false;
            }

            if (wasSilent)
            {
                deadline.CancelAfter(whole);
            }
        }

        return false;
    }
}
