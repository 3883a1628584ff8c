using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Signet.Hosting;

/// <summary>Writes JSON as people like to read it and scripts don't mind: indented, with letters and <c>+</c> unescaped, control characters escaped.</summary>
public static class JsonText
{
    private static readonly JsonWriterOptions Options = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>UTF-8, without a newline at the end.</summary>
    public static ReadOnlyMemory<byte> Indented(JsonNode json)
    {
        var text = new MemoryStream();
        using (var writer = new Utf8JsonWriter(text, Options))
        {
            json.WriteTo(writer);
        }

        return text.GetBuffer().AsMemory(0, (int)text.Length);
    }
}
