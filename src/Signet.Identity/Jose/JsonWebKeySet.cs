using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Signet.Identity.X509;

namespace Signet.Identity.Jose;

/// <summary>
/// A JWK Set as SPIFFE bundles use it (RFC 7517; SPIFFE Trust Domain and Bundle §4): the keys, how new they are, how often to look again.
/// Reading ignores keys that SPIFFE does not define and never takes a half-understood one. Immutable, thread-safe.
/// </summary>
public sealed class JsonWebKeySet
{
    /// <summary>The longest text that is read, in characters.</summary>
    public const int MaxLength = 4 * 1024 * 1024;

    /// <summary>How many keys a set may have.</summary>
    public const int MaxKeys = 2000;

    private const int MaxDepth = 16;
    private const string SequenceName = "spiffe_sequence";
    private const string RefreshHintName = "spiffe_refresh_hint";

    private JsonWebKeySet(IReadOnlyList<Certificate> x509Authorities, ulong? sequence, TimeSpan? refreshHint)
    {
        X509Authorities = x509Authorities;
        Sequence = sequence;
        RefreshHint = refreshHint;
    }

    /// <summary>The certificates of the keys whose <c>use</c> is <c>x509-svid</c>, in order.</summary>
    public IReadOnlyList<Certificate> X509Authorities { get; }

    /// <summary><c>spiffe_sequence</c>, or null.</summary>
    public ulong? Sequence { get; }

    /// <summary><c>spiffe_refresh_hint</c>, or null; whole seconds.</summary>
    public TimeSpan? RefreshHint { get; }

    public static JsonWebKeySet Of(IReadOnlyList<Certificate> x509Authorities, ulong? sequence, TimeSpan? refreshHint) => new(x509Authorities, sequence, refreshHint);

    /// <summary>Reads a set. Never throws; bounded in length, depth and number of keys.</summary>
    public static bool TryParse(string json, [NotNullWhen(true)] out JsonWebKeySet? set, out string problem)
    {
        set = null;
        if (json.Length > MaxLength)
        {
            problem = $"the bundle is {json.Length} characters long; the limit is {MaxLength}";
            return false;
        }

        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
            return TryRead(document.RootElement, out set, out problem);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            // Half a surrogate pair in an escape is an InvalidOperationException once the text is asked for.
            problem = "the bundle is not JSON: " + e.Message;
            return false;
        }
    }

    /// <summary>The set as JSON text, indented.</summary>
    public string ToJson() => SpiffeBundle.Written(writer =>
    {
        writer.WriteStartObject();
        writer.WriteStartArray("keys");
        foreach (var authority in X509Authorities)
        {
            JsonWebKey.WriteX509(writer, authority);
        }

        writer.WriteEndArray();
        WriteParameters(writer, Sequence, RefreshHint);
        writer.WriteEndObject();
    });

    /// <summary>What a set says besides its keys; the refresh hint in whole seconds.</summary>
    internal static void WriteParameters(Utf8JsonWriter writer, ulong? sequence, TimeSpan? refreshHint)
    {
        if (sequence is { } number)
        {
            writer.WriteNumber(SequenceName, number);
        }

        if (refreshHint is { } hint)
        {
            writer.WriteNumber(RefreshHintName, (long)hint.TotalSeconds);
        }
    }

    private static bool TryRead(JsonElement root, [NotNullWhen(true)] out JsonWebKeySet? set, out string problem)
    {
        set = null;
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("keys", out var keys) || keys.ValueKind != JsonValueKind.Array)
        {
            problem = "the bundle has no array \"keys\"";
            return false;
        }

        if (keys.GetArrayLength() > MaxKeys)
        {
            problem = $"the bundle has {keys.GetArrayLength()} keys; the limit is {MaxKeys}";
            return false;
        }

        if (!TryReadNumber(root, SequenceName, out var sequence, out problem) || !TryReadNumber(root, RefreshHintName, out var seconds, out problem))
        {
            return false;
        }

        if (seconds > (ulong)TimeSpan.MaxValue.TotalSeconds)
        {
            problem = $"\"{RefreshHintName}\" is {seconds} seconds, which is longer than time is counted";
            return false;
        }

        var authorities = new List<Certificate>();
        var index = 0;
        foreach (var key in keys.EnumerateArray())
        {
            if (!JsonWebKey.TryReadX509(key, out var authority, out problem))
            {
                problem = $"key {index} of the bundle: {problem}";
                return false;
            }

            if (authority is not null)
            {
                authorities.Add(authority);
            }

            index++;
        }

        set = new JsonWebKeySet(authorities, sequence, seconds is { } s ? TimeSpan.FromSeconds(s) : null);
        return true;
    }

    private static bool TryReadNumber(JsonElement root, string name, out ulong? number, out string problem)
    {
        number = null;
        problem = "";
        if (!root.TryGetProperty(name, out var element) || element.ValueKind == JsonValueKind.Null)
        {
            return true;
        }

        if (element.ValueKind != JsonValueKind.Number || !element.TryGetUInt64(out var value))
        {
            problem = $"\"{name}\" is not a whole number from 0 upwards";
            return false;
        }

        number = value;
        return true;
    }
}
