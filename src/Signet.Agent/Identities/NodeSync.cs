using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Attestation;
using Signet.Agent.Wire;
using Signet.Agent.WorkloadApi;
using Signet.Hosting;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Node;

namespace Signet.Agent.Identities;

/// <summary>
/// Keeps this agent joined and informed: attests when it has no valid SVID, renews it in time, and holds the stream open on which the
/// server pushes. Nothing here ends the agent; whatever fails is tried again with a growing pause. One task.
/// </summary>
internal sealed class NodeSync(AgentIdentity identity, ServerLink server, INodeAttestor attestor, IdentityCache cache, ClientLedger clients, TimeProvider time, Func<double> chance, ILogger<NodeSync> log)
{
    /// <summary>A stream is opened anew after this time at the latest, so that a clock that jumped or a machine that slept is noticed.</summary>
    private static readonly TimeSpan LongestStream = TimeSpan.FromMinutes(10);

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
                if (await FollowAsync(pause, cancellationToken).ConfigureAwait(false))
                {
                    continue;
                }

                Fail("the server ended the stream");
            }
            catch (RpcException e) when (!cancellationToken.IsCancellationRequested)
            {
                if (ServerLink.MustJoinAgain(e))
                {
                    identity.Forget();
                }

                Fail(server.Explain(e));
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                Fail(e.Message);
            }

            await Task.Delay(pause.Next(), time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task EnsureJoinedAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (identity.IsValid(now))
        {
            if (now >= identity.RenewAt)
            {
                Accept(await RenewAsync(cancellationToken).ConfigureAwait(false));
            }

            return;
        }

        Accept(await server.AttestAsync(attestor, cancellationToken).ConfigureAwait(false));
    }

    // Whether it is to attest again the server knows best. Until that has worked, the SVID that is still valid stays in use.
    private async Task<X509Svid> RenewAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await server.RenewAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (RpcException e) when (ServerLink.MustReattest(e))
        {
            return await server.AttestAsync(attestor, cancellationToken).ConfigureAwait(false);
        }
    }

    private void Accept(X509Svid svid)
    {
        var now = time.GetUtcNow();
        if (!svid.Validity.Covers(now))
        {
            throw new AttestationException($"the certificate from the server is valid from {svid.NotBefore:u} to {svid.NotAfter:u}, but this node's clock says {now:u}; set it right");
        }

        try
        {
            identity.Accept(svid, now);
        }
        finally
        {
            log.AgentRenewed(svid.Id.Uri, svid.Leaf.SerialHex, svid.NotAfter);
            Changes.Raise();
        }
    }

    /// <summary>Follows the stream until the agent's own SVID is due for renewal.</summary>
    /// <returns>False when the server ended the stream before.</returns>
    private async Task<bool> FollowAsync(Backoff pause, CancellationToken cancellationToken)
    {
        var left = identity.RenewAt - time.GetUtcNow();
        using var due = new CancellationTokenSource(left < TimeSpan.Zero ? TimeSpan.Zero : left < LongestStream ? left : LongestStream, time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, due.Token);
        using var call = server.Watch(stop.Token);
        try
        {
            await using var speaker = new WatchSpeaker(call.RequestStream, identity, cache, clients, stop.Token);
            await speaker.AnswerAsync(new WatchRequest(), stop.Token).ConfigureAwait(false);
            var reader = new NodeUpdateReader(identity.TrustDomain);
            while (await call.ResponseStream.MoveNext(stop.Token).ConfigureAwait(false))
            {
                pause.Reset();
                if (Answer(call.ResponseStream.Current, reader) is { } answer)
                {
                    await speaker.AnswerAsync(answer, stop.Token).ConfigureAwait(false);
                }

                if (identity.ReplaceIfSuperseded(Current.Superseded, time.GetUtcNow()) is { } soon)
                {
                    due.CancelAfter(soon);
                }
            }

            return false;
        }
        catch (Exception e) when (due.IsCancellationRequested && e is RpcException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return true;
        }
    }

    private WatchRequest? Answer(NodeUpdate update, NodeUpdateReader reader)
    {
        switch (reader.Read(update))
        {
            case NodeReading.Complete(var view):
                Apply(view);
                return new WatchRequest { AcknowledgedRevision = update.Revision };
            case NodeReading.Refused(var problem):
                log.UpdateRefused(update.Revision, problem);
                return new WatchRequest { AcknowledgedRevision = update.Revision, Problem = problem };
            default:
                return null;
        }
    }

    private void Apply(NodeView view)
    {
        identity.Accept(view.Own!, view.Bundles.Crls);
        Volatile.Write(ref _problem, "");
        Volatile.Write(ref _current, view);
        log.UpdateApplied(view.Revision, view.Entries.Length);
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
