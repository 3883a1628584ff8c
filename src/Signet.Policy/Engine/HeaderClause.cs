namespace Signet.Policy.Engine;

/// <summary>
/// <c>request.headers[name]</c>: the name without regard to case, a repeated header as one value joined with commas. <c>*</c> asks only that
/// the header is there, empty or not. <c>host</c> is the request's authority.
/// </summary>
internal sealed class HeaderClause : RequestClause
{
    private readonly string _name;
    private readonly StringPattern[] _patterns;

    public HeaderClause(string field, IReadOnlyList<string> values, bool negated, string name)
        : base(field, values, negated) => (_name, _patterns) = (name, Patterns(values));

    internal override string Seen(RequestFacts facts)
    {
        var found = facts.TryJoinHeader(_name, out var value);
        return found ? $"\"{value}\"" : "no such header";
    }

    private protected override bool MatchesAny(RequestFacts facts) => facts.TryJoinHeader(_name, out var value) && AnyMatches(_patterns, value);
}
