using Signet.Policy.Reading;
using Signet.Policy.Yaml;

namespace Signet.Policy.Inputs;

/// <summary>What the readers of a command's files share.</summary>
internal static class InputReader
{
    /// <summary>Reads the only document of a text.</summary>
    public static Input<T> ReadOne<T>(PolicyText text, Func<YamlNode, ProblemList, T?> read)
        where T : class
    {
        if (text.Problem is { } undecodable)
        {
            return new Input<T>(null, [undecodable]);
        }

        var problems = new ProblemList(text.Name);
        if (!YamlReader.TryRead(text.Text, out var documents, out var problem))
        {
            problems.Error(problem.Line, PolicyCodes.BadYaml, problem.Message);
            return new Input<T>(null, problems.All);
        }

        if (documents.Count != 1)
        {
            problems.Error(1, PolicyCodes.BadObject, $"the file has {documents.Count} documents; one was expected");
            return new Input<T>(null, problems.All);
        }

        return new Input<T>(read(documents[0], problems), problems.All);
    }

    /// <summary>Reads a document that is a list.</summary>
    public static Input<IReadOnlyList<T>> ReadList<T>(PolicyText text, int maxItems, Func<YamlNode, string, ProblemList, T?> read)
        where T : class => ReadOne<IReadOnlyList<T>>(text, (node, problems) =>
        {
            if (node is not YamlSequence { Items: { } items } || items.Count > maxItems)
            {
                problems.Error(node.Line, PolicyCodes.BadObject, $"the file is {node.Noun}; a list was expected, with at most {maxItems} items");
                return null;
            }

            return [.. items.Select((item, i) => read(item, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"[{i}]"), problems)).OfType<T>()];
        });

    public static Workload ReadWorkload(Fields fields) =>
        new(fields.Text("namespace") ?? "default", fields.Text("serviceAccount"), fields.TextMap("labels"));
}
