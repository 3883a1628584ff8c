using System.Text.Json;
using Signet.Identity.Spiffe;

namespace Signet.Identity.Jose;

/// <summary>The keys of one kind of token in a JWK Set (SPIFFE Trust Domain and Bundle §4.2): which they are, and that no two share an ID.</summary>
internal static class TokenKeys
{
    /// <summary>How many keys of a kind a bundle may have.</summary>
    public const int MaxAuthorities = 100;

    /// <summary>The longest text that is read, in characters.</summary>
    public const int MaxLength = 1024 * 1024;

    private const int MaxDepth = 16;

    /// <summary>Takes the keys for one use, and ignores the rest. Never throws.</summary>
    /// <param name="name">What the bundle is called in problems.</param>
    /// <param name="json">A JWK Set.</param>
    /// <param name="use">The <c>use</c> of the keys that are wanted.</param>
    /// <param name="authorities">They, when the answer is true.</param>
    /// <param name="problem">What is wrong, when the answer is false.</param>
    public static bool TryParse(string name, string json, string use, out IReadOnlyList<JwtAuthority> authorities, out string problem)
    {
        authorities = [];
        if (json.Length > MaxLength)
        {
            problem = $"{name} is {json.Length} characters long; the limit is {MaxLength}";
            return false;
        }

        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("keys", out var keys) || keys.ValueKind != JsonValueKind.Array)
            {
                problem = $"{name} has no array \"keys\"";
                return false;
            }

            var read = new List<JwtAuthority>();
            foreach (var jwk in keys.EnumerateArray().Where(jwk => jwk.ValueKind == JsonValueKind.Object && JwsKey.Text(jwk, "use") == use).Take(MaxAuthorities + 1))
            {
                JwtAuthority? authority = null;
                if (!JwsKey.TryRead(jwk, out var key, out problem) || (key is not null && !JwtAuthority.TryCreate(key, null, out authority, out problem)))
                {
                    problem = $"{name}: {problem}";
                    return false;
                }

                if (authority is not null)
                {
                    read.Add(authority);
                }
            }

            authorities = read;
            return TryCheck(name, read, out problem);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            problem = $"{name} is not JSON";
            return false;
        }
    }

    /// <summary>Whether these keys may be one bundle.</summary>
    public static bool TryCheck(string name, IReadOnlyList<JwtAuthority> authorities, out string problem)
    {
        var twice = authorities.GroupBy(authority => authority.KeyId, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1)?.Key;
        problem = authorities.Count > MaxAuthorities ? $"{name} has {authorities.Count} keys; the limit is {MaxAuthorities}"
            : twice is not null ? $"{name} has the key ID \"{Printable.Of(twice)}\" twice"
            : "";
        return problem.Length == 0;
    }

    /// <summary>A JWK Set of keys.</summary>
    public static string ToJson(IReadOnlyList<JwtAuthority> authorities, Action<Utf8JsonWriter, JwtAuthority> writeKey) => SpiffeBundle.Written(writer =>
    {
        writer.WriteStartObject();
        writer.WriteStartArray("keys");
        foreach (var authority in authorities)
        {
            writeKey(writer, authority);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    });
}
