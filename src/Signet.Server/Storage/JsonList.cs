using System.Text.Json;
using System.Text.Json.Serialization;

namespace Signet.Server.Storage;

/// <summary>A list of texts in one column.</summary>
internal static class JsonList
{
    public static string Write(IEnumerable<string> texts) => JsonSerializer.Serialize([.. texts], JsonListContext.Default.StringArray);

    public static string[] Read(string json) => JsonSerializer.Deserialize(json, JsonListContext.Default.StringArray) ?? [];
}

[JsonSerializable(typeof(string[]))]
internal sealed partial class JsonListContext : JsonSerializerContext;
