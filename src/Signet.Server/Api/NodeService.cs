using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Node;
using Signet.Server.Registration;
using Signet.Server.Telemetry;

namespace Signet.Server.Api;

/// <summary>
/// signet.node.v1.Node: pushes to each agent what it may serve, at once and at every change, and hears what it has applied. A slow agent
/// holds nobody back: while it reads, changes pile up into the one newest snapshot.
/// </summary>
internal sealed class NodeService(
    AuthorizedEntries authorized, EntryDirectory entries, AuthorityRotation authorities, ChangeSignal bundleChanges, ServerMetrics metrics, TimeProvider time, ILogger<NodeService> log)
    : Node.NodeBase
{
    private long _lastRevision;

    public override async Task Watch(IAsyncStreamReader<WatchRequest> requestStream, IServerStreamWriter<NodeSnapshot> responseStream, ServerCallContext context)
    {
        var agent = CallerOf.Agent(context);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
        var hearing = HearAsync(agent, requestStream, stop);
        log.AgentConnected(agent.Uri);
        metrics.AgentConnected();
        try
        {
            await PushAsync(agent, responseStream, stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The agent closed its half, the connection ended, or the server stops.
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
        while (true)
        {
            var (entriesSeen, bundleSeen) = (entries.Changes.Version, bundleChanges.Version);
            var snapshot = new NodeSnapshot { Bundle = authorities.Current.Bundle.ToWire() };
            snapshot.Entries.AddRange(authorized.For(agent).Select(entry => entry.ToWire()));
            if (sent is null || !SameContent(sent, snapshot))
            {
                snapshot.Revision = NextRevision();
                await responseStream.WriteAsync(snapshot, cancellationToken).ConfigureAwait(false);
                sent = snapshot;
            }

            await Task.WhenAny(entries.Changes.WaitAsync(entriesSeen, cancellationToken), bundleChanges.WaitAsync(bundleSeen, cancellationToken)).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private async Task HearAsync(SpiffeId agent, IAsyncStreamReader<WatchRequest> requestStream, CancellationTokenSource stop)
    {
        try
        {
            while (await requestStream.MoveNext(stop.Token).ConfigureAwait(false))
            {
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
