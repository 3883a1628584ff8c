namespace Signet.Policy.Engine;

/// <summary>A clause about something that only HTTP has.</summary>
public abstract class RequestClause : Clause
{
    private protected RequestClause(string field, IReadOnlyList<string> values, bool negated)
        : base(field, values, negated)
    {
    }

    public override bool HttpOnly => true;
}

/// <summary><c>methods</c>: case-sensitive.</summary>
internal sealed class MethodClause : RequestClause
{
    private readonly StringPattern[] _patterns;

    public MethodClause(string field, IReadOnlyList<string> values, bool negated)
        : base(field, values, negated) => _patterns = Patterns(values);

    internal override string Seen(RequestFacts facts) => facts.Method ?? "no method";

    private protected override bool MatchesAny(RequestFacts facts) => facts.Method is not null && AnyMatches(_patterns, facts.Method);
}

/// <summary><c>hosts</c>: without regard to case, the port included if the request names one.</summary>
internal sealed class HostClause : RequestClause
{
    private readonly StringPattern[] _patterns;

    public HostClause(string field, IReadOnlyList<string> values, bool negated)
        : base(field, values, negated) => _patterns = Patterns(values);

    internal override string Seen(RequestFacts facts) => facts.Host ?? "no host";

    private protected override bool MatchesAny(RequestFacts facts) => facts.Host is not null && AnyMatches(_patterns, facts.Host, ignoreCase: true);
}

/// <summary><c>paths</c>: the normalised path without its query, against patterns and templates.</summary>
internal sealed class PathClause : RequestClause
{
    private readonly StringPattern[] _patterns;
    private readonly PathTemplate[] _templates;

    public PathClause(string field, IReadOnlyList<string> values, bool negated, IReadOnlyList<StringPattern> patterns, IReadOnlyList<PathTemplate> templates)
        : base(field, values, negated) => (_patterns, _templates) = ([.. patterns], [.. templates]);

    internal override IndexDimension Dimension => !Negated && _templates.Length == 0 && AllExactOrPrefix(_patterns) ? IndexDimension.Path : IndexDimension.None;

    internal override IReadOnlyList<StringPattern> IndexKeys => _patterns;

    internal override string Seen(RequestFacts facts) => facts.Path is null ? "no path" : facts.NormalizedPath.ToString();

    private protected override bool MatchesAny(RequestFacts facts)
    {
        if (facts.Path is null)
        {
            return false;
        }

        var path = facts.NormalizedPath;
        if (AnyMatches(_patterns, path))
        {
            return true;
        }

        foreach (var template in _templates)
        {
            if (template.Matches(path))
            {
                return true;
            }
        }

        return false;
    }
}
