using System.Globalization;
using Grpc.Core;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Identities;
using Signet.Hosting.PeerCredentials;
using Signet.Identity.Registration;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Explain;

namespace Signet.Agent.WorkloadApi;

/// <summary>signet.explain.v1.Explain: why a process gets an identity or does not, decided by the code that hands identities out.</summary>
internal sealed class ExplainService(WorkloadAttestor attestor, IdentityCache cache, NodeSync sync, IdentityKeeper keeper, uint ownUid, TimeProvider time) : Explain.ExplainBase
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
        }));
        response.NearMisses.AddRange(explanation.NearMisses.Select(miss => miss.ToWire()));
        response.Notes.AddRange(verdict.Notes);
        return response;
    }

    // The user of the process is looked at again afterwards: a number that was used anew meanwhile must not tell about somebody else.
    private async Task<WorkloadVerdict> AttestAsync(int pid, uint caller, CancellationToken cancellationToken)
    {
        var (uid, gid) = OwnerOf(pid) ?? throw new RpcException(new Status(StatusCode.NotFound, $"there is no process {pid} here"));
        var verdict = caller == 0 || caller == ownUid || caller == uid
            ? await attestor.AttestAsync(new WorkloadProcess(pid, uid, gid, () => OwnerOf(pid) == (uid, gid)), cancellationToken).ConfigureAwait(false)
            : throw new RpcException(new Status(StatusCode.PermissionDenied, $"process {pid} is another user's; ask as that user or as root"));
        return OwnerOf(pid) == (uid, gid) ? verdict : throw new RpcException(new Status(StatusCode.NotFound, $"process {pid} has ended"));
    }

    private static (uint Uid, uint Gid)? OwnerOf(int pid)
    {
        try
        {
            var lines = File.ReadLines($"/proc/{pid.ToString(CultureInfo.InvariantCulture)}/status").ToArray();
            return pid > 0 && Effective(lines, "Uid:") is { } uid && Effective(lines, "Gid:") is { } gid ? (uid, gid) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // Real, effective, saved and file system's (proc_pid_status(5)).
    private static uint? Effective(string[] lines, string name) =>
        lines.FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal))?.Split('\t') is { Length: > 2 } fields
        && uint.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out var id)
            ? id
            : null;
}
