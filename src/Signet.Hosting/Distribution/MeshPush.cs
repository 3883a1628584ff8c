using Grpc.Core;
using Signet.Hosting.Distribution.Wire;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Mesh;

namespace Signet.Hosting.Distribution;

/// <summary>
/// The serving half of a stream of configuration: says what differs at each change, and hears what the listener makes of it. A slow listener holds nobody
/// back: while it reads, changes pile up into one.
/// </summary>
/// <param name="requests">What the listener says; its first message has been read already.</param>
/// <param name="responses">Nobody else writes to it.</param>
/// <param name="seat">Where its standing is kept.</param>
/// <param name="refused">Hears of each refusal: the revision, and why.</param>
/// <param name="memo">Shared by listeners that are all offered the same; null when each is offered something of its own.</param>
public sealed class MeshPush(IAsyncStreamReader<MeshRequest> requests, IServerStreamWriter<MeshUpdate> responses, MeshSeat seat, Action<ulong, string> refused, MeshUpdateMemo? memo = null)
{
    /// <summary>Goes on until the listener closes its half or the token fires.</summary>
    /// <param name="offer">What there is for this listener now; throws to end the stream.</param>
    /// <param name="changes">Raised whenever that may differ.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task RunAsync(Func<MeshOffer> offer, IReadOnlyList<ChangeSignal> changes, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var hearing = HearAsync(stop);
        try
        {
            await SpeakAsync(offer, [.. changes, seat.Refusals], stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // The listener closed its half.
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await hearing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task SpeakAsync(Func<MeshOffer> offer, IReadOnlyList<ChangeSignal> changes, CancellationToken cancellationToken)
    {
        MeshSnapshot? told = null;
        var (problem, refusals, sent) = ("", seat.Refusals.Version, 0UL);
        while (true)
        {
            // 1. What there is now. Versions are read before what they guard.
            var seen = changes.Select(signal => signal.Version).ToArray();
            var (snapshot, why) = offer();

            // 2. What of it the listener has not been told: all of it when it could not make use of what came before. The very same again would only be refused again.
            if (seat.Refusals.Version != refusals && (snapshot?.Revision != sent || seat.Standing.Refused < sent))
            {
                (told, refusals) = (null, seat.Refusals.Version);
            }

            if (snapshot is not null)
            {
                foreach (var update in memo?.Between(told, snapshot) ?? MeshUpdates.Between(told, snapshot))
                {
                    seat.Sent(sent = update.Revision);
                    await responses.WriteAsync(update, cancellationToken).ConfigureAwait(false);
                }

                told = snapshot;
            }

            if (why != problem)
            {
                await responses.WriteAsync(new MeshUpdate { Problem = why }, cancellationToken).ConfigureAwait(false);
                problem = why;
            }

            // 3. Until something changes.
            await WaitAsync(changes, seen, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task WaitAsync(IReadOnlyList<ChangeSignal> changes, long[] seen, CancellationToken cancellationToken)
    {
        // What was awaited in vain must not stay behind as a waiter of a quiet signal.
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await Task.WhenAny(changes.Select((signal, i) => signal.WaitAsync(seen[i], either.Token))).ConfigureAwait(false);
        await either.CancelAsync().ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task HearAsync(CancellationTokenSource stop)
    {
        try
        {
            while (await requests.MoveNext(stop.Token).ConfigureAwait(false))
            {
                var (revision, problem) = (requests.Current.AcknowledgedRevision, Printable.Of(requests.Current.Problem));
                if (seat.Heard(revision, problem))
                {
                    refused(revision, problem);
                }
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
        }
    }
}
