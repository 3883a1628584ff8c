using Grpc.Core;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Grpc;
using Signet.Hosting.PeerCredentials;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Attestation;
using Signet.Server.Telemetry;
using Reason = Signet.Rpc.Wire.Spire.Types.PermissionDeniedDetails.Types.Reason;

namespace Signet.Server.Api;

/// <summary>Finds out who is calling, from what the connection proved, and whether the method is open to that caller.</summary>
internal sealed class CallerGate(AgentDirectory agents, IReadOnlySet<uint> adminUids, ServerMetrics metrics, TimeProvider time, ILogger<CallerGate> log)
{
    /// <summary>The filter of every service.</summary>
    public async ValueTask CheckAsync(ServerCallContext context)
    {
        var caller = await IdentifyAsync(context).ConfigureAwait(false);
        if (!AccessTable.Allows(context.Method, caller))
        {
            metrics.Refused();
            log.CallRefused(Printable.Of(context.Method), caller.Name);
            throw Rpcs.Denied("this call is not open to you");
        }

        context.GetHttpContext().Items[CallerOf.Key] = caller;
    }

    private async ValueTask<Caller> IdentifyAsync(ServerCallContext context)
    {
        var http = context.GetHttpContext();
        if (http.Connection.RemoteIpAddress is { } address)
        {
            // Where anybody may call, an agent whose record is gone may too: that is how it joins again.
            return PeerVerdictOf(http) is { Id: { } id } verdict && !AccessTable.IsOpenToAnyone(context.Method)
                ? await IdentifyAgentAsync(id, verdict, context.CancellationToken).ConfigureAwait(false)
                : new Caller.Anonymous(address);
        }

        var peer = context.PeerCredential();
        return adminUids.Contains(peer.Uid)
            ? new Caller.Local(peer.Uid, peer.Pid)
            : throw Rpcs.Denied($"uid {peer.Uid} may not use the admin socket; add it under admin.uids");
    }

    private async ValueTask<Caller> IdentifyAgentAsync(SpiffeId id, PeerVerdict verdict, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (now > verdict.ExpiresAt)
        {
            throw Denied(Reason.AgentExpired, "the agent's certificate has expired");
        }

        if (!ReservedIds.IsAgent(id) || agents.Find(id) is not { } agent)
        {
            throw Denied(Reason.AgentNotAttested, "the agent is not attested here; join again");
        }

        if (agent.Banned)
        {
            throw Denied(Reason.AgentBanned, "the agent is banned");
        }

        var serial = verdict.Leaf!.SerialHex;
        if (serial == agent.PendingHex)
        {
            // Its first use ends the life of the one before: a copy of that is worth nothing from now on.
            await agents.SaveAsync(agent with { SerialHex = serial, PendingHex = null }, cancellationToken).ConfigureAwait(false);
        }
        else if (serial != agent.SerialHex)
        {
            throw Denied(Reason.AgentNotActive, "the agent has a newer certificate than this one; was its data folder copied?");
        }

        return new Caller.Agent(id, verdict.ExpiresAt);
    }

    private static RpcException Denied(Reason reason, string message)
    {
        var details = new Rpc.Wire.GoogleRpc.Status { Code = (int)StatusCode.PermissionDenied, Message = message };
        details.Details.Add(Google.Protobuf.WellKnownTypes.Any.Pack(new Rpc.Wire.Spire.Types.PermissionDeniedDetails { Reason = reason }));
        return new RpcException(
            new Status(StatusCode.PermissionDenied, message), new Metadata { { "grpc-status-details-bin", Google.Protobuf.MessageExtensions.ToByteArray(details) } });
    }

    private static PeerVerdict? PeerVerdictOf(HttpContext http) =>
        http.Features.Get<IConnectionItemsFeature>()?.Items.TryGetValue(ServerTls.PeerKey, out var verdict) is true ? (PeerVerdict?)verdict : null;
}

/// <summary>The caller that the gate let through.</summary>
internal static class CallerOf
{
    internal static readonly object Key = new();

    public static string Name(ServerCallContext context) => ((Caller)context.GetHttpContext().Items[Key]!).Name;

    /// <summary>The agent's ID; methods for agents only are reached by agents only.</summary>
    public static SpiffeId Agent(ServerCallContext context) => Attested(context).Id;

    /// <summary>The agent, with the moment its certificate expires.</summary>
    public static Caller.Agent Attested(ServerCallContext context) =>
        context.GetHttpContext().Items[Key] as Caller.Agent ?? throw Rpcs.Denied("only an agent may call this");
}
