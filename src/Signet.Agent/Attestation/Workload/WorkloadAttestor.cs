using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Signet.Hosting.Limits;
using Signet.Hosting.PeerCredentials;
using Signet.Identity.Registration;

namespace Signet.Agent.Attestation.Workload;

/// <summary>
/// Says what a connected process is, by every attestor that is configured. The order defeats a reused pid: the kernel pinned the process when it
/// connected, the facts are read, and only if the pinned process still lives do they count. Thread-safe; whoever makes it disposes it.
/// </summary>
/// <param name="attestors">What looks at it.</param>
/// <param name="proc">Where processes are shown.</param>
/// <param name="wanted">What entries ask about.</param>
/// <param name="time">The clock.</param>
/// <param name="log">Where failures go.</param>
internal sealed class WorkloadAttestor(IReadOnlyList<IWorkloadAttestor> attestors, ProcFolder proc, WantedFacts wanted, TimeProvider time, ILogger<WorkloadAttestor> log) : IDisposable
{
    /// <summary>How long what was found out counts for the same connection, so that a workload with many calls is not looked at for each.</summary>
    public static readonly TimeSpan Freshness = TimeSpan.FromSeconds(1);

    /// <summary>How often one process may be looked at.</summary>
    public static readonly Rate PerProcess = new(PerSecond: 500, Burst: 5_000);

    /// <summary>The longest that all attestors together may take.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(45);

    private readonly TokenBuckets<int> _attempts = new(PerProcess, time);
    private readonly ConditionalWeakTable<PeerCredential, Fresh> _fresh = [];

    /// <summary>What the process at the other end of a connection is.</summary>
    public async Task<WorkloadVerdict> AttestAsync(PeerCredential peer, CancellationToken cancellationToken)
    {
        if (_fresh.TryGetValue(peer, out var known) && time.GetElapsedTime(known.At) < Freshness && Covers(known.Verdict) && peer.IsAlive())
        {
            return known.Verdict;
        }

        var at = time.GetTimestamp();
        var verdict = !_attempts.TryTake(peer.Pid)
            ? WorkloadVerdict.Failed($"it asks more often than is allowed: {PerProcess}")
            : await AttestAsync(new WorkloadProcess(peer.Pid, peer.Uid, peer.Gid, peer.IsAlive), cancellationToken).ConfigureAwait(false);
        if (verdict.IsAttested)
        {
            _fresh.AddOrUpdate(peer, new Fresh(verdict, at));
        }
        else
        {
            log.WorkloadNotAttested(peer.Pid, verdict.Problem);
        }

        return verdict;
    }

    /// <summary>Whether all was looked for that entries ask about now.</summary>
    public bool Covers(WorkloadVerdict verdict) => (wanted.Current & ~verdict.LookedFor) == CostlyFacts.None;

    /// <summary>What can be said of a process, connected or not.</summary>
    public async Task<WorkloadVerdict> AttestAsync(WorkloadProcess process, CancellationToken cancellationToken)
    {
        if (proc.Problem() is { } problem)
        {
            return WorkloadVerdict.Failed(problem);
        }

        var lookedFor = wanted.Current;
        using var patience = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            var verdicts = await Task.WhenAll(attestors.Select(attestor => attestor.AttestAsync(process, either.Token))).ConfigureAwait(false);
            return process.IsAlive() ? Together(verdicts) with { LookedFor = lookedFor } : WorkloadVerdict.Failed("the process that connected has ended");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return WorkloadVerdict.Failed($"it could not be found out within {Timeout.TotalSeconds} s");
        }
    }

    public void Dispose()
    {
        foreach (var attestor in attestors.OfType<IDisposable>())
        {
            attestor.Dispose();
        }
    }

    // Half of what is known of a workload could give it another identity than all of it would.
    private WorkloadVerdict Together(IReadOnlyList<WorkloadVerdict> verdicts) => new(
        verdicts.SelectMany(verdict => verdict.Selectors).Where(selector => selector.ToString().Length <= Selector.MaxLength).ToHashSet(),
        string.Join("; ", verdicts.Zip(attestors, (verdict, attestor) => verdict.IsAttested ? "" : $"{attestor.Name}: {verdict.Problem}").Where(problem => problem.Length > 0)))
    {
        Notes = [.. verdicts.SelectMany(verdict => verdict.Notes)],
    };

    private sealed record Fresh(WorkloadVerdict Verdict, long At);
}
