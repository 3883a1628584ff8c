using Microsoft.Extensions.Logging;
using Signet.Agent.Identities;
using Signet.Hosting.PeerCredentials;

namespace Signet.Agent.Attestation.Workload;

/// <summary>
/// Says what a connected process is. The order defeats a reused pid: the kernel pinned the process when it connected, the facts are read,
/// and only if the pinned process still lives do they count.
/// </summary>
internal sealed class WorkloadAttestor(UnixAttestor unix, IdentityCache cache, ILogger<WorkloadAttestor> log)
{
    public WorkloadVerdict Attest(PeerCredential peer)
    {
        var verdict = unix.Attest(peer.Pid, peer.Uid, peer.Gid, Wanted());
        if (!peer.IsAlive())
        {
            verdict = verdict with { Problem = "the process that connected has ended" };
        }

        if (!verdict.IsAttested)
        {
            log.WorkloadNotAttested(peer.Pid, verdict.Problem);
        }

        return verdict;
    }

    /// <summary>What can be said of a process that is not connected; whoever asks makes sure that the number still means the same process.</summary>
    public WorkloadVerdict Attest(int pid, uint uid, uint gid) => unix.Attest(pid, uid, gid, Wanted());

    private HashSet<string> Wanted() => [.. cache.Current.View.Index.KeysOf(UnixAttestor.Type)];
}
