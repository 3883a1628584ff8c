using Signet.Policy.Objects;

namespace Signet.Policy.Jwt;

/// <summary>Where a rule looks for tokens: the places that it names, or else <c>Authorization: Bearer</c> and the query's <c>access_token</c>.</summary>
internal static class TokenPlaces
{
    private static readonly JwtHeader[] DefaultHeaders = [new("Authorization", "Bearer ")];
    private static readonly string[] DefaultParams = ["access_token"];

    public static IEnumerable<string> In(JwtRule rule, IReadOnlyList<KeyValuePair<string, string>> headers, string? target)
    {
        var byDefault = rule.FromHeaders.Count + rule.FromParams.Count + rule.FromCookies.Count == 0;
        foreach (var place in byDefault ? DefaultHeaders : rule.FromHeaders)
        {
            foreach (var (name, value) in headers)
            {
                if (name.Equals(place.Name, StringComparison.OrdinalIgnoreCase) && value.StartsWith(place.Prefix, StringComparison.Ordinal))
                {
                    yield return value[place.Prefix.Length..].Trim();
                }
            }
        }

        foreach (var value in Pairs(AfterQuestionMark(target), '&', byDefault ? DefaultParams : rule.FromParams))
        {
            yield return value;
        }

        foreach (var (name, value) in headers)
        {
            if (name.Equals("cookie", StringComparison.OrdinalIgnoreCase))
            {
                foreach (var cookie in Pairs(value, ';', rule.FromCookies))
                {
                    yield return cookie;
                }
            }
        }
    }

    private static string AfterQuestionMark(string? target) => target?.IndexOf('?', StringComparison.Ordinal) is { } at and >= 0 ? target[(at + 1)..] : "";

    private static IEnumerable<string> Pairs(string text, char separator, IReadOnlyList<string> names)
    {
        if (names.Count == 0 || text.Length == 0)
        {
            yield break;
        }

        foreach (var pair in text.Split(separator, StringSplitOptions.TrimEntries))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0 && names.Contains(pair[..equals]))
            {
                yield return pair[(equals + 1)..];
            }
        }
    }
}
