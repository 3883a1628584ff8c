namespace Signet.Server.Access;

/// <summary>Who may call a method.</summary>
[Flags]
internal enum Callers
{
    Nobody = 0,

    /// <summary>Even who shows no certificate. Together with agents: those are known as such when they show one that counts.</summary>
    Anyone = 1,

    /// <summary>Attested agents.</summary>
    Agents = 2,

    /// <summary>Workloads with a downstream entry: servers below this one.</summary>
    Downstream = 4,

    /// <summary>Local users and workloads whose role allows the action.</summary>
    Operators = 8,
}

/// <summary>What the audit trail keeps of a method's calls. What is refused is always kept.</summary>
internal enum Audited
{
    /// <summary>Nothing: it tells everybody the same.</summary>
    No,

    /// <summary>That it was allowed.</summary>
    Call,

    /// <summary>That it was allowed, before anything is done, and what came of it.</summary>
    CallAndEnd,
}

/// <summary>What a call of one method takes.</summary>
/// <param name="Open">To whom it is open.</param>
/// <param name="Needs">What an operator's role must allow.</param>
/// <param name="ByObject">Whether the method itself judges each object by its SPIFFE ID; otherwise only a grant without paths will do.</param>
/// <param name="Audited">What is kept of it.</param>
internal sealed record MethodRule(Callers Open, AccessAction? Needs, bool ByObject, Audited Audited)
{
    /// <summary>Operators look at what their paths cover.</summary>
    public static MethodRule Read(AccessAction needs) => new(Callers.Operators, needs, ByObject: true, Audited.Call);

    /// <summary>Operators change what their paths cover.</summary>
    public static MethodRule Write(AccessAction needs) => new(Callers.Operators, needs, ByObject: true, Audited.CallAndEnd);

    /// <summary>The same for what has no SPIFFE ID.</summary>
    public MethodRule Everywhere => this with { ByObject = false };

    /// <summary>Open to these callers too.</summary>
    public MethodRule And(Callers callers) => this with { Open = Open | callers };

    public static MethodRule OnlyFor(Callers callers, Audited audited) => new(callers, null, ByObject: false, audited);
}

/// <summary>The whole access table of the server's API. A method that is not listed here is open to nobody.</summary>
internal static class MethodTable
{
    private const string Agent = "/spire.api.server.agent.v1.Agent/";
    private const string Entry = "/spire.api.server.entry.v1.Entry/";
    private const string Svid = "/spire.api.server.svid.v1.SVID/";
    private const string Bundle = "/spire.api.server.bundle.v1.Bundle/";
    private const string TrustDomain = "/spire.api.server.trustdomain.v1.TrustDomain/";
    private const string AnchorRotation = "/signet.authority.v1.AnchorRotation/";
    private const string LocalAuthority = "/spire.api.server.localauthority.v1.LocalAuthority/";
    private const string Logger = "/spire.api.server.logger.v1.Logger/";
    private const string AuditTrail = "/signet.audit.v1.Audit/";

    private static readonly MethodRule ReadsAuthorities = MethodRule.Read(AccessAction.AuthorityRead).Everywhere;
    private static readonly MethodRule ChangesAuthorities = MethodRule.Write(AccessAction.AuthorityWrite).Everywhere;
    private static readonly MethodRule ReadsBundles = MethodRule.Read(AccessAction.BundleRead).Everywhere;
    private static readonly MethodRule ChangesBundles = MethodRule.Write(AccessAction.BundleWrite).Everywhere;
    private static readonly MethodRule ReadsFederation = MethodRule.Read(AccessAction.FederationRead).Everywhere;
    private static readonly MethodRule ChangesFederation = MethodRule.Write(AccessAction.FederationWrite).Everywhere;
    private static readonly MethodRule TakesMesh = MethodRule.Read(AccessAction.EntryRead).Everywhere.And(Callers.Agents);
    private static readonly MethodRule ReadsServer = MethodRule.Read(AccessAction.ServerRead).Everywhere;

    public static IReadOnlyDictionary<string, MethodRule> Rules { get; } = new Dictionary<string, MethodRule>(StringComparer.Ordinal)
    {
        [Agent + "AttestAgent"] = MethodRule.OnlyFor(Callers.Anyone, Audited.CallAndEnd),
        [Agent + "RenewAgent"] = MethodRule.OnlyFor(Callers.Agents, Audited.CallAndEnd),
        [Agent + "PostStatus"] = MethodRule.OnlyFor(Callers.Agents, Audited.Call),
        [Agent + "CountAgents"] = MethodRule.Read(AccessAction.AgentRead),
        [Agent + "ListAgents"] = MethodRule.Read(AccessAction.AgentRead),
        [Agent + "GetAgent"] = MethodRule.Read(AccessAction.AgentRead),
        [Agent + "DeleteAgent"] = MethodRule.Write(AccessAction.AgentWrite),
        [Agent + "BanAgent"] = MethodRule.Write(AccessAction.AgentWrite),
        [Agent + "CreateJoinToken"] = MethodRule.Write(AccessAction.TokenCreate),

        [Entry + "CountEntries"] = MethodRule.Read(AccessAction.EntryRead),
        [Entry + "ListEntries"] = MethodRule.Read(AccessAction.EntryRead),
        [Entry + "GetEntry"] = MethodRule.Read(AccessAction.EntryRead),
        [Entry + "BatchCreateEntry"] = MethodRule.Write(AccessAction.EntryWrite),
        [Entry + "BatchUpdateEntry"] = MethodRule.Write(AccessAction.EntryWrite),
        [Entry + "BatchDeleteEntry"] = MethodRule.Write(AccessAction.EntryWrite),
        [Entry + "GetAuthorizedEntries"] = MethodRule.OnlyFor(Callers.Agents, Audited.Call),
        [Entry + "SyncAuthorizedEntries"] = MethodRule.OnlyFor(Callers.Agents, Audited.Call),

        [Svid + "MintX509SVID"] = MethodRule.Write(AccessAction.SvidMint),
        [Svid + "MintJWTSVID"] = MethodRule.Write(AccessAction.SvidMint),
        [Svid + "BatchNewX509SVID"] = MethodRule.OnlyFor(Callers.Agents, Audited.CallAndEnd),
        [Svid + "NewJWTSVID"] = MethodRule.OnlyFor(Callers.Agents, Audited.CallAndEnd),
        [Svid + "MintWITSVID"] = MethodRule.Write(AccessAction.SvidMint),
        [Svid + "BatchNewWITSVID"] = MethodRule.OnlyFor(Callers.Agents, Audited.CallAndEnd),
        [Svid + "NewDownstreamX509CA"] = MethodRule.OnlyFor(Callers.Downstream, Audited.CallAndEnd),

        [Bundle + "GetBundle"] = MethodRule.OnlyFor(Callers.Anyone | Callers.Agents, Audited.No),
        [Bundle + "GetFederatedBundle"] = ReadsBundles.And(Callers.Agents),
        [Bundle + "CountBundles"] = ReadsBundles,
        [Bundle + "ListFederatedBundles"] = ReadsBundles,
        [Bundle + "AppendBundle"] = ChangesBundles,
        [Bundle + "PublishJWTAuthority"] = MethodRule.OnlyFor(Callers.Downstream, Audited.CallAndEnd),
        [Bundle + "PublishWITAuthority"] = MethodRule.OnlyFor(Callers.Downstream, Audited.CallAndEnd),
        [Bundle + "BatchCreateFederatedBundle"] = ChangesBundles,
        [Bundle + "BatchUpdateFederatedBundle"] = ChangesBundles,
        [Bundle + "BatchSetFederatedBundle"] = ChangesBundles,
        [Bundle + "BatchDeleteFederatedBundle"] = ChangesBundles,

        [TrustDomain + "ListFederationRelationships"] = ReadsFederation,
        [TrustDomain + "GetFederationRelationship"] = ReadsFederation,
        [TrustDomain + "BatchCreateFederationRelationship"] = ChangesFederation,
        [TrustDomain + "BatchUpdateFederationRelationship"] = ChangesFederation,
        [TrustDomain + "BatchDeleteFederationRelationship"] = ChangesFederation,
        [TrustDomain + "RefreshBundle"] = ChangesFederation,

        [AnchorRotation + "Start"] = ChangesAuthorities,
        [AnchorRotation + "GetStatus"] = ReadsAuthorities,
        [AnchorRotation + "Abort"] = ChangesAuthorities,
        [AnchorRotation + "Force"] = ChangesAuthorities,
        ["/signet.authority.v1.Authorities/List"] = ReadsAuthorities,
        [LocalAuthority + "GetJWTAuthorityState"] = ReadsAuthorities,
        [LocalAuthority + "PrepareJWTAuthority"] = ChangesAuthorities,
        [LocalAuthority + "ActivateJWTAuthority"] = ChangesAuthorities,
        [LocalAuthority + "TaintJWTAuthority"] = ChangesAuthorities,
        [LocalAuthority + "RevokeJWTAuthority"] = ChangesAuthorities,
        [LocalAuthority + "GetX509AuthorityState"] = ReadsAuthorities,
        [LocalAuthority + "PrepareX509Authority"] = ChangesAuthorities,
        [LocalAuthority + "ActivateX509Authority"] = ChangesAuthorities,
        [LocalAuthority + "TaintX509Authority"] = ChangesAuthorities,
        [LocalAuthority + "TaintX509UpstreamAuthority"] = ChangesAuthorities,
        [LocalAuthority + "RevokeX509Authority"] = ChangesAuthorities,
        [LocalAuthority + "RevokeX509UpstreamAuthority"] = ChangesAuthorities,

        ["/signet.authority.v1.Authorities/List"] = ReadsAuthorities,
        ["/signet.authority.v1.AnchorRotation/GetStatus"] = ReadsAuthorities,
        ["/signet.authority.v1.AnchorRotation/Start"] = ChangesAuthorities,
        ["/signet.authority.v1.AnchorRotation/Abort"] = ChangesAuthorities,
        ["/signet.authority.v1.AnchorRotation/Force"] = ChangesAuthorities,

        [Logger + "GetLogger"] = ReadsServer,
        [Logger + "SetLogLevel"] = MethodRule.Write(AccessAction.ServerWrite).Everywhere,
        [Logger + "ResetLogLevel"] = MethodRule.Write(AccessAction.ServerWrite).Everywhere,
        ["/spire.api.server.debug.v1.Debug/GetInfo"] = ReadsServer,

        [AuditTrail + "Tail"] = MethodRule.Read(AccessAction.AuditRead).Everywhere,
        [AuditTrail + "Verify"] = MethodRule.Read(AccessAction.AuditRead).Everywhere,

        ["/signet.registration.v1.Registration/Apply"] = MethodRule.Write(AccessAction.EntryWrite),
        ["/signet.registration.v1.Registration/Explain"] = MethodRule.Read(AccessAction.EntryRead).Everywhere,
        ["/signet.mesh.v1.Mesh/Watch"] = MethodRule.OnlyFor(Callers.Agents, Audited.Call),
        ["/istio.mcp.v1alpha1.ResourceSource/EstablishResourceStream"] = TakesMesh,
        ["/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"] = TakesMesh,
        ["/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"] = TakesMesh,
        ["/signet.authority.v1.Revocations/Revoke"] = ChangesAuthorities,
        ["/signet.authority.v1.Revocations/List"] = ReadsAuthorities,
        ["/signet.node.v1.Node/Staple"] = MethodRule.OnlyFor(Callers.Agents, Audited.No),
        ["/signet.node.v1.Node/Watch"] = MethodRule.OnlyFor(Callers.Agents, Audited.Call),
        ["/grpc.health.v1.Health/Check"] = ReadsServer with { Audited = Audited.No },
        ["/grpc.health.v1.Health/Watch"] = ReadsServer with { Audited = Audited.No },
        ["/grpc.health.v1.Health/List"] = ReadsServer with { Audited = Audited.No },
        ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"] = ReadsServer with { Audited = Audited.No },
        ["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"] = ReadsServer with { Audited = Audited.No },
    };

    public static bool IsOpenToAnyone(string method) => Rules.TryGetValue(method, out var rule) && rule.Open.HasFlag(Callers.Anyone);

    /// <summary>Whether agents that prove themselves call as such, where a stranger may call as well.</summary>
    public static bool KnowsAgents(string method) => Rules.TryGetValue(method, out var rule) && rule.Open.HasFlag(Callers.Agents);

    /// <summary>Whether this caller may call this method, as far as that can be told before the message is read.</summary>
    public static AccessVerdict Judge(string method, Caller caller)
    {
        if (!Rules.TryGetValue(method, out var rule))
        {
            return AccessVerdict.Deny("the method is open to nobody");
        }

        if (IsOpenToAnyone(method))
        {
            return AccessVerdict.Allow("open to anyone");
        }

        return caller switch
        {
            Caller.Agent when rule.Open.HasFlag(Callers.Agents) => AccessVerdict.Allow("open to agents"),
            Caller.Workload { DownstreamEntry: { } entry } when rule.Open.HasFlag(Callers.Downstream) => AccessVerdict.Allow($"downstream entry {entry}"),
            _ when rule.Needs is { } action => rule.ByObject ? caller.Rights.JudgeSomewhere(action) : caller.Rights.JudgeEverywhere(action),
            _ => AccessVerdict.Deny($"open to {rule.Open.ToString().ToLowerInvariant()} only"),
        };
    }
}
