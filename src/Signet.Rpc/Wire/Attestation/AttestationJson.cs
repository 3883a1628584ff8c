using System.Buffers;
using System.Text.Json;

namespace Signet.Rpc.Wire.Attestation;

/// <summary>Reads and writes the small JSON objects that attestors exchange. Unknown members are passed over, doubled ones are not.</summary>
internal static class AttestationJson
{
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 4, AllowDuplicateProperties = false };

    /// <summary>Reads an object. Never throws.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> json, out JsonElement root, out string problem)
    {
        (root, problem) = (default, "");
        try
        {
            using var document = JsonDocument.Parse(json, Strict);
            root = document.RootElement.Clone();
            problem = root.ValueKind == JsonValueKind.Object ? "" : "it is not a JSON object";
        }
        catch (JsonException)
        {
            problem = "it is not proper JSON";
        }

        return problem.Length == 0;
    }

    /// <summary>A text of at most so many characters; null when it is absent, empty, longer or not text.</summary>
    public static string? Text(JsonElement parent, string name, int max)
    {
        if (!parent.TryGetProperty(name, out var value) || value.ValueKind != JsonValueKind.String)
        {
            return null;
        }

        try
        {
            return value.GetString() is { Length: > 0 } text && text.Length <= max ? text : null;
        }
        catch (InvalidOperationException)
        {
            // Half of a surrogate pair, written as an escape.
            return null;
        }
    }

    /// <summary>Bytes in base64, as many as allowed; null when they are absent or otherwise.</summary>
    public static byte[]? Bytes(JsonElement parent, string name, int min, int max) => parent.TryGetProperty(name, out var value) ? Bytes(value, min, max) : null;

    /// <inheritdoc cref="Bytes(JsonElement, string, int, int)"/>
    public static byte[]? Bytes(JsonElement value, int min, int max)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String && value.TryGetBytesFromBase64(out var bytes) && bytes.Length >= min && bytes.Length <= max ? bytes : null;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>The object under a name; null when it is absent, null or something else.</summary>
    public static JsonElement? Child(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var child) && child.ValueKind == JsonValueKind.Object ? child : null;

    public static byte[] Write(Action<Utf8JsonWriter> members)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            members(writer);
            writer.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }
}
