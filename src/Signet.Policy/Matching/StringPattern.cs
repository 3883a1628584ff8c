namespace Signet.Policy;

internal enum PatternKind
{
    Exact,
    Prefix,
    Suffix,
    Present,
}

/// <summary>
/// A value in a policy: exact, <c>abc*</c> prefix, <c>*abc</c> suffix, or <c>*</c> for any. A star anywhere else is a star, as in Istio.
/// </summary>
internal readonly record struct StringPattern(PatternKind Kind, string Text)
{
    public static StringPattern Of(string value) => value switch
    {
        "*" => new(PatternKind.Present, ""),
        _ when value.StartsWith('*') => new(PatternKind.Suffix, value[1..]),
        _ when value.EndsWith('*') => new(PatternKind.Prefix, value[..^1]),
        _ => new(PatternKind.Exact, value),
    };

    /// <summary>Whether a value that is there matches; whether an empty one counts for <c>*</c> is the caller's question.</summary>
    public bool Matches(ReadOnlySpan<char> value, bool ignoreCase = false)
    {
        var comparison = ignoreCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;
        return Kind switch
        {
            PatternKind.Exact => value.Equals(Text, comparison),
            PatternKind.Prefix => value.StartsWith(Text, comparison),
            PatternKind.Suffix => value.EndsWith(Text, comparison),
            _ => true,
        };
    }
}
