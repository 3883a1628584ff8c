using Microsoft.Extensions.Logging;

namespace Signet.Proxy;

/// <summary>Everything that the proxy writes to its log: event ids 4000 to 4999. Single connections and requests are in the access log.</summary>
internal static partial class Log
{
    [LoggerMessage(4000, LogLevel.Information, "listening on {EndPoint} as {Listener}")]
    public static partial void Listening(ILogger log, string endPoint, string listener);

    [LoggerMessage(4001, LogLevel.Warning, "{Listener} cannot accept connections, tries again in {Pause}: {Problem}")]
    public static partial void AcceptFailed(ILogger log, string listener, string pause, string problem);

    [LoggerMessage(4002, LogLevel.Error, "connection {Connection} on {Listener} ended by a defect in the proxy")]
    public static partial void ConnectionFailed(ILogger log, long connection, string listener, Exception exception);

    [LoggerMessage(4003, LogLevel.Information, "draining: no new connections, {Count} under way")]
    public static partial void Draining(ILogger log, int count);

    [LoggerMessage(4004, LogLevel.Warning, "drained as long as allowed, {Count} connections are closed now")]
    public static partial void DrainCutShort(ILogger log, int count);

    [LoggerMessage(4005, LogLevel.Information, "process {Pid} is to follow this one and has its {Count} listening sockets")]
    public static partial void SuccessorComes(ILogger log, int pid, int count);

    [LoggerMessage(4006, LogLevel.Information, "process {Pid} has taken over; this one drains and ends")]
    public static partial void Succeeded(ILogger log, int pid);

    [LoggerMessage(4007, LogLevel.Warning, "process {Pid} of user {Uid} does not take over, this one goes on: {Problem}")]
    public static partial void SuccessorRefused(ILogger log, int pid, uint uid, string problem);

    [LoggerMessage(4008, LogLevel.Error, "nobody can take over any more, {Path} does not work: {Problem}")]
    public static partial void HandoverClosed(ILogger log, string path, string problem);

    [LoggerMessage(4040, LogLevel.Information, "took over from process {Pid}")]
    public static partial void TookOver(ILogger log, int pid);

    [LoggerMessage(4041, LogLevel.Warning, "process {Pid}, which was to make room, has ended; its listening sockets are here")]
    public static partial void PredecessorGone(ILogger log, int pid);

    [LoggerMessage(4042, LogLevel.Information, "{EndPoint}, where the process before listened, is not configured any more and closed")]
    public static partial void PlaceLeft(ILogger log, string endPoint);

    [LoggerMessage(4010, LogLevel.Information, "identity is {SpiffeId}, serial {Serial}, until {NotAfter:yyyy-MM-ddTHH:mm:ssZ}")]
    public static partial void IdentityChanged(ILogger log, string spiffeId, string serial, DateTimeOffset notAfter);

    [LoggerMessage(4011, LogLevel.Warning, "identity was withdrawn, connections are refused until there is a new one: {Problem}")]
    public static partial void IdentityWithdrawn(ILogger log, string problem);

    [LoggerMessage(4012, LogLevel.Error, "identity {SpiffeId} cannot be used, the previous one stays: {Problem}")]
    public static partial void IdentityUnusable(ILogger log, string spiffeId, string problem);

    [LoggerMessage(4013, LogLevel.Error, "files of a DestinationRule cannot be used, the previous ones stay: {Problem}")]
    public static partial void CredentialUnusable(ILogger log, string problem);

    [LoggerMessage(4020, LogLevel.Information, "policy is in force: {Count} objects from {Folder}")]
    public static partial void PolicyLoaded(ILogger log, int count, string folder);

    [LoggerMessage(4029, LogLevel.Error, "revision {Revision} from the agent refused, the last good one stays: {Problem}")]
    public static partial void MeshRefused(ILogger log, ulong revision, string problem);

    [LoggerMessage(4021, LogLevel.Error, "policy {Problem}; what it covers is denied until it can be understood")]
    public static partial void PolicyNotUnderstood(ILogger log, string problem);

    [LoggerMessage(4022, LogLevel.Warning, "policy {Problem}")]
    public static partial void PolicyDoubtful(ILogger log, string problem);

    [LoggerMessage(4023, LogLevel.Error, "mesh settings {Problem}; the last good ones stay in force")]
    public static partial void MeshSettingsNotUnderstood(ILogger log, string problem);

    [LoggerMessage(4024, LogLevel.Information, "{Count} token keys fetched from {Uri}")]
    public static partial void TokenKeysFetched(ILogger log, int count, string uri);

    [LoggerMessage(4025, LogLevel.Warning, "token keys cannot be fetched from {Uri}, {Consequence}: {Problem}")]
    public static partial void TokenKeysNotFetched(ILogger log, string uri, string consequence, string problem);

    [LoggerMessage(4026, LogLevel.Error, "an event loop ran into something unexpected and goes on")]
    public static partial void LoopFault(ILogger log, Exception exception);

    [LoggerMessage(4031, LogLevel.Warning, "spans cannot be delivered to {EndPoint}, they are dropped: {Problem}")]
    public static partial void SpansNotDelivered(ILogger log, string endPoint, string problem);

    [LoggerMessage(4030, LogLevel.Error, "access log {Path} cannot be written, records are dropped: {Problem}")]
    public static partial void AccessLogFailed(ILogger log, string path, string problem);
}
