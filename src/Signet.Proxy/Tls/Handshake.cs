using Signet.Hosting.Configuration;
using Signet.Proxy.Connections;

namespace Signet.Proxy.Tls;

/// <summary>Runs a handshake in its turn and within its deadline, and counts how it ended.</summary>
internal static class Handshake
{
    public static async Task<TlsOutcome> RunAsync(
        ProxyCore core, Direction direction, Func<CancellationToken, ValueTask<TlsOutcome>> handshake, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(core.Config.Timeouts.Handshake, core.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var turns = direction == Direction.Inbound ? core.InboundHandshakes : core.OutboundHandshakes;
        TlsOutcome outcome;
        try
        {
            using var turn = await turns.TakeAsync(both.Token).ConfigureAwait(false);
            outcome = await handshake(both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            outcome = new TlsOutcome.Refused(RefusalReason.HandshakeTimeout, $"the handshake took longer than {DurationText.Format(core.Config.Timeouts.Handshake)}");
        }

        core.Metrics.Handshake(direction, outcome);
        return outcome;
    }
}
