using System.Net;
using Signet.Identity.Spiffe;

namespace Signet.Server.Api;

/// <summary>Who is calling, as the connection proved it.</summary>
public abstract record Caller
{
    private Caller()
    {
    }

    /// <summary>How the caller appears in logs.</summary>
    public abstract string Name { get; }

    /// <summary>A process on this machine that may open the admin socket.</summary>
    public sealed record Local(uint Uid, int Pid) : Caller
    {
        public override string Name => $"uid {Uid} (pid {Pid})";
    }

    /// <summary>A node that showed a certificate of an agent which is attested and not banned.</summary>
    public sealed record Agent(SpiffeId Id, DateTimeOffset ExpiresAt) : Caller
    {
        public override string Name => Id.Uri;
    }

    /// <summary>Somebody on the network who showed no certificate.</summary>
    public sealed record Anonymous(IPAddress? Address) : Caller
    {
        public override string Name => $"unauthenticated {Address}";
    }
}

/// <summary>Which callers a method is open to; anything not listed here is open to nobody.</summary>
[Flags]
internal enum Callers
{
    Nobody = 0,
    Local = 1,
    Agents = 2,
    Anyone = 4,
}

/// <summary>The whole access table of the server's API.</summary>
internal static class AccessTable
{
    private const string AgentService = "/spire.api.server.agent.v1.Agent/";
    private const string EntryService = "/spire.api.server.entry.v1.Entry/";
    private const string SvidService = "/spire.api.server.svid.v1.SVID/";
    private const string BundleService = "/spire.api.server.bundle.v1.Bundle/";

    private const string LocalAuthorityService = "/spire.api.server.localauthority.v1.LocalAuthority/";
    private const string AnchorService = "/signet.authority.v1.AnchorRotation/";

    private static readonly Dictionary<string, Callers> Table = new(StringComparer.Ordinal)
    {
        [AgentService + "AttestAgent"] = Callers.Anyone,
        [AgentService + "RenewAgent"] = Callers.Agents,
        [AgentService + "ListAgents"] = Callers.Local,
        [AgentService + "CreateJoinToken"] = Callers.Local,
        [EntryService + "ListEntries"] = Callers.Local,
        [EntryService + "GetEntry"] = Callers.Local,
        [EntryService + "BatchCreateEntry"] = Callers.Local,
        [EntryService + "BatchDeleteEntry"] = Callers.Local,
        [EntryService + "GetAuthorizedEntries"] = Callers.Agents,
        [SvidService + "MintX509SVID"] = Callers.Local,
        [SvidService + "BatchNewX509SVID"] = Callers.Agents,
        [SvidService + "MintJWTSVID"] = Callers.Local,
        [SvidService + "NewJWTSVID"] = Callers.Agents,
        [BundleService + "GetBundle"] = Callers.Anyone,
        ["/signet.node.v1.Node/Watch"] = Callers.Agents,
        [LocalAuthorityService + "GetX509AuthorityState"] = Callers.Local,
        [LocalAuthorityService + "PrepareX509Authority"] = Callers.Local,
        [LocalAuthorityService + "ActivateX509Authority"] = Callers.Local,
        [LocalAuthorityService + "TaintX509Authority"] = Callers.Local,
        [LocalAuthorityService + "TaintX509UpstreamAuthority"] = Callers.Local,
        [LocalAuthorityService + "RevokeX509Authority"] = Callers.Local,
        [LocalAuthorityService + "RevokeX509UpstreamAuthority"] = Callers.Local,
        [LocalAuthorityService + "GetJWTAuthorityState"] = Callers.Local,
        [LocalAuthorityService + "PrepareJWTAuthority"] = Callers.Local,
        [LocalAuthorityService + "ActivateJWTAuthority"] = Callers.Local,
        [LocalAuthorityService + "TaintJWTAuthority"] = Callers.Local,
        [LocalAuthorityService + "RevokeJWTAuthority"] = Callers.Local,
        ["/signet.authority.v1.Authorities/List"] = Callers.Local,
        [AnchorService + "Start"] = Callers.Local,
        [AnchorService + "GetStatus"] = Callers.Local,
        [AnchorService + "Abort"] = Callers.Local,
        [AnchorService + "Force"] = Callers.Local,
        ["/signet.registration.v1.Registration/Apply"] = Callers.Local,
        ["/signet.registration.v1.Registration/Explain"] = Callers.Local,
        ["/grpc.health.v1.Health/Check"] = Callers.Local,
        ["/grpc.health.v1.Health/Watch"] = Callers.Local,
        ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"] = Callers.Local,
        ["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"] = Callers.Local,
    };

    public static bool IsOpenToAnyone(string method) => Table.GetValueOrDefault(method).HasFlag(Callers.Anyone);

    public static bool Allows(string method, Caller caller)
    {
        var open = Table.GetValueOrDefault(method);
        return IsOpenToAnyone(method) || caller switch
        {
            Caller.Local => open.HasFlag(Callers.Local),
            Caller.Agent => open.HasFlag(Callers.Agents),
            _ => false,
        };
    }
}
