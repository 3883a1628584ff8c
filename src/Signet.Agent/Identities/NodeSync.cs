using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Attestation;
using Signet.Agent.Wire;
using Signet.Hosting;
using Signet.Rpc.Wire.Node;

namespace Signet.Agent.Identities;

/// <summary>
/// Keeps this agent joined and informed: joins when it has no valid SVID, renews it in time, and holds the stream open on which the
/// server pushes. Nothing here ends the agent; whatever fails is tried again with a growing pause. One task.
/// </summary>
internal sealed class NodeSync(AgentIdentity identity, ServerLink server, NodeAttestor attestor, TimeProvider time, Func<double> chance, ILogger<NodeSync> log)
{
    /// <summary>A stream is opened anew after this time at the latest, so that a certificate of any length fits a timer.</summary>
    private static readonly TimeSpan LongestStream = TimeSpan.FromDays(1);

    private NodeView _current = NodeView.Nothing;
    private string _problem = "not connected yet";

    /// <summary>What the server said last; kept while it cannot be reached.</summary>
    public NodeView Current => Volatile.Read(ref _current);

    /// <summary>Why the agent is not in touch with its server; empty when it is.</summary>
    public string Problem => Volatile.Read(ref _problem);

    /// <summary>Raised after <see cref="Current"/> has changed, and when the agent's own SVID was renewed.</summary>
    public ChangeSignal Changes { get; } = new();

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var pause = new Backoff(new BackoffRule(TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(30)), chance);
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await EnsureJoinedAsync(cancellationToken).ConfigureAwait(false);
                await FollowAsync(pause, cancellationToken).ConfigureAwait(false);
                continue;
            }
            catch (RpcException e) when (!cancellationToken.IsCancellationRequested)
            {
                Fail(server.Explain(e));
            }
            catch (Exception e) when (e is IOException or AttestationException)
            {
                Fail(e.Message);
            }

            await Task.Delay(pause.Next(), time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task EnsureJoinedAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (identity.Credential is { } credential && now <= credential.Svid.NotAfter)
        {
            if (now >= identity.RenewAt)
            {
                identity.Accept(await server.RenewAsync(cancellationToken).ConfigureAwait(false));
                Renewed();
            }

            return;
        }

        identity.Accept(await attestor.JoinAsync(server, cancellationToken).ConfigureAwait(false));
        Renewed();
    }

    /// <summary>Follows the stream until the agent's own SVID is due for renewal, or until the stream breaks.</summary>
    private async Task FollowAsync(Backoff pause, CancellationToken cancellationToken)
    {
        var left = identity.RenewAt - time.GetUtcNow();
        using var due = new CancellationTokenSource(left < TimeSpan.Zero ? TimeSpan.Zero : left < LongestStream ? left : LongestStream, time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, due.Token);
        using var call = server.Watch(stop.Token);
        try
        {
            await call.RequestStream.WriteAsync(new WatchRequest(), stop.Token).ConfigureAwait(false);
            while (await call.ResponseStream.MoveNext(stop.Token).ConfigureAwait(false))
            {
                pause.Reset();
                await call.RequestStream.WriteAsync(Apply(call.ResponseStream.Current), stop.Token).ConfigureAwait(false);
            }

            Fail("the server ended the stream");
        }
        catch (Exception e) when (due.IsCancellationRequested && e is RpcException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private WatchRequest Apply(NodeSnapshot snapshot)
    {
        var answer = new WatchRequest { AcknowledgedRevision = snapshot.Revision };
        if (!NodeViewWire.TryRead(snapshot, identity.TrustDomain, out var view, out var problem))
        {
            log.SnapshotRefused(snapshot.Revision, problem);
            answer.Problem = problem;
            return answer;
        }

        identity.Accept(view.Bundles.Find(identity.TrustDomain)!);
        Volatile.Write(ref _problem, "");
        Volatile.Write(ref _current, view);
        log.SnapshotApplied(view.Revision, view.Entries.Length);
        Changes.Raise();
        return answer;
    }

    private void Renewed()
    {
        var svid = identity.Credential!.Svid;
        log.AgentRenewed(svid.Id.Uri, svid.Leaf.SerialHex, svid.NotAfter);
        Changes.Raise();
    }

    private void Fail(string problem)
    {
        if (problem != Problem)
        {
            log.ServerOutOfReach(problem);
        }

        Volatile.Write(ref _problem, problem);
    }
}
