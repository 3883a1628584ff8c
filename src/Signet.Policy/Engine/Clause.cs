namespace Signet.Policy.Engine;

/// <summary>
/// One field of a rule and its values: <c>methods: [GET]</c>. It matches when any value does, or, in its not-form, when none does. The same
/// object decides, names itself in a reason, and shows an explanation what it saw. Immutable, thread-safe.
/// </summary>
public abstract class Clause
{
    private protected Clause(string field, IReadOnlyList<string> values, bool negated)
    {
        Field = field;
        Values = values;
        Negated = negated;
    }

    /// <summary>The field or condition key without its not: <c>methods</c>, <c>request.headers[x-a]</c>.</summary>
    public string Field { get; }

    /// <summary>The values as written.</summary>
    public IReadOnlyList<string> Values { get; }

    public bool Negated { get; }

    /// <summary>Whether it looks at something that only HTTP has.</summary>
    public virtual bool HttpOnly => false;

    /// <summary>Whether it can only match an authenticated peer, when not negated.</summary>
    public virtual bool NeedsPeer => false;

    /// <summary>Where to look for rules with this clause, when it can be looked up; see <see cref="RuleIndex"/>.</summary>
    internal virtual IndexDimension Dimension => IndexDimension.None;

    /// <summary>The exact values and prefixes that can match, when <see cref="Dimension"/> is not none.</summary>
    internal virtual IReadOnlyList<StringPattern> IndexKeys => [];

    internal virtual bool Matches(RequestFacts facts) => MatchesAny(facts) != Negated;

    /// <summary>What the request has where the clause looks, for explanations.</summary>
    internal abstract string Seen(RequestFacts facts);

    private protected abstract bool MatchesAny(RequestFacts facts);

    /// <summary><c>methods [GET, POST]</c>, or <c>not methods […]</c>.</summary>
    public override string ToString() => $"{(Negated ? "not " : "")}{Field} [{string.Join(", ", Values)}]";

    private protected static StringPattern[] Patterns(IReadOnlyList<string> values) => [.. values.Select(StringPattern.Of)];

    private protected static bool AnyMatches(StringPattern[] patterns, ReadOnlySpan<char> value, bool ignoreCase = false)
    {
        foreach (ref readonly var pattern in patterns.AsSpan())
        {
            if (pattern.Matches(value, ignoreCase))
            {
                return true;
            }
        }

        return false;
    }

    private protected static StringPattern[] Exactly(IEnumerable<string> values) => [.. values.Select(value => new StringPattern(PatternKind.Exact, value))];

    private protected static bool AllExactOrPrefix(StringPattern[] patterns)
    {
        foreach (var pattern in patterns)
        {
            if (pattern.Kind is not (PatternKind.Exact or PatternKind.Prefix))
            {
                return false;
            }
        }

        return true;
    }
}
