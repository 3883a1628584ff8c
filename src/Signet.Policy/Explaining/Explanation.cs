using Signet.Policy.Engine;
using Signet.Policy.Objects;

namespace Signet.Policy.Explaining;

/// <summary>Why a request is allowed or denied, so that a person can act on it.</summary>
/// <param name="Summary">What decided, in a sentence.</param>
/// <param name="NearMisses">Rules that would have allowed it, nearest first, and what each of them misses.</param>
/// <param name="NextStep">What to do, in a sentence; null when nothing needs doing.</param>
public sealed record Explanation(string Summary, IReadOnlyList<NearMiss> NearMisses, string? NextStep);

/// <summary>A rule that did not match, and why not.</summary>
/// <param name="Policy">The policy, <c>namespace/name</c>.</param>
/// <param name="Rule">The rule, counted from 0.</param>
/// <param name="Missing">The clauses that failed, of the alternative that came nearest.</param>
/// <param name="LeftOut">Why the rule was not considered at all, or null.</param>
public sealed record NearMiss(string Policy, int Rule, IReadOnlyList<MissingClause> Missing, string? LeftOut);

/// <summary>A clause that failed: what it wants, and what the request has.</summary>
public sealed record MissingClause(string Field, bool Negated, IReadOnlyList<string> Wanted, string Seen)
{
    /// <summary><c>methods must be POST, and is GET</c></summary>
    public override string ToString() => $"{Field} {(Negated ? "must not be" : "must be")} {string.Join(" or ", Wanted)}, and the request has {Seen}";
}
