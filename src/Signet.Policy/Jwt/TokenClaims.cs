using System.Text.Json;

namespace Signet.Policy.Jwt;

/// <summary>Turns a token's JSON into what policies see.</summary>
public static class TokenClaims
{
    /// <summary>All claims of an object. A claim that is a list with spaces between, such as <c>scope</c>, becomes a list.</summary>
    public static ClaimValue.Map Of(JsonElement claims, IReadOnlyList<string> spaceDelimited)
    {
        var members = new Dictionary<string, ClaimValue>(StringComparer.Ordinal);
        foreach (var claim in claims.EnumerateObject())
        {
            members[claim.Name] = Split(claim.Name, Value(claim.Value), spaceDelimited);
        }

        return new ClaimValue.Map(members);
    }

    /// <summary>A claim's value, as a list if its name says so.</summary>
    public static ClaimValue Split(string name, ClaimValue value, IReadOnlyList<string> spaceDelimited) =>
        value is ClaimValue.Text text && spaceDelimited.Contains(name)
            ? new ClaimValue.List(text.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            : value;

    private static ClaimValue Value(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => new ClaimValue.Text(value.GetString()!),
        JsonValueKind.Array => List(value),
        JsonValueKind.Object => Of(value, []),
        _ => new ClaimValue.Other(),
    };

    private static ClaimValue.List List(JsonElement array) =>
        new([.. array.EnumerateArray().Where(one => one.ValueKind == JsonValueKind.String).Select(one => one.GetString()!)]);
}
