using System.Collections.Immutable;
using Signet.Hosting.Distribution;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Policy.Inputs;
using Signet.Policy.Objects;
using Signet.Policy.Yaml;

namespace Signet.Server.ControlPlane;

/// <summary>What the files of the mesh want. Immutable.</summary>
/// <param name="Documents">What proxies are told; not to be used when there is a problem.</param>
/// <param name="Objects">The policies and services, for who takes them as they are.</param>
/// <param name="Pods">The pods.</param>
/// <param name="Problems">Everything that is wrong. One mistake is enough: half of the policies may allow what all of them do not.</param>
/// <param name="Doubts">What is probably not meant.</param>
internal sealed record DesiredMesh(
    ImmutableDictionary<string, MeshDocument> Documents, ImmutableArray<MeshObject> Objects, ImmutableArray<MeshPod> Pods, ImmutableArray<MeshProblem> Problems, ImmutableArray<string> Doubts)
{
    private const string Security = "security.istio.io", Networking = "networking.istio.io";
    private const int MaxName = 253;

    /// <summary>Whether there is any policy. A folder that was emptied, or is not mounted, must not look like one that allows everything.</summary>
    public bool HasPolicies => Objects.Any(IsPolicy);

    /// <summary>The namespace whose policies concern everybody.</summary>
    public required string RootNamespace { get; init; }

    /// <summary>Reads them all.</summary>
    /// <param name="texts">Policies, services and pods.</param>
    /// <param name="others">Files for others, of which only pods count.</param>
    /// <param name="settings">Mesh settings; null for Istio's defaults.</param>
    /// <param name="trustDomain">The mesh's own.</param>
    public static DesiredMesh Read(IReadOnlyList<PolicyText> texts, IReadOnlyList<PolicyText> others, PolicyText? settings, TrustDomain trustDomain)
    {
        var problems = new List<MeshProblem>();
        var documents = new Dictionary<string, MeshDocument>(StringComparer.Ordinal);
        var mesh = ReadSettings(settings, documents, problems) with { TrustDomain = trustDomain.Name };

        // 1. The policies, by the code that will enforce them.
        var load = PolicySet.Load(texts, mesh);
        var objects = texts.SelectMany(ObjectsIn).ToList();
        problems.AddRange(load.Problems.Where(problem => problem.Severity == PolicySeverity.Error).Select(problem => new MeshProblem(problem.File, problem.ToString())));
        var exported = load.Set.Objects.OfType<DestinationRule>().Where(rule => !IsPrivate(rule)).Select(rule => rule.Id).ToHashSet(StringComparer.Ordinal);
        var policies = objects.Where(IsPolicy).ToList();
        foreach (var policy in policies)
        {
            Add(policy, policy.Kind == "DestinationRule" ? exported.Contains(policy.Id) : policy.Namespace == mesh.RootNamespace, documents, problems);
        }

        // 2. Where services are.
        var pods = objects.Concat(others.SelectMany(ObjectsIn)).Where(one => one is { Group: "", Kind: "Pod" }).Select(MeshPod.Read).DistinctBy(pod => (pod.Namespace, pod.Name)).ToImmutableArray();
        var services = objects.Where(one => one is { Group: Networking, Kind: "ServiceEntry" } or { Group: "", Kind: "Service" }).ToList();
        foreach (var source in services)
        {
            if ((source.Kind == "Service" ? MeshService.ReadCluster(source, problems) : MeshService.ReadEntry(source, problems)) is { } service)
            {
                var name = MeshDocument.NameOf(MeshKinds.Endpoints, source.Namespace, $"{source.Kind}.{source.Name}");
                var text = service.Resolve(pods, problems).ToJson();
                Put(source, new MeshDocument(name, MeshKinds.Endpoints, source.Namespace, service.Everywhere, text), documents, problems);
            }
        }

        if (MeshSnapshot.ProblemOf(documents.Values) is { } tooMuch)
        {
            problems.Add(new MeshProblem("", tooMuch));
        }

        var doubts = load.Problems.Where(problem => problem.Severity == PolicySeverity.Warning && problem.Code != PolicyCodes.NotAPolicy).Select(problem => problem.ToString());
        return new DesiredMesh(documents.ToImmutableDictionary(StringComparer.Ordinal), [.. policies, .. services], pods, [.. problems], [.. doubts]) { RootNamespace = mesh.RootNamespace };
    }

    /// <summary>The namespaces of the policies in a text; null when it, or where one of them belongs, cannot be read.</summary>
    public static IReadOnlySet<string>? NamespacesOf(PolicyText text)
    {
        var policies = ObjectsIn(text).Where(IsPolicy).ToList();
        return YamlReader.TryRead(text.Text, out _, out _) && policies.All(policy => policy.IsPlaced) ? policies.Select(policy => policy.Namespace).ToHashSet(StringComparer.Ordinal) : null;
    }

    private static MeshSettings ReadSettings(PolicyText? settings, Dictionary<string, MeshDocument> documents, List<MeshProblem> problems)
    {
        if (settings is null)
        {
            return MeshSettings.Default;
        }

        var input = MeshFile.Read(settings);
        problems.AddRange(input.Problems.Where(problem => problem.Severity == PolicySeverity.Error).Select(problem => new MeshProblem(problem.File, problem.ToString())));
        if (!input.TryGet(out var read) || !YamlReader.TryRead(settings.Text, out var nodes, out _))
        {
            return MeshSettings.Default;
        }

        if (nodes.Count > 0 && CanonicalJson.TryWrite(nodes[0], MeshDocument.MaxBytes, out var text))
        {
            var name = MeshDocument.NameOf(MeshKinds.Settings, "", "");
            documents[name] = new MeshDocument(name, MeshKinds.Settings, "", Everywhere: true, text);
        }

        return read;
    }

    private static IEnumerable<MeshObject> ObjectsIn(PolicyText text)
    {
        YamlReader.TryRead(text.Text, out var documents, out _);
        return documents.SelectMany(document => MeshObject.Of(text.Name, document));
    }

    private static void Add(MeshObject source, bool everywhere, Dictionary<string, MeshDocument> documents, List<MeshProblem> problems)
    {
        if (CanonicalJson.TryWrite(source.Node, MeshDocument.MaxBytes, out var text))
        {
            Put(source, new MeshDocument(MeshDocument.NameOf(source.Kind, source.Namespace, source.Name), source.Kind, source.Namespace, everywhere, text), documents, problems);
        }
        else
        {
            problems.Add(source.Problem($"is larger than {MeshDocument.MaxBytes} bytes"));
        }
    }

    private static void Put(MeshObject source, MeshDocument document, Dictionary<string, MeshDocument> documents, List<MeshProblem> problems)
    {
        if (!IsName(source.Name) || !IsName(source.Namespace))
        {
            problems.Add(source.Problem($"needs a name and a namespace of at most {MaxName} letters, digits, '-', '.' and '_'"));
        }
        else if (!documents.TryAdd(document.Name, document))
        {
            problems.Add(source.Problem("is declared twice; rename or remove one of them"));
        }
    }

    private static bool IsPolicy(MeshObject one) =>
        one is { Group: Security, Kind: "PeerAuthentication" or "AuthorizationPolicy" or "RequestAuthentication" } or { Group: Networking, Kind: "DestinationRule" };

    private static bool IsName(string text) => text.Length is > 0 and <= MaxName && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_');

    private static bool IsPrivate(DestinationRule rule) => rule.HasWorkloadSelector || (rule.ExportTo.Count > 0 && rule.ExportTo.All(to => to == "." || to == rule.Namespace));
}
