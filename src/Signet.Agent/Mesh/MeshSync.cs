using Microsoft.Extensions.Logging;
using Signet.Agent.Identities;
using Signet.Hosting;
using Signet.Hosting.Distribution;
using Signet.Rpc.Wire.Mesh;

namespace Signet.Agent.Mesh;

/// <summary>
/// Keeps the mesh's configuration as the server said it last, whatever becomes of the server. Every stream is opened under the agent's newest certificate.
/// One task.
/// </summary>
internal sealed class MeshSync(AgentIdentity identity, ServerLink server, NodeSync node, MeshMemory memory, TimeProvider time, Func<double> chance, ILogger<MeshSync> log)
{
    private MeshOffer _current = Begin(memory, log);

    /// <summary>The last good snapshot, and why there is none or no newer one.</summary>
    public MeshOffer Current => Volatile.Read(ref _current);

    /// <summary>Raised after it has changed.</summary>
    public ChangeSignal Changes { get; } = new();

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var credential = identity.Credential;
            using var era = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var replaced = CancelWhenReplacedAsync(credential, era);
            if (credential is null)
            {
                await replaced.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                continue;
            }

            var follower = new MeshFollower(server.WatchMesh, new MeshRequest { Name = "agent" }, Take, Tell, server.Explain, time, chance);
            await follower.RunAsync(era.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await era.CancelAsync().ConfigureAwait(false);
            await replaced.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task CancelWhenReplacedAsync(Client.Tls.TlsCredential? credential, CancellationTokenSource era)
    {
        while (true)
        {
            var seen = node.Changes.Version;
            if (identity.Credential != credential)
            {
                await era.CancelAsync().ConfigureAwait(false);
                return;
            }

            await node.Changes.WaitAsync(seen, era.Token).ConfigureAwait(false);
        }
    }

    private static MeshOffer Begin(MeshMemory memory, ILogger<MeshSync> log)
    {
        var kept = memory.Recall(out var problem);
        if (problem.Length > 0)
        {
            log.MeshForgotten(problem);
        }

        return new MeshOffer(kept, kept is null ? "nothing has come from the server yet" : "nothing newer than at the last start has come from the server yet");
    }

    private string? Take(MeshSnapshot snapshot)
    {
        Volatile.Write(ref _current, new MeshOffer(snapshot, Current.Problem));
        log.MeshTaken(snapshot.Revision, snapshot.Documents.Count);
        Changes.Raise();
        try
        {
            memory.Keep(snapshot);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            log.MeshNotKept(snapshot.Revision, e.Message);
        }

        return null;
    }

    private void Tell(string problem)
    {
        if (problem.Length > 0)
        {
            log.MeshStays(problem);
        }

        Volatile.Write(ref _current, Current with { Problem = problem });
        Changes.Raise();
    }
}
