using Grpc.Core;
using Signet.Agent.Identities;
using Signet.Agent.Mesh;
using Signet.Agent.WorkloadApi;
using Signet.Hosting.PeerCredentials;
using Signet.Rpc.Wire.AgentState;

namespace Signet.Agent.State;

/// <summary>signet.agent.v1.AgentState: what the agent holds and whom it serves, for root and its own user. Certificates' names and times, never a key or token.</summary>
internal sealed class AgentStateService(AgentConfig config, AgentIdentity identity, NodeSync sync, IdentityCache cache, ClientLedger clients, AgentMesh mesh, uint ownUid) : AgentState.AgentStateBase
{
    private const int DefaultLimit = 1_000;
    private const int MaxLimit = 10_000;

    public override Task<ShowResponse> Show(ShowRequest request, ServerCallContext context)
    {
        var uid = context.PeerCredential().Uid;
        if (uid != 0 && uid != ownUid)
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, "only root and the agent's own user may see its state; ask as one of them"));
        }

        var limit = request.Limit == 0 ? DefaultLimit : (int)Math.Min(request.Limit, MaxLimit);
        var (snapshot, own) = (cache.Current, identity.Credential?.Svid);
        var view = snapshot.View;
        var seats = clients.Clients(snapshot);
        var (configuration, problem) = mesh.Held.Current;
        var response = new ShowResponse
        {
            TrustDomain = config.TrustDomain.Name,
            Server = $"{config.Server.Host}:{config.Server.Port}",
            ServerProblem = sync.Problem,
            SpiffeId = own?.Id.Uri ?? "",
            Serial = own?.Leaf.SerialHex ?? "",
            NotAfter = own?.NotAfter.ToUnixTimeSeconds() ?? 0,
            RenewAt = own is null ? 0 : identity.RenewAt.ToUnixTimeSeconds(),
            Revision = view.Revision,
            BundleSequence = view.Own?.Sequence ?? 0,
            Entries = (uint)view.Entries.Length,
            IdentityCount = (uint)snapshot.Held.Count,
            ClientCount = (uint)seats.Count,
            Configuration = new Configuration { Revision = configuration?.Revision ?? 0, Problem = problem, DocumentCount = (uint)(configuration?.Documents.Count ?? 0) },
        };
        if (mesh.PodsProblem is { } pods)
        {
            response.Pods = new Pods { Count = (uint)mesh.Pods.Count, Problem = pods() };
        }

        response.TrustDomains.AddRange(view.Bundles.All.Select(bundle => bundle.TrustDomain.Name));
        response.Identities.AddRange(snapshot.Held.Values.OrderBy(held => held.Svid.NotAfter).Take(limit).Select(held => new Rpc.Wire.AgentState.Identity
        {
            SpiffeId = held.Svid.Id.Uri,
            Entry = held.Entry.Id,
            Serial = held.Svid.Leaf.SerialHex,
            NotAfter = held.Svid.NotAfter.ToUnixTimeSeconds(),
            RenewAt = held.RenewAt.ToUnixTimeSeconds(),
        }));
        response.Clients.AddRange(seats.Take(limit).Select(seat => new Rpc.Wire.AgentState.Client { Name = seat.Name, Pid = seat.Pid, IsBehind = seat.IsBehind }));
        response.Configuration.Documents.AddRange((configuration?.Documents.Values.OrderBy(one => one.Name, StringComparer.Ordinal) ?? Enumerable.Empty<Hosting.Distribution.MeshDocument>()).Take(limit)
            .Select(one => new Document { Name = one.Name, Everywhere = one.Everywhere, Size = (uint)one.Text.Length }));
        response.Configuration.Proxies.AddRange(mesh.Audience.Standings.Take(limit).Select(one => new Proxy
        {
            Name = one.Name,
            Since = one.Since.ToUnixTimeSeconds(),
            Sent = one.Sent,
            Acknowledged = one.Acknowledged,
            Refused = one.Refused,
            Problem = one.Problem,
        }));
        return Task.FromResult(response);
    }
}
