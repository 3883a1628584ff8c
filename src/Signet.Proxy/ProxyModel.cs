using Signet.Identity.Spiffe;
using Signet.Policy;

namespace Signet.Proxy;

/// <summary>
/// What holds for new decisions at one moment: the policies, compiled for this workload in its trust domain. Immutable; replaced whole.
/// </summary>
/// <param name="TrustDomain">The mesh's own trust domain.</param>
/// <param name="Set">All policies.</param>
/// <param name="Policy">Those that cover this workload.</param>
/// <param name="Problems">What could not be understood, or is doubtful.</param>
public sealed record ProxyModel(TrustDomain TrustDomain, PolicySet Set, WorkloadPolicy Policy, IReadOnlyList<PolicyProblem> Problems)
{
    /// <summary>The revision of the agent's configuration that it comes from; 0 for a folder.</summary>
    public ulong Revision { get; init; }

    /// <summary>Whether an external authoriser may have to be asked.</summary>
    internal bool MayAsk { get; } = Policy.Policies.Any(policy => policy is { Action: PolicyAction.Custom, DryRun: false });

    /// <summary>Why the policies are not all in force as written; null when they are.</summary>
    public string? Complaint => Problems.FirstOrDefault(problem => problem.Severity == PolicySeverity.Error) is { } first
        ? $"{first}; what it covers is denied"
        : null;
}
