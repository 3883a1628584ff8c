using Signet.Identity.Registration;

namespace Signet.Agent.Attestation.Workload;

/// <summary>A local process, and the user and group as which it connected.</summary>
/// <param name="Pid">In the agent's own process namespace.</param>
/// <param name="Uid">The effective user.</param>
/// <param name="Gid">The effective group.</param>
/// <param name="IsAlive">Whether the number still means the same process; what was found out counts only if it does afterwards.</param>
internal sealed record WorkloadProcess(int Pid, uint Uid, uint Gid, Func<bool> IsAlive);

/// <summary>What can be said of a local process.</summary>
/// <param name="Selectors">What was found out.</param>
/// <param name="Problem">Why not everything could be found out that there is; then nothing counts. Empty when it could.</param>
internal sealed record WorkloadVerdict(IReadOnlySet<Selector> Selectors, string Problem)
{
    public static readonly WorkloadVerdict Nothing = new(new HashSet<Selector>(), "");

    public bool IsAttested => Problem.Length == 0;

    /// <summary>Why something that one might expect is not among the selectors, for whoever asks.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>The costly facts that were among what was looked for.</summary>
    public CostlyFacts LookedFor { get; init; }

    public static WorkloadVerdict Failed(string problem) => Nothing with { Problem = problem };

    /// <summary>Nothing is said about the process, with a reason that somebody may want to know.</summary>
    public static WorkloadVerdict NothingBut(string note) => Nothing with { Notes = [note] };
}

/// <summary>
/// One way to find out what a process is. Selectors are never guessed: what is not sure is left out with a note, and where a fact exists but cannot be
/// learned now, the whole attestation fails and the workload tries again. Thread-safe. What every implementation keeps is in docs/reference/attestation.md.
/// </summary>
internal interface IWorkloadAttestor
{
    /// <summary>As agent.yaml names it.</summary>
    string Name { get; }

    /// <summary>Looks at a process. Returns; does not throw but for <paramref name="cancellationToken"/>.</summary>
    Task<WorkloadVerdict> AttestAsync(WorkloadProcess process, CancellationToken cancellationToken);
}
