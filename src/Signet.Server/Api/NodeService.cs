using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Node;
using Signet.Server.Registration;
using Signet.Server.Telemetry;
using Signet.Server.Upkeep;

namespace Signet.Server.Api;

/// <summary>
/// signet.node.v1.Node: pushes to each agent what it may serve, at once and at every change, and hears what it has applied. A slow agent
/// holds nobody back: while it reads, changes pile up into the one newest snapshot.
/// </summary>
internal sealed class NodeService(
    AuthorizedEntries authorized, EntryDirectory entries, AuthorityRotation authorities, ChangeSignal bundleChanges, Acknowledgements acknowledgements, ServerMetrics metrics, TimeProvider time, ILogger<NodeService> log)
    : Node.NodeBase
{
    private static readonly TimeSpan LongestStream = TimeSpan.FromDays(1);

    private long _lastRevision;

    public override async Task Watch(IAsyncStreamReader<WatchRequest> requestStream, IServerStreamWriter<NodeSnapshot> responseStream, ServerCallContext context)
    {
        var (agent, expiresAt) = CallerOf.Attested(context);
        var left = expiresAt - time.GetUtcNow();
        using var expiry = new CancellationTokenSource(left < LongestStream ? left : LongestStream, time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, expiry.Token);
        var hearing = HearAsync(agent, requestStream, stop);
        log.AgentConnected(agent.Uri);
        metrics.AgentConnected();
        try
        {
            await PushAsync(agent, responseStream, stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The agent closed its half, the connection ended, the server stops, or the certificate that opened the stream has expired.
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await hearing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            metrics.AgentDisconnected();
            log.AgentDisconnected(agent.Uri);
        }
    }

    private async Task PushAsync(SpiffeId agent, IServerStreamWriter<NodeSnapshot> responseStream, CancellationToken cancellationToken)
    {
        NodeSnapshot? sent = null;
        var (entriesSeen, bundleSeen) = (entries.Changes.Version, bundleChanges.Version);
        var (entriesChanged, bundleChanged) = (entries.Changes.WaitAsync(entriesSeen, cancellationToken), bundleChanges.WaitAsync(bundleSeen, cancellationToken));
        while (true)
        {
            var snapshot = new NodeSnapshot { Bundle = BundleService.Of(authorities.Current) };
            snapshot.SupersededAuthorities.AddRange(authorities.Current.Superseded.Order(StringComparer.Ordinal));
            snapshot.Crls.AddRange(authorities.Current.Crls.Select(list => Google.Protobuf.ByteString.CopyFrom(list.Der.Span)));
            snapshot.Entries.AddRange(authorized.For(agent).Select(entry => entry.ToWire()));
            if (sent is null || !SameContent(sent, snapshot))
            {
                snapshot.Revision = NextRevision();
                await responseStream.WriteAsync(snapshot, cancellationToken).ConfigureAwait(false);
                sent = snapshot;
            }

            await Task.WhenAny(entriesChanged, bundleChanged).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();

            // Only the wait that ended is begun anew, so that a quiet signal does not gather waiters.
            (entriesChanged, entriesSeen) = Renew(entries.Changes, entriesChanged, entriesSeen, cancellationToken);
            (bundleChanged, bundleSeen) = Renew(bundleChanges, bundleChanged, bundleSeen, cancellationToken);
        }
    }

    private async Task HearAsync(SpiffeId agent, IAsyncStreamReader<WatchRequest> requestStream, CancellationTokenSource stop)
    {
        try
        {
            while (await requestStream.MoveNext(stop.Token).ConfigureAwait(false))
            {
                acknowledgements.Record(agent, requestStream.Current);
                if (requestStream.Current.Problem.Length > 0)
                {
                    log.AgentRefusedSnapshot(agent.Uri, requestStream.Current.AcknowledgedRevision, Printable.Of(requestStream.Current.Problem));
                }
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
        }
    }

    private static (Task Changed, long Seen) Renew(ChangeSignal signal, Task changed, long seen, CancellationToken cancellationToken)
    {
        if (!changed.IsCompleted)
        {
            return (changed, seen);
        }

        var version = signal.Version;
        return (signal.WaitAsync(version, cancellationToken), version);
    }

    // Grows across restarts too, because it never falls behind the clock.
    private ulong NextRevision()
    {
        while (true)
        {
            var last = Volatile.Read(ref _lastRevision);
            var next = Math.Max(last + 1, time.GetUtcNow().ToUnixTimeMilliseconds());
            if (Interlocked.CompareExchange(ref _lastRevision, next, last) == last)
            {
                return (ulong)next;
            }
        }
    }

    private static bool SameContent(NodeSnapshot sent, NodeSnapshot fresh)
    {
        var comparable = fresh.Clone();
        comparable.Revision = sent.Revision;
        return comparable.Equals(sent);
    }
}
