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

namespace Signet.Server.Api;

/// <summary>Finds out who is calling, from what the connection proved, and whether the method is open to that caller.</summary>
internal sealed class CallerGate(AgentDirectory agents, IReadOnlySet<uint> adminUids, ServerMetrics metrics, TimeProvider time, ILogger<CallerGate> log)
{
    /// <summary>The filter of every service.</summary>
    public ValueTask CheckAsync(ServerCallContext context)
    {
        var caller = Identify(context);
        if (!AccessTable.Allows(context.Method, caller))
        {
            metrics.Refused();
            log.CallRefused(Printable.Of(context.Method), caller.Name);
            throw Rpcs.Denied("this call is not open to you");
        }

        context.GetHttpContext().Items[CallerOf.Key] = caller;
        return ValueTask.CompletedTask;
    }

    private Caller Identify(ServerCallContext context)
    {
        var http = context.GetHttpContext();
        if (PeerVerdictOf(http) is { Id: { } id } verdict)
        {
            return IdentifyAgent(id, verdict);
        }

        if (http.Connection.RemoteIpAddress is { } address)
        {
            return new Caller.Anonymous(address);
        }

        var peer = context.PeerCredential();
        return adminUids.Contains(peer.Uid)
            ? new Caller.Local(peer.Uid, peer.Pid)
            : throw Rpcs.Denied($"uid {peer.Uid} may not use the admin socket; add it under admin.uids");
    }

    private Caller.Agent IdentifyAgent(SpiffeId id, PeerVerdict verdict)
    {
        var now = time.GetUtcNow();
        if (now > verdict.ExpiresAt)
        {
            throw Denied(Rpc.Wire.Spire.Types.PermissionDeniedDetails.Types.Reason.AgentExpired, "the agent's certificate has expired");
        }

        return ReservedIds.IsAgent(id) && agents.Find(id) is { } agent
            ? agent.Banned
                ? throw Denied(Rpc.Wire.Spire.Types.PermissionDeniedDetails.Types.Reason.AgentBanned, "the agent is banned")
                : new Caller.Agent(id, verdict.ExpiresAt)
            : throw Denied(Rpc.Wire.Spire.Types.PermissionDeniedDetails.Types.Reason.AgentNotAttested, "the agent is not attested here; join again");
    }

    private static RpcException Denied(Rpc.Wire.Spire.Types.PermissionDeniedDetails.Types.Reason reason, string message)
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
    public static SpiffeId Agent(ServerCallContext context) =>
        context.GetHttpContext().Items[Key] is Caller.Agent agent ? agent.Id : throw Rpcs.Denied("only an agent may call this");
}
