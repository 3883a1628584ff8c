using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;

namespace Signet.Server;

/// <summary>Everything that the server writes to its log: event ids 2000 to 2999.</summary>
internal static partial class Log
{
    [LoggerMessage(2000, LogLevel.Information, "server is ready: trust domain {TrustDomain}, gRPC on {Listen}, admin on {Socket}")]
    public static partial void ServerReady(this ILogger log, string trustDomain, string listen, string socket);

    [LoggerMessage(2001, LogLevel.Information, "agent connected: {Agent}")]
    public static partial void AgentConnected(this ILogger log, string agent);

    [LoggerMessage(2002, LogLevel.Information, "agent disconnected: {Agent}")]
    public static partial void AgentDisconnected(this ILogger log, string agent);

    [LoggerMessage(2003, LogLevel.Warning, "agent {Agent} could not apply revision {Revision}: {Problem}")]
    public static partial void AgentRefusedUpdate(this ILogger log, string agent, ulong revision, string problem);

    [LoggerMessage(2010, LogLevel.Information, "join token created by {Caller}, good until {ExpiresAt}")]
    public static partial void JoinTokenCreated(this ILogger log, string caller, DateTimeOffset expiresAt);

    [LoggerMessage(2012, LogLevel.Information, "agent attested: {Agent}, serial {Serial}, certificate until {NotAfter}")]
    public static partial void AgentAttested(this ILogger log, string agent, string serial, DateTimeOffset notAfter);

    [LoggerMessage(2013, LogLevel.Information, "JWT-SVID of {SpiffeId} for {Audiences} minted by {Caller}")]
    public static partial void TokenMinted(this ILogger log, string spiffeId, string audiences, string caller);

    [LoggerMessage(2020, LogLevel.Information, "authority {Step}: {Tier} {Authority}, valid until {NotAfter}")]
    public static partial void AuthorityTurned(this ILogger log, string step, AuthorityTier tier, string authority, DateTimeOffset notAfter);

    [LoggerMessage(2021, LogLevel.Error, "{Duty} failed, will be tried again: {Reason}")]
    public static partial void UpkeepFailed(this ILogger log, string duty, string reason);

    [LoggerMessage(2022, LogLevel.Warning, "SVIDs may live {SvidTtl}, but the issuing authority guarantees only {Guaranteed}; some will be cut short; raise ca.ttl to at least {Advice} or lower svid.x509Ttl")]
    public static partial void SvidTtlAboveGuarantee(this ILogger log, string svidTtl, string guaranteed, string advice);

    [LoggerMessage(2023, LogLevel.Information, "server identity renewed: serial {Serial}, until {NotAfter}")]
    public static partial void ServerIdentityRenewed(this ILogger log, string serial, DateTimeOffset notAfter);

    [LoggerMessage(2030, LogLevel.Warning, "call {Method} by {Caller} refused: {Reason}")]
    public static partial void CallRefused(this ILogger log, string method, string caller, string reason);

    [LoggerMessage(2031, LogLevel.Warning, "handshake of {Peer} refused: {Reason}")]
    public static partial void HandshakeRefused(this ILogger log, string peer, string reason);

    [LoggerMessage(2032, LogLevel.Error, "the alias {Alias} of agent {Agent} could not be registered: {Reason}; register it with: signet entry create")]
    public static partial void AliasNotRegistered(this ILogger log, string alias, string agent, string reason);

    [LoggerMessage(2100, LogLevel.Information, "rotation of the anchor: {Anchor} is published in bundle {Sequence} and signs nothing until everybody has it; begun by {By}")]
    public static partial void AnchorAnnounced(this ILogger log, string anchor, ulong sequence, string by);

    [LoggerMessage(2101, LogLevel.Information, "rotation of the anchor: {Anchor} signs now, issuing authority {Issuing} stands below it; what chains to the old anchor is replaced")]
    public static partial void AnchorSwitched(this ILogger log, string anchor, string issuing);

    [LoggerMessage(2102, LogLevel.Information, "rotation of the anchor: {Anchor} has taken over, the old anchor is gone")]
    public static partial void AnchorRotated(this ILogger log, string anchor);

    [LoggerMessage(2103, LogLevel.Warning, "rotation of the anchor, stage {Stage}, waits for {Count}: {Laggards}")]
    public static partial void AnchorRotationWaits(this ILogger log, AnchorStage stage, int count, string laggards);

    [LoggerMessage(2104, LogLevel.Warning, "rotation of the anchor, stage {Stage}, will not wait, by order of {By}: {Reason}")]
    public static partial void AnchorRotationForced(this ILogger log, AnchorStage stage, string by, string reason);

    [LoggerMessage(2105, LogLevel.Warning, "rotation of the anchor, stage {Stage}, went on without {Count} that were behind ({Laggards}): {Reason}")]
    public static partial void LaggardsPassed(this ILogger log, AnchorStage stage, int count, string laggards, string reason);

    [LoggerMessage(2106, LogLevel.Warning, "rotation of the anchor to {Anchor} was aborted by {By}")]
    public static partial void AnchorRotationAborted(this ILogger log, string anchor, string by);

    [LoggerMessage(2107, LogLevel.Warning, "authority {Tier} {Authority} was {What} by {By}")]
    public static partial void AuthorityOrdered(this ILogger log, AuthorityTier tier, string authority, string what, string by);

    [LoggerMessage(2108, LogLevel.Information, "issuing authority {Authority}, valid until {NotAfter}, was installed from upstream, with {Anchors} anchors")]
    public static partial void UpstreamInstalled(this ILogger log, string authority, DateTimeOffset notAfter, int anchors);

    [LoggerMessage(2109, LogLevel.Error, "no issuing authority can be had from upstream; what was installed before stays in force: {Problem}")]
    public static partial void UpstreamRefused(this ILogger log, string problem);

    [LoggerMessage(2110, LogLevel.Warning, "authority {Tier} {Authority} expires in {Remaining}: {Advice}")]
    public static partial void AuthorityExpires(this ILogger log, AuthorityTier tier, string authority, string remaining, string advice);

    [LoggerMessage(2111, LogLevel.Warning, "the clock jumped by {Jump}; authorities that look expired are kept until it has gone steadily for {Settling}")]
    public static partial void ClockJumped(this ILogger log, TimeSpan jump, TimeSpan settling);

    [LoggerMessage(2550, LogLevel.Warning, "keys are kept in memory, and those from before this start are gone: {Count} authorities are forgotten; whoever trusts no other needs the bundle anew (signet bundle show)")]
    public static partial void VolatileKeysLost(this ILogger log, int count);

    [LoggerMessage(2551, LogLevel.Information, "a new issuing authority is needed from upstream: {Reason}")]
    public static partial void IssuerNeeded(this ILogger log, string reason);

    [LoggerMessage(2552, LogLevel.Warning, "revocation list {Number}, good until {NextUpdate}, was taken over; {Count} authorities are revoked by it: {Authorities}")]
    public static partial void RevocationListTaken(this ILogger log, string number, DateTimeOffset nextUpdate, int count, string authorities);

    [LoggerMessage(2200, LogLevel.Error, "audit trail {File}: {Reason}")]
    public static partial void AuditTrailAmended(this ILogger log, string file, string reason);

    [LoggerMessage(2201, LogLevel.Error, "{Reason}; calls are refused until they can be recorded")]
    public static partial void AuditTrailFailed(this ILogger log, string reason);

    [LoggerMessage(2202, LogLevel.Information, "audit trail file {File} was deleted: {Keep} newer ones are kept")]
    public static partial void AuditFileDeleted(this ILogger log, string file, int keep);

    [LoggerMessage(2210, LogLevel.Warning, "agent banned: {Agent}, by {Caller}")]
    public static partial void AgentBanned(this ILogger log, string agent, string caller);

    [LoggerMessage(2211, LogLevel.Information, "agent evicted: {Agent}, by {Caller}")]
    public static partial void AgentEvicted(this ILogger log, string agent, string caller);

    [LoggerMessage(2212, LogLevel.Information, "{Count} agents were forgotten that had expired more than {Age} ago and can attest again")]
    public static partial void AgentsPurged(this ILogger log, int count, string age);

    [LoggerMessage(2213, LogLevel.Information, "authority for a server below signed: serial {Serial}, until {NotAfter}, for {Caller}")]
    public static partial void DownstreamAuthoritySigned(this ILogger log, string serial, DateTimeOffset notAfter, string caller);

    [LoggerMessage(2220, LogLevel.Warning, "{Warning}")]
    public static partial void SettingWithoutEffect(this ILogger log, string warning);

    [LoggerMessage(2300, LogLevel.Information, "bundle of {TrustDomain} taken: sequence {Sequence}, {Authorities} authorities, {Keys} JWT keys; next look in {Interval}")]
    public static partial void BundleRefreshed(this ILogger log, string trustDomain, ulong? sequence, int authorities, int keys, string interval);

    [LoggerMessage(2301, LogLevel.Warning, "bundle of {TrustDomain} could not be fetched from {Url}, what was fetched before stays in use: {Reason}")]
    public static partial void BundleNotRefreshed(this ILogger log, string trustDomain, string url, string reason);

    [LoggerMessage(2302, LogLevel.Information, "relationship with {TrustDomain} {Change} by {Caller}")]
    public static partial void RelationshipChanged(this ILogger log, string trustDomain, string change, string caller);

    [LoggerMessage(2303, LogLevel.Information, "bundle of {TrustDomain} {Change} by {Caller}")]
    public static partial void BundleChanged(this ILogger log, string trustDomain, string change, string caller);

    [LoggerMessage(2310, LogLevel.Information, "certificate of the HTTP listener was read again from {File}: valid until {NotAfter}")]
    public static partial void WebCertificateTaken(this ILogger log, string file, DateTimeOffset notAfter);

    [LoggerMessage(2311, LogLevel.Error, "certificate of the HTTP listener, {File}, {Problem}; the one before stays in use")]
    public static partial void WebCertificateRefused(this ILogger log, string file, string problem);

    [LoggerMessage(2312, LogLevel.Error, "{Path} could not be answered: {Reason}")]
    public static partial void PublicAnswerFailed(this ILogger log, string path, string reason);

    [LoggerMessage(2320, LogLevel.Warning, "node refused by {Attestor}, from {Caller}: {Reason}")]
    public static partial void NodeRefused(this ILogger log, string attestor, string caller, string reason);

    [LoggerMessage(2321, LogLevel.Error, "{Files} can't be taken over, nodes are judged by what they held before: {Problem}")]
    public static partial void AttestationFilesRefused(this ILogger log, string files, string problem);

    [LoggerMessage(2400, LogLevel.Information, "entries of {Folder} applied: {Created} created, {Updated} updated, {Deleted} deleted")]
    public static partial void DesiredStateApplied(this ILogger log, string folder, int created, int updated, int deleted);

    [LoggerMessage(2401, LogLevel.Error, "entries of {Folder} not applied, the last good ones stay: {Problem}")]
    public static partial void DesiredStateNotApplied(this ILogger log, string folder, string problem);

    [LoggerMessage(2402, LogLevel.Warning, "{Count} entries of {Folder} were changed by hand and are put back; change the files instead")]
    public static partial void DriftPutBack(this ILogger log, string folder, int count);

    [LoggerMessage(2403, LogLevel.Warning, "the entry wanted for {SpiffeId} is there as {Entry} and belongs to {Holder}; it is left alone")]
    public static partial void DesiredEntryHeldByOther(this ILogger log, string spiffeId, string entry, string holder);

    [LoggerMessage(2404, LogLevel.Warning, "no identity for a pod: {Problem}")]
    public static partial void PodSkipped(this ILogger log, string problem);

    [LoggerMessage(2700, LogLevel.Information, "mesh revision {Revision} is in force: {Documents} documents from {Folder}")]
    public static partial void MeshTaken(this ILogger log, ulong revision, int documents, string folder);

    [LoggerMessage(2701, LogLevel.Error, "mesh of {Folder} not in force, the last good one stays: {Problem}")]
    public static partial void MeshRefused(this ILogger log, string folder, string problem);

    [LoggerMessage(2702, LogLevel.Warning, "mesh: {Doubt}")]
    public static partial void MeshDoubtful(this ILogger log, string doubt);

    [LoggerMessage(2703, LogLevel.Error, "agent {Agent} refused mesh revision {Revision}: {Problem}")]
    public static partial void MeshRefusedByAgent(this ILogger log, string agent, ulong revision, string problem);

    [LoggerMessage(2710, LogLevel.Error, "mesh does not go by MCP, sinks keep what they have: {Problem}")]
    public static partial void McpNotPublished(this ILogger log, string problem);

    [LoggerMessage(2711, LogLevel.Warning, "MCP sink {Sink} refused {Collection}: {Problem}")]
    public static partial void McpRefused(this ILogger log, string sink, string collection, string problem);

    [LoggerMessage(2712, LogLevel.Information, "MCP sink {Sink} asks for {Collection}, which is not served; it is told that there is nothing")]
    public static partial void McpUnknownCollection(this ILogger log, string sink, string collection);

    [LoggerMessage(2800, LogLevel.Warning, "certificate {Serial} of {SpiffeId} was revoked by {By}: {Reason}")]
    public static partial void CertificateRevoked(this ILogger log, string serial, string spiffeId, string reason, string by);

    [LoggerMessage(2850, LogLevel.Information, "{Kind} of the cluster is followed: {Count} objects")]
    public static partial void KubernetesListed(this ILogger log, string kind, int count);

    [LoggerMessage(2851, LogLevel.Warning, "{Kind} of the cluster is not followed, what was known stays: {Problem}")]
    public static partial void KubernetesNotFollowed(this ILogger log, string kind, string problem);

    [LoggerMessage(2801, LogLevel.Error, "a private key of an authority that is gone could not be deleted; it is tried again with the next change of the authorities, or delete it by hand: {Problem}")]
    public static partial void KeyNotDeleted(this ILogger log, string problem);

    [LoggerMessage(2950, LogLevel.Error, "mesh of {Folder} only partly in force: {Problem}")]
    public static partial void MeshHeldBack(this ILogger log, string folder, string problem);
}
