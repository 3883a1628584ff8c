using System.Buffers;
using Signet.Proxy.Authorization;
using Signet.Proxy.Connections;
using Signet.Proxy.Transport;

namespace Signet.Proxy.L4;

/// <summary>
/// Moves bytes both ways until both directions have ended. One side's end is passed on and the other direction goes on (half-close); a
/// writer that is slow makes its reader wait; a broken side breaks the other, so that nobody takes half a message for a whole one.
/// </summary>
internal static class Relay
{
    /// <summary>Bytes in flight per direction, and only while there are any.</summary>
    private const int BufferSize = 64 * 1024;

    /// <param name="clearance">Leave to move these bytes.</param>
    /// <param name="client">The side that opened the connection.</param>
    /// <param name="server">The side it was opened to.</param>
    /// <param name="live">Counts bytes and keeps the idle deadline away.</param>
    /// <param name="cancellationToken">Breaks both sides.</param>
    /// <returns>What broke the connection; null when both directions ended in order.</returns>
    public static async Task<string?> RunAsync(
        Clearance clearance, ITransport client, ITransport server, LiveConnection live, CancellationToken cancellationToken)
    {
        clearance.Demand();
        var request = PumpAsync(client, server, live.CountReceived, cancellationToken);
        var response = PumpAsync(server, client, live.CountSent, cancellationToken);

        var first = await Task.WhenAny(request, response).ConfigureAwait(false);
        if (await first.ConfigureAwait(false) is not null)
        {
            client.Abort();
            server.Abort();
        }

        var problems = await Task.WhenAll(request, response).ConfigureAwait(false);
        if (problems[0] is not null || problems[1] is not null)
        {
            client.Abort();
            server.Abort();
        }

        cancellationToken.ThrowIfCancellationRequested();
        return first == request ? problems[0] ?? problems[1] : problems[1] ?? problems[0];
    }

    /// <summary>One direction. Null when it ended in order.</summary>
    private static async Task<string?> PumpAsync(ITransport from, ITransport to, Action<int> count, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                // Wait without a buffer, so that an idle connection costs none.
                await from.ReadAsync(Memory<byte>.Empty, cancellationToken).ConfigureAwait(false);
                var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
                try
                {
                    var read = await from.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
                    if (read == 0)
                    {
                        await to.EndWritesAsync(cancellationToken).ConfigureAwait(false);
                        return null;
                    }

                    await to.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
                    count(read);
                }
                finally
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                }
            }
        }
        catch (IOException e)
        {
            return e.Message;
        }
        catch (OperationCanceledException)
        {
            return "closed by the proxy";
        }
    }
}
