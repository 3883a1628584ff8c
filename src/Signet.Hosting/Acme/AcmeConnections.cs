using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Signet.Hosting.Acme;

/// <summary>Tells an authority that looks for its challenge apart from everybody else, before TLS begins; while no challenge is open nothing is looked at.</summary>
public static class AcmeConnections
{
    private static readonly TimeSpan HelloTimeout = TimeSpan.FromSeconds(10);
    private static readonly object Key = new();

    /// <summary>Looks at each connection. Before <c>UseHttps</c>.</summary>
    public static void UseAcmeChallenges(this ListenOptions listen, TlsAlpnChallenges challenges, TimeProvider time) => listen.Use(next => async connection =>
    {
        if (!challenges.IsEmpty)
        {
            using var patience = new CancellationTokenSource(HelloTimeout, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, connection.ConnectionClosed);
            try
            {
                if (await OffersAsync(connection, either.Token).ConfigureAwait(false))
                {
                    connection.Items[Key] = true;
                }
            }
            catch (OperationCanceledException)
            {
                connection.Abort();
                return;
            }
        }

        await next(connection).ConfigureAwait(false);
    });

    /// <summary>Whether whoever connects offers the challenge's protocol and no other.</summary>
    public static bool IsForChallenge(ConnectionContext connection) => connection.Items.ContainsKey(Key);

    private static async Task<bool> OffersAsync(ConnectionContext connection, CancellationToken cancellationToken)
    {
        var input = connection.Transport.Input;
        while (true)
        {
            var read = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            var look = ClientHelloAlpn.Look(read.Buffer, TlsAlpnChallenges.Protocol.Protocol.Span);
            input.AdvanceTo(read.Buffer.Start, look == AlpnLook.Unknown ? read.Buffer.End : read.Buffer.Start);
            if (look != AlpnLook.Unknown || read.IsCompleted)
            {
                return look == AlpnLook.Offered;
            }
        }
    }
}
