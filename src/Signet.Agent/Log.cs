using Microsoft.Extensions.Logging;

namespace Signet.Agent;

/// <summary>Everything that the agent writes to its log: event ids 3000 to 3999.</summary>
internal static partial class Log
{
    [LoggerMessage(3000, LogLevel.Information, "agent is ready: trust domain {TrustDomain}, server {Server}, socket {Socket}")]
    public static partial void AgentReady(this ILogger log, string trustDomain, string server, string socket);

    [LoggerMessage(3001, LogLevel.Information, "own identity renewed: {SpiffeId}, serial {Serial}, until {NotAfter:yyyy-MM-ddTHH:mm:ssZ}")]
    public static partial void AgentRenewed(this ILogger log, string spiffeId, string serial, DateTimeOffset notAfter);

    [LoggerMessage(3002, LogLevel.Warning, "no contact with the server, will try again: {Problem}")]
    public static partial void ServerOutOfReach(this ILogger log, string problem);

    [LoggerMessage(3003, LogLevel.Debug, "revision {Revision} applied: {Entries} entries")]
    public static partial void UpdateApplied(this ILogger log, ulong revision, int entries);

    [LoggerMessage(3004, LogLevel.Error, "revision {Revision} from the server refused, the last good one stays: {Problem}")]
    public static partial void UpdateRefused(this ILogger log, ulong revision, string problem);

    [LoggerMessage(3010, LogLevel.Information, "SVID renewed: {SpiffeId}, serial {Serial}, until {NotAfter:yyyy-MM-ddTHH:mm:ssZ}")]
    public static partial void SvidRenewed(this ILogger log, string spiffeId, string serial, DateTimeOffset notAfter);

    [LoggerMessage(3011, LogLevel.Warning, "{Count} SVIDs could not be renewed, the valid ones stay in use: {Problem}")]
    public static partial void SigningFailed(this ILogger log, int count, string problem);

    [LoggerMessage(3012, LogLevel.Warning, "the server refused an SVID for entry {Entry}: {Reason}")]
    public static partial void SigningRefused(this ILogger log, string entry, string reason);

    [LoggerMessage(3013, LogLevel.Warning, "no new JWT-SVID of {SpiffeId}, the last one stays in use while it is valid: {Reason}")]
    public static partial void TokenNotSigned(this ILogger log, string spiffeId, string reason);

    [LoggerMessage(3020, LogLevel.Information, "workload pid {Pid} gets {SpiffeIds} by selectors {Selectors}")]
    public static partial void WorkloadServed(this ILogger log, int pid, string spiffeIds, string selectors);

    [LoggerMessage(3021, LogLevel.Warning, "workload pid {Pid} gets no identity: no entry matches its selectors {Selectors}")]
    public static partial void WorkloadWithoutIdentity(this ILogger log, int pid, string selectors);

    [LoggerMessage(3022, LogLevel.Warning, "workload pid {Pid} could not be attested: {Problem}")]
    public static partial void WorkloadNotAttested(this ILogger log, int pid, string problem);

    [LoggerMessage(3030, LogLevel.Warning, "SDS client {Node} (pid {Pid}) rejected version {Version}: {Problem}")]
    public static partial void SdsRejected(this ILogger log, string node, int pid, string version, string problem);

    [LoggerMessage(3031, LogLevel.Warning, "SDS client {Node} (pid {Pid}) does not get {Names}")]
    public static partial void SdsUnknownNames(this ILogger log, string node, int pid, string names);

    [LoggerMessage(3400, LogLevel.Information, "delegate {SpiffeId} (pid {Pid}) asks for {What} of {Of}, which gets {SpiffeIds}")]
    public static partial void DelegateServed(this ILogger log, string spiffeId, int pid, string what, string of, string spiffeIds);

    [LoggerMessage(3401, LogLevel.Warning, "pid {Pid} (user {Uid}) is no delegate and is refused {What}: {Reason}")]
    public static partial void DelegateRefused(this ILogger log, int pid, uint uid, string what, string reason);

    [LoggerMessage(3402, LogLevel.Warning, "connection of pid {Pid} closed: processes of user {Uid} have {Count} connections open already")]
    public static partial void TooManyConnections(this ILogger log, int pid, uint uid, int count);

    [LoggerMessage(3500, LogLevel.Warning, "own identity could not be renewed, it is valid until {NotAfter:yyyy-MM-ddTHH:mm:ssZ} and stays in use: {Problem}")]
    public static partial void AgentRenewalFailed(this ILogger log, DateTimeOffset notAfter, string problem);

    [LoggerMessage(3501, LogLevel.Error, "own identity could not be renewed and expires soon, at {NotAfter:yyyy-MM-ddTHH:mm:ssZ}: {Problem}")]
    public static partial void AgentRenewalFailedNearEnd(this ILogger log, DateTimeOffset notAfter, string problem);

    [LoggerMessage(3502, LogLevel.Warning, "the clock jumped by {Jump}, or the machine slept: everything is looked at anew")]
    public static partial void ClockJumped(this ILogger log, TimeSpan jump);

    [LoggerMessage(3503, LogLevel.Warning, "SVIDs of {SpiffeId} and others live {Lifetime}, too short to leave {Target} at any time; they are renewed as early as is reasonable, give them {Needed} (server: svid.x509Ttl, or the entry's)")]
    public static partial void AvailabilityOutOfReach(this ILogger log, string spiffeId, string lifetime, string target, string needed);

    [LoggerMessage(3504, LogLevel.Error, "the cache is full: {Count} SVIDs that workloads wait for have no room; raise cache.svids ({Svids}) or cache.bytes ({Bytes})")]
    public static partial void CacheFull(this ILogger log, int count, int svids, long bytes);

    [LoggerMessage(3505, LogLevel.Warning, "trust begins anew from {File}, which was changed since it last counted: what was known does not prove the server any more, and its anchors do")]
    public static partial void TrustBeginsAnew(this ILogger log, string file);

    [LoggerMessage(3510, LogLevel.Information, "resumed from the disk: {Entries} entries and {Svids} SVIDs, last known to hold {Age} ago, in {Milliseconds} ms")]
    public static partial void CacheRestored(this ILogger log, int entries, int svids, string age, long milliseconds);

    [LoggerMessage(3511, LogLevel.Warning, "what was kept of {Kind} on the disk is not used: {Reason}")]
    public static partial void CacheIgnored(this ILogger log, string kind, string reason);

    [LoggerMessage(3512, LogLevel.Error, "what is served could not be kept on the disk, a restart would need the server: {Problem}")]
    public static partial void CacheNotKept(this ILogger log, string problem);

    [LoggerMessage(3600, LogLevel.Information, "mesh revision {Revision} is here: {Documents} documents")]
    public static partial void MeshTaken(this ILogger log, ulong revision, int documents);

    [LoggerMessage(3601, LogLevel.Warning, "no newer mesh configuration, the last good one stays: {Problem}")]
    public static partial void MeshStays(this ILogger log, string problem);

    [LoggerMessage(3602, LogLevel.Error, "proxy {Proxy} refused mesh revision {Revision}: {Problem}")]
    public static partial void MeshRefusedByProxy(this ILogger log, string proxy, ulong revision, string problem);

    [LoggerMessage(3603, LogLevel.Error, "mesh revision {Revision} cannot be kept for the next start: {Problem}")]
    public static partial void MeshNotKept(this ILogger log, ulong revision, string problem);

    [LoggerMessage(3604, LogLevel.Error, "the mesh configuration of before the start is not used: {Problem}")]
    public static partial void MeshForgotten(this ILogger log, string problem);

    [LoggerMessage(3610, LogLevel.Warning, "no contact with MCP source {Source}, what it told of stays: {Problem}")]
    public static partial void McpOutOfReach(this ILogger log, string source, string problem);

    [LoggerMessage(3611, LogLevel.Error, "{Collection} from MCP source {Source} refused, what was told before stays: {Problem}")]
    public static partial void McpRefused(this ILogger log, string source, string collection, string problem);

    [LoggerMessage(3710, LogLevel.Warning, "workload pid {Pid} brought a token that is refused: {Reason}")]
    public static partial void WorkloadTokenRefused(this ILogger log, int pid, string reason);

    [LoggerMessage(3711, LogLevel.Error, "keys of workload tokens in {File} refused, the last good ones stay: {Problem}")]
    public static partial void WorkloadTokenKeysRefused(this ILogger log, string file, string problem);

    [LoggerMessage(3800, LogLevel.Warning, "{Count} WIT-SVIDs could not be signed, the valid ones stay in use: {Problem}")]
    public static partial void WitsNotSigned(this ILogger log, int count, string problem);

    [LoggerMessage(3850, LogLevel.Warning, "the staple for certificate {Serial} is not used: {Problem}")]
    public static partial void StapleRefused(this ILogger log, string serial, string problem);

    [LoggerMessage(3851, LogLevel.Warning, "staples are not refreshed, the last ones serve until they end: {Problem}")]
    public static partial void StaplesNotRefreshed(this ILogger log, string problem);
}
