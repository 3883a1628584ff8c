using Grpc.Core;
using Signet.Identity.Spiffe;
using Signet.Server.Access;

namespace Signet.Server.Api;

/// <summary>A call that the gate let through: who makes it, and what it is done to, for the audit trail. Not thread-safe.</summary>
internal sealed class AdmittedCall(Caller caller)
{
    private readonly List<string> _objects = [];

    public Caller Caller => caller;

    /// <summary>What the call is done to, so far.</summary>
    public IReadOnlyList<string> Objects => _objects;

    /// <summary>Has the audit trail name something that the call is done to.</summary>
    public void About(string what) => _objects.Add(what);

    /// <summary>Goes on only when a grant allows the action on this ID; names the ID to the audit trail either way.</summary>
    /// <exception cref="RpcException">PERMISSION_DENIED.</exception>
    public void Demand(AccessAction action, SpiffeId id) => Demand(caller.Rights.Judge(action, id), id.Uri);

    /// <summary>Goes on only when the verdict allows it; names the object to the audit trail either way.</summary>
    /// <exception cref="RpcException">PERMISSION_DENIED.</exception>
    public void Demand(AccessVerdict verdict, string what)
    {
        About(what);
        if (!verdict.IsAllowed)
        {
            throw Rpcs.Denied(verdict.Reason);
        }
    }
}

/// <summary>What handlers ask about the call that they run in.</summary>
internal static class CallOf
{
    private static readonly object Key = new();

    public static void Set(ServerCallContext context, AdmittedCall call) => context.UserState[Key] = call;

    public static AdmittedCall Of(ServerCallContext context) => (AdmittedCall)context.UserState[Key];
}

/// <summary>The caller that the gate let through.</summary>
internal static class CallerOf
{
    public static string Name(ServerCallContext context) => CallOf.Of(context).Caller.Name;

    /// <summary>The agent's ID; methods for agents only are reached by agents only.</summary>
    public static SpiffeId Agent(ServerCallContext context) => Attested(context).Id;

    /// <summary>The agent, with the moment its certificate expires.</summary>
    public static Caller.Agent Attested(ServerCallContext context) =>
        CallOf.Of(context).Caller as Caller.Agent ?? throw Rpcs.Denied("only an agent may call this");
}
