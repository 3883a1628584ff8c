using System.Net;
using Grpc.Core;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Hosting.Grpc;
using Signet.Hosting.PeerCredentials;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Access;
using Signet.Server.Attestation;
using Signet.Server.Limits;
using Signet.Server.Registration;
using Signet.Server.Telemetry;
using Signet.Server.Upkeep;
using Reason = Signet.Rpc.Wire.Spire.Types.PermissionDeniedDetails.Types.Reason;

namespace Signet.Server.Api;

/// <summary>
/// Stands before every method: finds out who is calling from what the connection proved, whether it is that caller's turn, asks the table whether
/// the method is open to that caller, and has the answer recorded before anything is done.
/// </summary>
internal sealed class CallerGate(
    AgentDirectory agents, EntryDirectory entries, AuthorityRotation authorities, AccessRules rules, uint ownUid, CallLimits limits, CallAudit audit, BundleFetches fetches, ServerMetrics metrics, TimeProvider time, ILogger<CallerGate> log)
{
    /// <summary>The filter of every service.</summary>
    public async ValueTask CheckAsync(ServerCallContext context)
    {
        var (caller, refusal) = await IdentifyAsync(context).ConfigureAwait(false);
        if (limits.TakeCall(context.Method, caller) is { } limit)
        {
            metrics.Limited(limit.Name);
            refusal = Rpcs.Limited(limit);
        }

        var verdict = refusal is null ? MethodTable.Judge(context.Method, caller) : AccessVerdict.Deny(refusal.Status.Detail);
        var call = await audit.BeginAsync(context, caller, verdict).ConfigureAwait(false);
        if (caller is Caller.Agent agent)
        {
            context.OnEnd(status => fetches.Ended(agent.Id, status.StatusCode));
        }

        if (!verdict.IsAllowed)
        {
            metrics.Refused();
            log.CallRefused(Printable.Of(context.Method), caller.Name, verdict.Reason);
            throw refusal ?? Rpcs.Denied(caller switch
            {
                Caller.Local { Rights.Grants.IsEmpty: true } local => $"user {local.Uid} has no role here; give it one under admin.grants in server.yaml",
                { Rights.Grants.IsEmpty: true } => "this call is not open to you",
                _ => $"this call is not open to you: {verdict.Reason}",
            });
        }

        CallOf.Set(context, call);
    }

    private async ValueTask<(Caller Caller, RpcException? Refusal)> IdentifyAsync(ServerCallContext context)
    {
        var http = context.GetHttpContext();
        if (http.Connection.RemoteIpAddress is not { } address)
        {
            var peer = context.PeerCredential();
            return (new Caller.Local(peer.Uid, peer.Pid, rules.Of(peer.Uid, ownUid)), null);
        }

        // Where anybody may call, an agent whose record is gone may too: that is how it joins again.
        var isOpen = MethodTable.IsOpenToAnyone(context.Method);
        if (PeerVerdictOf(http) is not { Id: { } id } verdict || (isOpen && !MethodTable.KnowsAgents(context.Method)))
        {
            return (new Caller.Anonymous(address), null);
        }

        var (caller, refusal) = await IdentifyAsync(id, verdict, address, context.CancellationToken).ConfigureAwait(false);
        return isOpen && caller is not Caller.Agent ? (new Caller.Anonymous(address), null) : (caller, refusal);
    }

    private async ValueTask<(Caller Caller, RpcException? Refusal)> IdentifyAsync(SpiffeId id, PeerVerdict verdict, IPAddress address, CancellationToken cancellationToken)
    {
        var refused = new Caller.Anonymous(address, id);
        if (time.GetUtcNow() > verdict.ExpiresAt)
        {
            return (refused, Rpcs.Denied(Reason.AgentExpired, "the certificate has expired"));
        }

        // Since the handshake, which looked at the lists. An agent whose authority was revoked meanwhile may still come for another certificate.
        if (authorities.Current.Ledger.RevokedCertificates.ContainsKey(verdict.Leaf!.SerialHex))
        {
            return (refused, Rpcs.Denied("the certificate was revoked"));
        }

        return ReservedIds.IsAgent(id) && await RefuseAgentAsync(id, verdict, cancellationToken).ConfigureAwait(false) is { } problem ? (refused, problem)
            : ReservedIds.IsAgent(id) ? (new Caller.Agent(id, verdict.ExpiresAt), null)
            : (WorkloadOf(id), null);
    }

    private Caller.Workload WorkloadOf(SpiffeId id)
    {
        var now = time.GetUtcNow();
        var own = entries.Entries.Values.Where(entry => entry.SpiffeId == id && !entry.HasExpired(now)).OrderBy(entry => entry.CreatedAt).ToArray();
        return new Caller.Workload(id, rules.Of(id, own.FirstOrDefault(entry => entry.Admin)?.Id), own.FirstOrDefault(entry => entry.Downstream)?.Id);
    }

    private async ValueTask<RpcException?> RefuseAgentAsync(SpiffeId id, PeerVerdict verdict, CancellationToken cancellationToken)
    {
        if (agents.Find(id) is not { } agent)
        {
            return Rpcs.Denied(Reason.AgentNotAttested, "the agent is not attested here; join again");
        }

        if (agent.Banned)
        {
            return Rpcs.Denied(Reason.AgentBanned, "the agent is banned");
        }

        var serial = verdict.Leaf!.SerialHex;
        if (serial == agent.PendingHex)
        {
            // Its first use ends the life of the one before: a copy of that is worth nothing from now on.
            await Rpcs.GuardAsync(() => agents.ChangeAsync(id, now => now.PendingHex == serial ? now with { SerialHex = serial, PendingHex = null } : null, cancellationToken)).ConfigureAwait(false);
            return null;
        }

        return serial == agent.SerialHex ? null : Rpcs.Denied(Reason.AgentNotActive, "the agent has a newer certificate than this one; was its data folder copied?");
    }

    private static PeerVerdict? PeerVerdictOf(HttpContext http) =>
        http.Features.Get<IConnectionItemsFeature>()?.Items.TryGetValue(ServerTls.PeerKey, out var verdict) is true ? (PeerVerdict?)verdict : null;
}
