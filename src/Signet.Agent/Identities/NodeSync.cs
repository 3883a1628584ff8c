using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Wire;
using Signet.Agent.WorkloadApi;
using Signet.Client.Tls;
using Signet.Hosting;
using Signet.Rpc.Wire.Node;

namespace Signet.Agent.Identities;

/// <summary>
/// Keeps this agent informed: holds the stream open on which the server pushes, while the agent has a valid SVID of its own. Nothing here ends the
/// agent; whatever fails is tried again with a growing pause. One task.
/// </summary>
internal sealed class NodeSync(
    AgentIdentity identity, NodeMembership membership, ServerLink server, IdentityCache cache, ClientLedger clients, TimeProvider time, Func<double> chance, ILogger<NodeSync> log)
{
    /// <summary>Full jitter: after an outage everybody waits for the same server.</summary>
    private static readonly BackoffRule Again = new(TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(30), Least: 0.05);

    /// <summary>How long to look at most before asking again whether the agent is a member.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);

    /// <summary>A server may ask for no more.</summary>
    private static readonly TimeSpan LongestSpread = TimeSpan.FromMinutes(1);

    /// <summary>After so many entries what reading them left behind is given back at once: else the agent would take for a moment twice what it needs for long.</summary>
    private const int Bulk = 5_000;

    private int _readSince;
    private NodeView _current = cache.Current.View;
    private string _problem = "not connected yet";

    /// <summary>What the server said last, before a restart if need be; kept while it cannot be reached.</summary>
    public NodeView Current => Volatile.Read(ref _current);

    /// <summary>Why the agent is not in touch with its server; empty when it is.</summary>
    public string Problem => membership.IsMember ? Volatile.Read(ref _problem) : membership.Problem;

    /// <summary>Over what time agents of this server come back after an outage, as it said last.</summary>
    public TimeSpan Spread { get; private set; }

    /// <summary>Raised after <see cref="Current"/> has changed, and when the agent's own SVID was renewed or the clock jumped.</summary>
    public ChangeSignal Changes { get; } = new();

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var pause = new Backoff(Again, chance);
        while (!cancellationToken.IsCancellationRequested)
        {
            var seen = membership.Changes.Version;
            if (!membership.IsMember || identity.Credential is not { } credential)
            {
                await membership.Changes.WaitAsync(seen, LongestWait, time, cancellationToken).ConfigureAwait(false);
                continue;
            }

            Changes.Raise();
            var wasInTouch = false;
            try
            {
                if (await FollowAsync(credential, heard: Heard, cancellationToken).ConfigureAwait(false))
                {
                    continue;
                }

                Fail("the server ended the stream");
            }
            catch (RpcException e) when (!cancellationToken.IsCancellationRequested)
            {
                if (ServerLink.MustJoinAgain(e))
                {
                    membership.Forget(credential);
                }

                Fail(server.Explain(e));
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                Fail(e.Message);
            }

            // Whoever loses a stream loses it together with all others.
            var wait = pause.Next() + (wasInTouch ? Spread * chance() : TimeSpan.Zero);
            await Task.Delay(wait, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

            void Heard()
            {
                if (!wasInTouch)
                {
                    wasInTouch = true;
                    pause.Reset();
                    membership.TryAgain();
                }
            }
        }
    }

    /// <summary>Follows the stream until the agent has another SVID of its own.</summary>
    /// <returns>False when the server ended the stream before.</returns>
    private async Task<bool> FollowAsync(TlsCredential credential, Action heard, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var renewed = StopWhenRenewedAsync(credential, stop);
        using var call = server.Watch(stop.Token);
        try
        {
            await using var speaker = new WatchSpeaker(call.RequestStream, identity, cache, clients, stop.Token);
            await speaker.AnswerAsync(new WatchRequest(), stop.Token).ConfigureAwait(false);
            var reader = new NodeUpdateReader(identity.TrustDomain);
            while (await call.ResponseStream.MoveNext(stop.Token).ConfigureAwait(false))
            {
                heard();
                if (Answer(call.ResponseStream.Current, reader) is { } answer)
                {
                    await speaker.AnswerAsync(answer, stop.Token).ConfigureAwait(false);
                }

                membership.ReplaceIf(Current.Superseded);
            }

            return false;
        }
        catch (Exception e) when (identity.Credential != credential && e is RpcException or OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return true;
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await renewed.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task StopWhenRenewedAsync(TlsCredential credential, CancellationTokenSource stop)
    {
        while (true)
        {
            var seen = membership.Changes.Version;
            if (identity.Credential != credential)
            {
                await stop.CancelAsync().ConfigureAwait(false);
                return;
            }

            await membership.Changes.WaitAsync(seen, stop.Token).ConfigureAwait(false);
            Changes.Raise();
        }
    }

    private WatchRequest? Answer(NodeUpdate update, NodeUpdateReader reader)
    {
        Spread = update.Afresh ? TimeSpan.FromMilliseconds(Math.Min(update.SpreadMilliseconds, LongestSpread.TotalMilliseconds)) : Spread;
        if ((_readSince += update.Entries.Count) >= Bulk)
        {
            _readSince = 0;
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive);
        }

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
