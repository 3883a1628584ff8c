using Grpc.Core;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Identities;
using Signet.Hosting.PeerCredentials;
using Signet.Identity.Registration;
using Signet.Identity.X509;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Explain;

namespace Signet.Agent.WorkloadApi;

/// <summary>signet.explain.v1.Explain: why a process gets an identity or does not, decided by the code that hands identities out.</summary>
internal sealed class ExplainService(WorkloadAttestor attestor, IdentityCache cache, NodeSync sync, IdentityKeeper keeper, SvidKeys keys, uint ownUid, TimeProvider time) : Explain.ExplainBase
{
    public override async Task<WorkloadResponse> Workload(WorkloadRequest request, ServerCallContext context)
    {
        var peer = context.PeerCredential();
        var verdict = request.Pid == 0 || request.Pid == peer.Pid
            ? await attestor.AttestAsync(peer, context.CancellationToken).ConfigureAwait(false)
            : await AttestAsync(request.Pid, peer.Uid, context.CancellationToken).ConfigureAwait(false);
        var (view, held, now) = (cache.Current.View, cache.Current.Held, time.GetUtcNow());
        var explanation = EntryExplainer.Explain(view.Entries, verdict.Selectors, _ => null, now);
        var response = new WorkloadResponse { AttestationProblem = verdict.Problem, Entries = view.Entries.Length, ServerProblem = sync.Problem };
        response.Selectors.AddRange(verdict.Selectors.OrderBy(selector => selector.ToString(), StringComparer.Ordinal).Select(selector => selector.ToWire()));
        response.Matches.AddRange(explanation.Matches.Select(entry => new Match
        {
            Entry = entry.ToWire(),
            NotAfter = held.GetValueOrDefault(entry.Id) is { } svid && svid.IsValid(now) ? svid.Svid.NotAfter.ToUnixTimeSeconds() : 0,
            Problem = keeper.Refusals.GetValueOrDefault(entry.Id, ""),
            KeyType = held.GetValueOrDefault(entry.Id) is { } has ? KeyTypes.NameOf(has.Svid.Leaf) : keys.TypeFor(entry).Name(),
        }));
        response.NearMisses.AddRange(explanation.NearMisses.Select(miss => miss.ToWire()));
        response.Notes.AddRange(verdict.Notes);
        return response;
    }

    // The process is looked at again afterwards: a number that was used anew meanwhile must not tell about somebody else.
    private async Task<WorkloadVerdict> AttestAsync(int pid, uint caller, CancellationToken cancellationToken)
    {
        if (!PinnedProcess.TryPin(pid, out var process))
        {
            throw new RpcException(new Status(StatusCode.NotFound, $"there is no process {pid} here"));
        }

        var verdict = caller == 0 || caller == ownUid || caller == process.Uid
            ? await attestor.AttestAsync(new WorkloadProcess(process.Pid, process.Uid, process.Gid, process.IsSame), cancellationToken).ConfigureAwait(false)
            : throw new RpcException(new Status(StatusCode.PermissionDenied, $"process {pid} is another user's; ask as that user or as root"));
        return process.IsSame() ? verdict : throw new RpcException(new Status(StatusCode.NotFound, $"process {pid} has ended"));
    }
}
