namespace Signet.Policy;

/// <summary>
/// A path with operators: <c>{*}</c> stands for exactly one segment, <c>{**}</c>, which comes last among the operators, for any characters,
/// slashes included. So <c>/a/{**}</c> needs the slash after <c>a</c>, and <c>/a/{**}/b</c> matches <c>/a//b</c> but not <c>/a/b</c>.
/// </summary>
internal sealed class PathTemplate
{
    private const string OneSegment = "{*}";
    private const string AnySegments = "{**}";
    private const string Literals = "-._~%!$&'()+,;:@=";

    private readonly string[] _beforeRest;
    private readonly string? _afterRest;

    private PathTemplate(string[] beforeRest, string? afterRest) => (_beforeRest, _afterRest) = (beforeRest, afterRest);

    public static bool IsTemplate(string text) => text.Contains('{', StringComparison.Ordinal) || text.Contains('}', StringComparison.Ordinal);

    public static bool TryParse(string text, out PathTemplate template, out string problem)
    {
        template = new PathTemplate([], null);
        problem = "";
        if (!text.StartsWith('/'))
        {
            problem = "a path template must begin with \"/\"";
            return false;
        }

        var rest = -1;
        var segments = text[1..].Split('/');
        for (var i = 0; i < segments.Length; i++)
        {
            var segment = segments[i];
            if (segment is OneSegment or AnySegments)
            {
                if (rest >= 0)
                {
                    problem = $"{AnySegments} must be the last operator";
                    return false;
                }

                rest = segment == AnySegments ? i : rest;
            }
            else if (segment.Length == 0 && i < segments.Length - 1)
            {
                problem = "a path template can't have an empty segment";
                return false;
            }
            else if (segment.FirstOrDefault(c => !(char.IsAsciiLetterOrDigit(c) || Literals.Contains(c, StringComparison.Ordinal))) is var bad && bad != '\0')
            {
                problem = bad is '{' or '}' or '*'
                    ? $"'{bad}' can only stand in a segment that is {OneSegment} or {AnySegments} as a whole"
                    : $"the character '{Signet.Identity.Spiffe.Printable.Of(bad)}' can't stand in a path template";
                return false;
            }
        }

        template = rest < 0
            ? new PathTemplate(segments, null)
            : new PathTemplate(segments[..rest], rest == segments.Length - 1 ? "" : "/" + string.Join('/', segments[(rest + 1)..]));
        return true;
    }

    public bool Matches(ReadOnlySpan<char> path)
    {
        foreach (var segment in _beforeRest)
        {
            if (path.Length == 0 || path[0] != '/')
            {
                return false;
            }

            path = path[1..];
            var slash = path.IndexOf('/');
            var actual = slash < 0 ? path : path[..slash];
            if (segment == OneSegment ? actual.Length == 0 : !actual.SequenceEqual(segment))
            {
                return false;
            }

            path = path[actual.Length..];
        }

        return _afterRest is null ? path.Length == 0 : path.Length > 0 && path[0] == '/' && path[1..].EndsWith(_afterRest, StringComparison.Ordinal);
    }
}
