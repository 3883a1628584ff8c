using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Attestation;
using Signet.Agent.Telemetry;
using Signet.Client.Tls;
using Signet.Hosting;
using Signet.Identity.Rotation;
using Signet.Identity.X509;

namespace Signet.Agent.Identities;

/// <summary>
/// Keeps this node a member of its trust domain: attests when the agent has no valid SVID of its own, renews it in time. A renewal that fails harms
/// nothing while the SVID is valid; whatever fails is tried again. Nothing here ends the agent. One task.
/// </summary>
internal sealed class NodeMembership(AgentIdentity identity, ServerLink server, INodeAttestor attestor, AgentMetrics metrics, TimeProvider time, Func<double> chance, ILogger<NodeMembership> log)
{
    /// <summary>No wait is longer, so that a clock that jumped or a machine that slept is noticed soon.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);

    /// <summary>Full jitter: after an outage everybody waits for the same server.</summary>
    private static readonly BackoffRule Again = new(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30), Least: 0.05);

    /// <summary>With less than this part of its life left, an SVID that cannot be renewed is an error.</summary>
    private const int Urgent = 4;

    private readonly ChangeSignal _wake = new();
    private string _problem = "not connected yet";
    private bool _again;

    /// <summary>Why the agent's own SVID is missing or could not be renewed; empty when all is well.</summary>
    public string Problem => Volatile.Read(ref _problem);

    /// <summary>Raised when the agent has another SVID of its own, and when the clock jumped.</summary>
    public ChangeSignal Changes { get; } = new();

    /// <summary>Whether the agent has an SVID that the server would accept now.</summary>
    public bool IsMember => identity.IsValid(time.GetUtcNow());

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var pause = new Backoff(Again, chance);
        var clock = new ClockWatch(time, isPlausible: true);
        var (rest, failedAt) = (TimeSpan.Zero, time.GetTimestamp());
        while (!cancellationToken.IsCancellationRequested)
        {
            var seen = _wake.Version;
            if (clock.Look() is var jump && jump != TimeSpan.Zero)
            {
                log.ClockJumped(jump);
                rest = TimeSpan.Zero;
                Changes.Raise();
            }

            if (Interlocked.Exchange(ref _again, false))
            {
                rest = TimeSpan.Zero;
            }

            var now = time.GetUtcNow();
            var wait = identity.IsValid(now) && now < identity.RenewAt ? identity.RenewAt - now : rest - time.GetElapsedTime(failedAt);
            if (wait > TimeSpan.Zero)
            {
                await _wake.WaitAsync(seen, wait < LongestWait ? wait : LongestWait, time, cancellationToken).ConfigureAwait(false);
                continue;
            }

            if (await TryAsync(cancellationToken).ConfigureAwait(false))
            {
                (rest, failedAt) = (TimeSpan.Zero, time.GetTimestamp());
                pause.Reset();
            }
            else
            {
                (rest, failedAt) = (pause.Next(), time.GetTimestamp());
            }
        }
    }

    /// <summary>The server does not know this agent any more: it has to join again, unless it has another SVID by now.</summary>
    /// <param name="shown">What the agent presented when the server said so.</param>
    public void Forget(TlsCredential shown)
    {
        identity.Forget(shown);
        _wake.Raise();
    }

    /// <summary>The server can be reached again: what failed is tried at once.</summary>
    public void TryAgain()
    {
        Volatile.Write(ref _again, true);
        _wake.Raise();
    }

    /// <summary>Brings the renewal forward when a superseded authority signed the agent's SVID.</summary>
    public void ReplaceIf(IReadOnlySet<string> superseded)
    {
        if (identity.ReplaceIfSuperseded(superseded, time.GetUtcNow()))
        {
            _wake.Raise();
        }
    }

    private async Task<bool> TryAsync(CancellationToken cancellationToken)
    {
        var held = identity.IsValid(time.GetUtcNow()) ? identity.Credential : null;
        try
        {
            Accept(held is null ? await server.AttestAsync(attestor, cancellationToken).ConfigureAwait(false) : await RenewAsync(cancellationToken).ConfigureAwait(false));
            Volatile.Write(ref _problem, "");
            return true;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            var problem = e is RpcException rpc ? server.Explain(rpc) : e.Message;
            if (held is not null && e is RpcException refusal && ServerLink.MustJoinAgain(refusal))
            {
                identity.Forget(held);
            }

            Tell(held?.Svid, problem);
            Volatile.Write(ref _problem, problem);
            return false;
        }
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

    private void Tell(X509Svid? held, string problem)
    {
        metrics.MembershipFailed(held is null ? "attest" : "renew");
        if (held is null)
        {
            if (problem != Problem)
            {
                log.ServerOutOfReach(problem);
            }
        }
        else if (held.Validity.Remaining(time.GetUtcNow()) < held.Validity.Lifetime / Urgent)
        {
            log.AgentRenewalFailedNearEnd(held.NotAfter, problem);
        }
        else
        {
            log.AgentRenewalFailed(held.NotAfter, problem);
        }
    }
}
