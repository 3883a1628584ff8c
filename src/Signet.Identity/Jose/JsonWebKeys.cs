using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Signet.Identity.Spiffe;

namespace Signet.Identity.Jose;

/// <summary>
/// The public keys of a token issuer (RFC 7517 §5). Keys of kinds that are not used here, or meant for something else than signatures, are
/// left out; a key that is half understood is a problem. Immutable, thread-safe.
/// </summary>
public sealed class JsonWebKeys
{
    /// <summary>The longest text that is read, in characters.</summary>
    public const int MaxLength = 1024 * 1024;

    /// <summary>How many keys a set may have.</summary>
    public const int MaxKeys = 100;

    private const int MaxDepth = 16;

    private JsonWebKeys(IReadOnlyList<JwsKey> keys) => Keys = keys;

    /// <summary>The keys that can be used, in order.</summary>
    public IReadOnlyList<JwsKey> Keys { get; }

    /// <summary>The keys of a trust domain's JWT-SVIDs.</summary>
    public static JsonWebKeys Of(JwtBundle bundle) => new([.. bundle.Authorities.Select(authority => authority.Key)]);

    /// <summary>How many keys can be used.</summary>
    public int Count => Keys.Count;

    /// <summary>Reads a set. Never throws; bounded in length, depth and number of keys.</summary>
    public static bool TryParse(string json, [NotNullWhen(true)] out JsonWebKeys? keys, out string problem)
    {
        keys = null;
        if (json.Length > MaxLength)
        {
            problem = $"the key set is {json.Length} characters long; the limit is {MaxLength}";
            return false;
        }

        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
            return TryRead(document.RootElement, out keys, out problem);
        }
        catch (JsonException bad)
        {
            problem = $"the key set is not JSON: line {bad.LineNumber + 1} can't be read";
            return false;
        }
        catch (Exception bad) when (bad is InvalidOperationException or ArgumentException)
        {
            // Half a surrogate pair in an escape is noticed once the text is asked for.
            problem = "the key set is not JSON: a text in it can't be read";
            return false;
        }
    }

    private static bool TryRead(JsonElement root, [NotNullWhen(true)] out JsonWebKeys? keys, out string problem)
    {
        keys = null;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("keys", out var list) || list.ValueKind != JsonValueKind.Array)
        {
            problem = "the key set has no list \"keys\"";
            return false;
        }

        if (list.GetArrayLength() > MaxKeys)
        {
            problem = $"the key set has {list.GetArrayLength()} keys; the limit is {MaxKeys}";
            return false;
        }

        var read = new List<JwsKey>();
        foreach (var item in list.EnumerateArray())
        {
            if (item.ValueKind == JsonValueKind.Object && Text(item, "use") is not (null or "sig" or "jwt-svid"))
            {
                continue;
            }

            if (!JwsKey.TryRead(item, out var key, out problem))
            {
                problem = $"the key with kid \"{Printable.Of(item.ValueKind == JsonValueKind.Object ? Text(item, "kid") ?? "" : "")}\" can't be read: {problem}";
                return false;
            }

            if (key is not null)
            {
                read.Add(key);
            }
        }

        (keys, problem) = (new JsonWebKeys(read), "");
        return true;
    }

    private static string? Text(JsonElement item, string name) =>
        item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
