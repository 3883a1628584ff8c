using Signet.Identity.Spiffe;
using Signet.Policy.Yaml;

namespace Signet.Server.ControlPlane;

/// <summary>What is wrong with the mesh.</summary>
/// <param name="File">With whose text; empty when with all of it.</param>
/// <param name="Text">What, and where.</param>
internal sealed record MeshProblem(string File, string Text)
{
    public override string ToString() => Text;
}

/// <summary>An object that somebody wrote, with where it stands. Immutable.</summary>
/// <param name="File">The file.</param>
/// <param name="Group">Of its <c>apiVersion</c>; empty for Kubernetes' own.</param>
/// <param name="Kind">Its kind.</param>
/// <param name="Node">All of it.</param>
internal sealed record MeshObject(string File, string Group, string Kind, YamlMapping Node)
{
    private const string DefaultNamespace = "default";

    /// <summary>As Kubernetes has it when nothing is written.</summary>
    public string Namespace { get; } = Text(Node, "metadata", "namespace") ?? DefaultNamespace;

    public string Name { get; } = Text(Node, "metadata", "name") ?? "";

    /// <summary>Whether what is written as its namespace, or that none is, can be understood.</summary>
    public bool IsPlaced => At(Node, "metadata") is YamlMapping metadata && metadata["namespace"] is null or YamlScalar { IsNull: false, Value.Length: > 0 };

    public string Id => $"{Namespace}/{Name}";

    /// <summary>The objects of a document, those of lists included.</summary>
    public static IEnumerable<MeshObject> Of(string file, YamlNode document)
    {
        if (document is not YamlMapping mapping || Text(mapping, "kind") is not { } kind)
        {
            return [];
        }

        if (kind.EndsWith("List", StringComparison.Ordinal) && mapping["items"] is YamlSequence items)
        {
            // What a list is of need not be said again in it.
            var (version, itemKind) = (Text(mapping, "apiVersion"), kind[..^4]);
            return items.Items.OfType<YamlMapping>().SelectMany(item => Text(item, "kind") is null && itemKind.Length > 0 ? [New(file, version, itemKind, item)] : Of(file, item));
        }

        return [New(file, Text(mapping, "apiVersion"), kind, mapping)];
    }

    /// <summary>A single value below the object; null when there is none.</summary>
    public string? Text(params ReadOnlySpan<string> path) => Text(Node, path);

    /// <summary>The items of a list below the object.</summary>
    public IReadOnlyList<YamlNode> Items(params ReadOnlySpan<string> path) => At(Node, path) is YamlSequence list ? list.Items : [];

    /// <summary>The texts of a list below the object.</summary>
    public IReadOnlyList<string> Texts(params ReadOnlySpan<string> path) => [.. Items(path).OfType<YamlScalar>().Select(item => item.Value)];

    /// <summary>Names and values below the object.</summary>
    public IReadOnlyDictionary<string, string> Map(params ReadOnlySpan<string> path) => MapOf(At(Node, path));

    public static IReadOnlyDictionary<string, string> MapOf(YamlNode? node) => node is YamlMapping map
        ? map.Fields.Where(field => field.Value is YamlScalar { IsNull: false }).ToDictionary(field => field.Key, field => ((YamlScalar)field.Value).Value, StringComparer.Ordinal)
        : new Dictionary<string, string>();

    public static string? Text(YamlNode? node, params ReadOnlySpan<string> path) => At(node, path) is YamlScalar { IsNull: false } scalar ? scalar.Value : null;

    public static YamlNode? At(YamlNode? node, params ReadOnlySpan<string> path)
    {
        foreach (var key in path)
        {
            node = (node as YamlMapping)?[key];
        }

        return node;
    }

    /// <summary>What is wrong with it, and where.</summary>
    public MeshProblem Problem(string problem) => new(File, $"{File}:{Node.Line}: {Printable.Of(Kind)} {Printable.Of(Id)} {problem}");

    private static MeshObject New(string file, string? apiVersion, string kind, YamlMapping node)
    {
        var slash = apiVersion?.IndexOf('/', StringComparison.Ordinal) ?? -1;
        return new MeshObject(file, slash < 0 ? "" : apiVersion![..slash], kind, node);
    }
}
