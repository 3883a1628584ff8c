using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Hosting;
using Signet.Hosting.Distribution;
using Signet.Hosting.Distribution.Wire;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Mesh;
using Signet.Server.Api;
using Signet.Server.Attestation;
using Signet.Server.Registration;

namespace Signet.Server.ControlPlane;

/// <summary>signet.mesh.v1.Mesh for agents: all that their proxies may need, and what differs at each change.</summary>
/// <param name="source">What there is; null when nothing is distributed.</param>
/// <param name="audience">Who listens.</param>
/// <param name="agents">Who may.</param>
/// <param name="entries">Wakes whom a change of agents concerns.</param>
/// <param name="time">The clock.</param>
/// <param name="log">Where it logs.</param>
internal sealed class MeshWatchService(MeshSource? source, MeshAudience audience, AgentDirectory agents, EntryDirectory entries, TimeProvider time, ILogger<MeshWatchService> log)
    : Rpc.Wire.Mesh.Mesh.MeshBase
{
    private const string NotConfigured = "the server distributes no policies; set policy: {folder: DIR} in its configuration";
    private static readonly TimeSpan LongestStream = TimeSpan.FromDays(1);
    private static readonly ChangeSignal Never = new();

    private readonly MeshUpdateMemo _memo = new();

    public override async Task Watch(IAsyncStreamReader<MeshRequest> requestStream, IServerStreamWriter<MeshUpdate> responseStream, ServerCallContext context)
    {
        var (agent, expiresAt) = CallerOf.Attested(context);
        var left = expiresAt - time.GetUtcNow();
        using var expiry = new CancellationTokenSource(left < TimeSpan.Zero ? TimeSpan.Zero : left < LongestStream ? left : LongestStream, time);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, expiry.Token);
        if (!await requestStream.MoveNext(stop.Token).ConfigureAwait(false))
        {
            return;
        }

        using var watch = entries.Watchers.Begin();
        watch.Follow(new HashSet<SpiffeId> { agent });
        using var seat = audience.Open(agent.Uri);
        try
        {
            await new MeshPush(requestStream, responseStream, seat, (revision, problem) => log.MeshRefusedByAgent(agent.Uri, revision, problem), _memo)
                .RunAsync(() => Offer(agent), [source?.Changes ?? Never, watch.Changes], stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The connection ended, the server stops, or the certificate that opened the stream has expired.
        }
    }

    private MeshOffer Offer(SpiffeId agent) => agents.Find(agent) is not { Banned: false } ? throw Rpcs.Denied("the agent is not known here any more")
        : source is null ? new MeshOffer(null, NotConfigured)
        : new MeshOffer(source.Current?.Snapshot, source.Problem);
}
