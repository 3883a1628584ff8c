using Signet.Agent.Identities;
using Signet.Client.Tls;
using Signet.Hosting.Distribution;
using Signet.Rpc.Wire.Mesh;

namespace Signet.Agent.Mesh;

/// <summary>Follows what the server says about the mesh. Every stream is opened under the agent's newest certificate. One task.</summary>
internal sealed class MeshSync(AgentIdentity identity, ServerLink server, NodeSync node, MeshHolder held, TimeProvider time, Func<double> chance)
{
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var credential = identity.Credential;
            using var era = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var replaced = CancelWhenReplacedAsync(credential, era);
            if (credential is not null)
            {
                var follower = new MeshFollower(server.WatchMesh, new MeshRequest { Name = "agent" }, Take, held.Tell, server.Explain, time, chance);
                await follower.RunAsync(era.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            await replaced.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task CancelWhenReplacedAsync(TlsCredential? credential, CancellationTokenSource era)
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

    private string? Take(MeshSnapshot snapshot)
    {
        held.Take(snapshot);
        return null;
    }
}
