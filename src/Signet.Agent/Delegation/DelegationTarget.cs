using Grpc.Core;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Identities;
using Signet.Agent.WorkloadApi;
using Signet.Hosting.PeerCredentials;
using Signet.Identity.Registration;

namespace Signet.Agent.Delegation;

/// <summary>The workload for which a delegate asks: by its selectors, or by its process, which is attested like any caller.</summary>
internal sealed class DelegationTarget
{
    /// <summary>How many selectors may describe it.</summary>
    public const int MaxSelectors = 256;

    private const int MaxShown = 16;

    private readonly IReadOnlySet<Selector> _selectors;
    private readonly PinnedProcess? _process;
    private readonly IdentityCache _cache;
    private readonly TimeProvider _time;

    private DelegationTarget(IReadOnlySet<Selector> selectors, PinnedProcess? process, IdentityCache cache, TimeProvider time) =>
        (_selectors, _process, _cache, _time) = (selectors, process, cache, time);

    /// <exception cref="RpcException">
    /// INVALID_ARGUMENT: neither or both are given, or they can't be understood. NOT_FOUND: there is no such process. UNAVAILABLE: it can't be attested.
    /// </exception>
    public static async Task<DelegationTarget> OfAsync(
        IReadOnlyCollection<Rpc.Wire.Spire.Types.Selector> selectors, int pid, WorkloadAttestor attestor, IdentityCache cache, TimeProvider time, CancellationToken cancellationToken)
    {
        if (pid == 0 == (selectors.Count == 0))
        {
            throw Refused(StatusCode.InvalidArgument, "must provide either selectors or non-zero PID, but not both");
        }

        if (pid == 0)
        {
            return new DelegationTarget(Read(selectors), null, cache, time);
        }

        if (!PinnedProcess.TryPin(pid, out var process))
        {
            throw Refused(StatusCode.NotFound, $"there is no process {pid} here");
        }

        var verdict = await attestor.AttestAsync(new WorkloadProcess(pid, process.Uid, process.Gid, process.IsSame), cancellationToken).ConfigureAwait(false);
        return !process.IsSame() ? throw Refused(StatusCode.NotFound, $"process {pid} has ended")
            : verdict.IsAttested ? new DelegationTarget(verdict.Selectors, process, cache, time)
            : throw Refused(StatusCode.Unavailable, "the process could not be attested");
    }

    /// <summary>What it may have now, but for what administrators and servers below have: that is nobody's to lend. No entry may fit it.</summary>
    /// <exception cref="RpcException">NOT_FOUND: the process has ended. UNAVAILABLE: nothing is known yet.</exception>
    public Entitlement Now()
    {
        if (_process?.IsSame() == false)
        {
            throw Refused(StatusCode.NotFound, $"process {_process.Pid} has ended");
        }

        var (snapshot, now) = (_cache.Current, _time.GetUtcNow());
        if (snapshot.View.Revision == 0)
        {
            throw Refused(StatusCode.Unavailable, "the agent has not heard from its server yet");
        }

        RegistrationEntry[] matching = [.. snapshot.Matching(_selectors, now).Where(entry => !entry.Admin && !entry.Downstream)];
        _cache.Use(matching);
        return new Entitlement(matching, snapshot.Svids(matching, now), snapshot);
    }

    public override string ToString() => _process is { } process ? $"pid {process.Pid}" : string.Join(' ', _selectors.Select(selector => Identity.Spiffe.Printable.Of(selector.ToString())).Order(StringComparer.Ordinal).Take(MaxShown));

    private static HashSet<Selector> Read(IReadOnlyCollection<Rpc.Wire.Spire.Types.Selector> wire)
    {
        var read = new HashSet<Selector>();
        foreach (var selector in wire)
        {
            if (wire.Count > MaxSelectors || !Selector.TryParse($"{selector.Type}:{selector.Value}", out var one, out _) || selector.Type.Contains(':', StringComparison.Ordinal))
            {
                throw Refused(StatusCode.InvalidArgument, "could not parse provided selectors");
            }

            read.Add(one);
        }

        return read;
    }

    private static RpcException Refused(StatusCode code, string reason) => new(new Status(code, reason));
}
