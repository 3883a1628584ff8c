namespace Signet.Policy;

/// <summary>
/// The answer to "may this peer do that": a permit or a denial, and why. The default value is a denial. Forwarding code takes the
/// <see cref="Permit"/>, which nothing outside this project can make.
/// </summary>
public readonly struct Decision
{
    internal Decision(Verdict verdict, Permit? permit, CustomQuestion? ask = null)
    {
        Verdict = verdict;
        Permit = permit;
        Ask = ask;
    }

    public bool Allowed => Permit is not null;

    /// <summary>Not null exactly when allowed.</summary>
    public Permit? Permit { get; }

    public Verdict Verdict { get; }

    /// <summary>
    /// When not null: a CUSTOM policy matches and its external authoriser has not been asked yet. Ask it, tell
    /// <see cref="RequestFacts.Answer"/>, decide again. Who does not ask has a denial.
    /// </summary>
    public CustomQuestion? Ask { get; }
}

/// <summary>Leave to forward one connection or request. Only a decision hands one out.</summary>
public sealed class Permit
{
    internal Permit(string? policy) => Policy = policy;

    /// <summary>The ALLOW policy that gave it, <c>namespace/name</c>; null when no ALLOW policy covers the workload.</summary>
    public string? Policy { get; }

    public override string ToString() => Policy is null ? "permit (no ALLOW policy covers the workload)" : $"permit by {Policy}";
}

/// <summary>What decided.</summary>
public enum Stage
{
    /// <summary>The request itself is malformed.</summary>
    Request,

    /// <summary>The port asks for mutual TLS and the peer has none.</summary>
    PeerAuthentication,

    /// <summary>An external authoriser, or its absence.</summary>
    Custom,

    /// <summary>A DENY policy, or a policy that could not be understood.</summary>
    Deny,

    /// <summary>An ALLOW policy.</summary>
    Allow,

    /// <summary>No policy matched: denied if ALLOW policies cover the workload, allowed if none does.</summary>
    Default,
}

/// <summary>Why a decision is what it is, in words and in parts.</summary>
/// <param name="Stage">What decided.</param>
/// <param name="Policy">The deciding object, <c>namespace/name</c>, or null.</param>
/// <param name="Rule">The deciding rule, counted from 0, or null.</param>
/// <param name="Reason">A sentence for an operator. Not for the peer.</param>
/// <param name="Findings">What AUDIT and dry-run policies had to say; they never change the result.</param>
public readonly record struct Verdict(Stage Stage, string? Policy, int? Rule, string Reason, Findings Findings);

/// <summary>Matches of AUDIT policies and of policies on trial, in the order of their names.</summary>
public sealed record Findings(IReadOnlyList<string> Audit, IReadOnlyList<DryRunFinding> DryRun)
{
    public static Findings None { get; } = new([], []);
}

/// <summary>A rule of a dry-run policy that matched, and what it would have done.</summary>
public sealed record DryRunFinding(string Policy, PolicyAction Action, int Rule);

/// <summary>What an AuthorizationPolicy does when it matches.</summary>
public enum PolicyAction
{
    Allow,
    Deny,
    Audit,
    Custom,
}

/// <summary>An external authoriser that has to be asked before a request may pass.</summary>
/// <param name="Provider">Whom to ask.</param>
/// <param name="Policy">The CUSTOM policy that asks, <c>namespace/name</c>.</param>
/// <param name="Rule">Its rule, counted from 0.</param>
public sealed record CustomQuestion(ExtensionProvider Provider, string Policy, int Rule);

/// <summary>What an external authoriser said.</summary>
/// <param name="Outcome">Allowed, denied, or no answer; no answer is a denial unless the provider fails open.</param>
/// <param name="Reason">For the operator.</param>
public readonly record struct CustomAnswer(CustomOutcome Outcome, string Reason);

public enum CustomOutcome
{
    NoAnswer,
    Denied,
    Allowed,
}
