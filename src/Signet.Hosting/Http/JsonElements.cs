using System.Text.Json;

namespace Signet.Hosting.Http;

/// <summary>Looks into answers that may have any shape. Nothing here throws.</summary>
public static class JsonElements
{
    /// <summary>What stands under a name; undefined when nothing does.</summary>
    public static JsonElement Child(this JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var child) ? child : default;

    /// <summary>Empty for what is no text, or holds half of a surrogate pair.</summary>
    public static string Text(this JsonElement value)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        }
        catch (InvalidOperationException)
        {
            return "";
        }
    }

    /// <summary>The text under a name; empty when there is none.</summary>
    public static string Text(this JsonElement parent, string name) => parent.Child(name).Text();

    /// <summary>The items of a list; none when it is no list.</summary>
    public static IEnumerable<JsonElement> Items(this JsonElement list) => list.ValueKind == JsonValueKind.Array ? list.EnumerateArray() : [];

    /// <summary>The members of an object whose values are texts, each name once; none when it is no object.</summary>
    public static IEnumerable<(string Name, string Value)> Texts(this JsonElement map) => map.ValueKind == JsonValueKind.Object
        ? map.EnumerateObject().Where(member => member.Value.ValueKind == JsonValueKind.String).Select(member => (member.Name, member.Value.Text())).DistinctBy(member => member.Name)
        : [];
}
