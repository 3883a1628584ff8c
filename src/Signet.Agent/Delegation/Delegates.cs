using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.WorkloadApi;
using Signet.Identity.Spiffe;

namespace Signet.Agent.Delegation;

/// <summary>Who may act for other workloads of the node: processes that are attested and have one of the SPIFFE IDs that agent.yaml names.</summary>
internal sealed class Delegates(WorkloadSubjects subjects, IReadOnlySet<SpiffeId> authorized, ILogger log)
{
    /// <summary>Lets a caller in that the service's filter has attested.</summary>
    /// <param name="context">The call.</param>
    /// <param name="what">What it asks for, for the log.</param>
    /// <exception cref="RpcException">PERMISSION_DENIED: it is no delegate. UNAVAILABLE: nothing is known yet.</exception>
    public Delegate Admit(ServerCallContext context, string what)
    {
        var subject = subjects.Attest(context);
        try
        {
            return new Delegate(subject, authorized);
        }
        catch (RpcException e)
        {
            log.DelegateRefused(subject.Pid, subject.Peer.Uid, what, e.Status.Detail);
            throw;
        }
    }
}

/// <summary>A caller that may act for others, for as long as it has the identity that allows it.</summary>
internal sealed class Delegate
{
    private readonly IReadOnlySet<SpiffeId> _authorized;

    /// <exception cref="RpcException">It is no delegate.</exception>
    public Delegate(WorkloadSubject subject, IReadOnlySet<SpiffeId> authorized)
    {
        (Subject, _authorized) = (subject, authorized);
        Id = Check(subject.Now());
    }

    public WorkloadSubject Subject { get; }

    /// <summary>By which identity it was let in.</summary>
    public SpiffeId Id { get; }

    /// <summary>Asks again, with what it may have now.</summary>
    /// <exception cref="RpcException">PERMISSION_DENIED: it is no delegate any more.</exception>
    public SpiffeId Check(Entitlement entitlement) => entitlement.Matching.FirstOrDefault(entry => _authorized.Contains(entry.SpiffeId))?.SpiffeId
        ?? throw new RpcException(new Status(StatusCode.PermissionDenied, "caller not configured as an authorized delegate"));
}
