namespace Signet.Policy.Engine;

/// <summary>
/// One rule: any of <c>from</c>, and any of <c>to</c>, and all of <c>when</c>. An empty part is no constraint. Immutable, thread-safe.
/// </summary>
/// <param name="Index">Its place in the policy, counted from 0.</param>
/// <param name="Line">Where it stands.</param>
/// <param name="From">Alternatives; all clauses of one must match.</param>
/// <param name="To">Alternatives; all clauses of one must match.</param>
/// <param name="When">Conditions; all must match. A condition with values and notValues is two clauses.</param>
public sealed record Rule(int Index, int Line, IReadOnlyList<IReadOnlyList<Clause>> From, IReadOnlyList<IReadOnlyList<Clause>> To, IReadOnlyList<Clause> When)
{
    /// <summary>All clauses, wherever they stand.</summary>
    public IEnumerable<Clause> Clauses => From.SelectMany(clauses => clauses).Concat(To.SelectMany(clauses => clauses)).Concat(When);

    /// <summary>Whether it matches whatever comes.</summary>
    public bool MatchesEverything => (From.Count == 0 || From.Any(clauses => clauses.Count == 0)) && (To.Count == 0 || To.Any(clauses => clauses.Count == 0)) && When.Count == 0;

    /// <summary>
    /// The rule on a connection of which no HTTP is known. A rule that allows is left out whole when it has an HTTP-only field; a rule that
    /// denies, audits or asks loses only the field. So ALLOW never gets wider and DENY never narrower. Null means left out.
    /// </summary>
    internal Rule? ForTcp(PolicyAction action)
    {
        if (!Clauses.Any(clause => clause.HttpOnly))
        {
            return this;
        }

        return action == PolicyAction.Allow ? null : this with { From = Without(From), To = Without(To), When = [.. When.Where(clause => !clause.HttpOnly)] };
    }

    private static IReadOnlyList<IReadOnlyList<Clause>> Without(IReadOnlyList<IReadOnlyList<Clause>> alternatives) =>
        [.. alternatives.Select(clauses => (IReadOnlyList<Clause>)[.. clauses.Where(clause => !clause.HttpOnly)])];
}
