using Signet.Policy.Objects;
using Signet.Policy.Yaml;

namespace Signet.Policy.Reading;

/// <summary>A text, read: its objects and what is wrong with it. Immutable.</summary>
internal sealed record PolicyFile(string Name, IReadOnlyList<PolicyObject> Objects, IReadOnlyList<PolicyProblem> Problems)
{
    public static PolicyFile Read(PolicyText text, MeshSettings mesh)
    {
        if (text.Problem is { } undecodable)
        {
            return new PolicyFile(text.Name, [ObjectReader.Everything(text.Name, undecodable.Line, undecodable.Message)], [undecodable]);
        }

        var problems = new ProblemList(text.Name);
        var objects = new List<PolicyObject>();
        var whole = YamlReader.TryRead(text.Text, out var documents, out var problem);
        foreach (var document in documents)
        {
            objects.AddRange(ObjectReader.Read(document, mesh, problems));
        }

        if (!whole)
        {
            problems.Error(problem!.Line, PolicyCodes.BadYaml, problem.Message);
            objects.Add(ObjectReader.Everything(text.Name, problem.Line, problem.Message));
        }

        return new PolicyFile(text.Name, objects, problems.All);
    }
}
