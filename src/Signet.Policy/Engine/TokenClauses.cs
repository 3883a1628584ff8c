namespace Signet.Policy.Engine;

/// <summary><c>requestPrincipals</c> and <c>request.auth.principal</c>: <c>issuer/subject</c>, split at the last slash.</summary>
internal sealed class RequestPrincipalClause : RequestClause
{
    private readonly (StringPattern Issuer, StringPattern Subject)[] _pairs;

    public RequestPrincipalClause(string field, IReadOnlyList<string> values, bool negated)
        : base(field, values, negated) => _pairs = [.. values.Select(Split)];

    internal override string Seen(RequestFacts facts) => facts.Jwt is { } jwt ? $"{jwt.Issuer}/{jwt.Subject}" : "no token";

    private protected override bool MatchesAny(RequestFacts facts)
    {
        if (facts.Jwt is not { Issuer: { } issuer, Subject: { } subject })
        {
            return false;
        }

        foreach (ref readonly var pair in _pairs.AsSpan())
        {
            if (Matches(pair.Issuer, issuer) && Matches(pair.Subject, subject))
            {
                return true;
            }
        }

        return false;
    }

    private static bool Matches(StringPattern pattern, string claim) =>
        pattern.Kind == PatternKind.Present ? claim.Length > 0 : pattern.Matches(claim);

    // A star at the front belongs to the issuer, one at the end to the subject; without a slash it leaves the other half free.
    private static (StringPattern Issuer, StringPattern Subject) Split(string value)
    {
        var any = new StringPattern(PatternKind.Present, "");
        var slash = value.LastIndexOf('/');
        if (slash < 0)
        {
            return value switch
            {
                "*" => (any, any),
                _ when value.StartsWith('*') => (any, new(PatternKind.Suffix, value[1..])),
                _ when value.EndsWith('*') => (new(PatternKind.Prefix, value[..^1]), any),
                _ => (new(PatternKind.Exact, value), new(PatternKind.Exact, "")),
            };
        }

        var (issuer, subject) = (value[..slash], value[(slash + 1)..]);
        if (value.StartsWith('*'))
        {
            return (StringPattern.Of(issuer) is { Kind: PatternKind.Present } ? any : new(PatternKind.Suffix, issuer[1..]), new(PatternKind.Exact, subject));
        }

        if (value.EndsWith('*'))
        {
            return (new(PatternKind.Exact, issuer), subject == "*" ? any : new(PatternKind.Prefix, subject[..^1]));
        }

        return (new(PatternKind.Exact, issuer), new(PatternKind.Exact, subject));
    }
}

/// <summary><c>request.auth.audiences</c> (aud), <c>request.auth.presenter</c> (azp), <c>request.auth.claims[a][b]</c>: a text, or any of a list of texts.</summary>
internal sealed class ClaimClause : RequestClause
{
    private readonly string[] _path;
    private readonly StringPattern[] _patterns;

    public ClaimClause(string field, IReadOnlyList<string> values, bool negated, string[] path)
        : base(field, values, negated) => (_path, _patterns) = (path, Patterns(values));

    internal override string Seen(RequestFacts facts) => Claim(facts) switch
    {
        _ when facts.Jwt is null => "no token",
        ClaimValue.Text text => text.Value,
        ClaimValue.List list => string.Join(", ", list.Values),
        null => "no such claim",
        _ => "a claim that is neither text nor a list of texts",
    };

    private protected override bool MatchesAny(RequestFacts facts)
    {
        switch (Claim(facts))
        {
            case ClaimValue.Text text:
                return MatchesText(text.Value);
            case ClaimValue.List list:
                for (var i = 0; i < list.Values.Count; i++)
                {
                    if (MatchesText(list.Values[i]))
                    {
                        return true;
                    }
                }

                return false;
            default:
                return false;
        }
    }

    private bool MatchesText(string text)
    {
        foreach (ref readonly var pattern in _patterns.AsSpan())
        {
            if (pattern.Kind == PatternKind.Present ? text.Length > 0 : pattern.Matches(text))
            {
                return true;
            }
        }

        return false;
    }

    private ClaimValue? Claim(RequestFacts facts)
    {
        ClaimValue? at = facts.Jwt?.Claims;
        foreach (var name in _path)
        {
            if (at is not ClaimValue.Map map || !map.Members.TryGetValue(name, out at))
            {
                return null;
            }
        }

        return at;
    }
}
