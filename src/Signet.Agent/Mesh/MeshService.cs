using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Agent.Identities;
using Signet.Agent.WorkloadApi;
using Signet.Hosting.Distribution;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Mesh;

namespace Signet.Agent.Mesh;

/// <summary>signet.mesh.v1.Mesh for the proxies on the agent's socket: what concerns the workload that calls, by what was attested of it and not by what it says.</summary>
internal sealed class MeshService(WorkloadSubjects subjects, IdentityCache identities, MeshHolder held, MeshAudience audience, string? otherwise, ILogger<MeshService> log)
    : Rpc.Wire.Mesh.Mesh.MeshBase
{
    private const int MaxName = 128;

    public override async Task Watch(IAsyncStreamReader<MeshRequest> requestStream, IServerStreamWriter<MeshUpdate> responseStream, ServerCallContext context)
    {
        var subject = subjects.Of(context);
        var name = subject.NameFor(subject.Now());
        if (!await requestStream.MoveNext(context.CancellationToken).ConfigureAwait(false))
        {
            return;
        }

        var hello = requestStream.Current;
        if (hello.Name.Length > MaxName || hello.Namespace.Length > MaxName)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"a name or namespace of more than {MaxName} characters"));
        }

        using var seat = audience.Open(hello.Name.Length > 0 ? $"{name} {Printable.Of(hello.Name)}" : name);
        await new MeshPush(requestStream, responseStream, seat, (revision, problem) => log.MeshRefusedByProxy(name, revision, problem))
            .RunAsync(new View(this, subject, hello.Namespace).Offer, [held.Changes, identities.Changes], context.CancellationToken).ConfigureAwait(false);
    }

    private MeshOffer Current => held.Current;

    private IReadOnlySet<string> NamespacesOf(WorkloadSubject subject, string claimed)
    {
        var ids = subject.Now().Matching.Select(entry => entry.SpiffeId).ToArray();
        var namespaces = MeshNamespaces.Of(ids, subject.Selectors, otherwise);
        if (namespaces.Count == 0)
        {
            throw Denied($"{ids[0]} says no namespace (…/ns/NAMESPACE/sa/ACCOUNT), so which policies concern it is not known; set mesh: {{namespace: …}} in the agent's configuration, or give the proxy a policy folder");
        }

        // A proxy that believes to be elsewhere would apply nothing of what it gets.
        return namespaces.Contains(claimed)
            ? namespaces
            : throw Denied($"{ids[0]} is in namespace {string.Join(" and ", namespaces.Order(StringComparer.Ordinal))}, and the proxy's workload.namespace is \"{Printable.Of(claimed)}\"; set it right");
    }

    private static RpcException Denied(string problem) => new(new Status(StatusCode.PermissionDenied, problem));

    /// <summary>What one proxy is offered; sorted out again only when the snapshot or the namespaces are others. One caller.</summary>
    private sealed class View(MeshService service, WorkloadSubject subject, string claimed)
    {
        private MeshSnapshot? _all;
        private MeshSnapshot? _mine;
        private IReadOnlySet<string> _namespaces = new HashSet<string>();

        public MeshOffer Offer()
        {
            var (namespaces, (snapshot, problem)) = (service.NamespacesOf(subject, claimed), service.Current);
            if (!ReferenceEquals(snapshot, _all) || !namespaces.SetEquals(_namespaces))
            {
                (_all, _mine, _namespaces) = (snapshot, snapshot?.For(namespaces), namespaces);
            }

            return new MeshOffer(_mine, problem);
        }
    }
}
