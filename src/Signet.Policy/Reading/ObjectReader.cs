using System.Globalization;
using Signet.Identity;
using Signet.Identity.Spiffe;
using Signet.Policy.Objects;
using Signet.Policy.Yaml;

namespace Signet.Policy.Reading;

/// <summary>Reads one document: what kind of object it is, its metadata, and by its kind the rest.</summary>
internal static class ObjectReader
{
    /// <summary>The most objects in one <c>List</c>.</summary>
    private const int MaxListItems = 100_000;

    private const string DefaultNamespace = "default";
    private const string Security = "security.istio.io";
    private const string Networking = "networking.istio.io";

    private static readonly string[] OtherNetworkingKinds =
        ["VirtualService", "Gateway", "Sidecar", "ServiceEntry", "WorkloadEntry", "WorkloadGroup", "EnvoyFilter", "ProxyConfig"];

    private static readonly string[] TopFields = ["apiVersion", "kind", "metadata", "spec", "status"];

    private static readonly string[] MetadataFields =
    [
        "name", "namespace", "labels", "annotations", "creationTimestamp", "uid", "resourceVersion", "generation", "managedFields",
        "ownerReferences", "finalizers", "generateName", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds",
    ];

    public static IEnumerable<PolicyObject> Read(YamlNode document, MeshSettings mesh, ProblemList problems)
    {
        if (document is not YamlMapping mapping)
        {
            return Refuse(document.Line, $"the document is {document.Noun}; an object with apiVersion and kind was expected", hint: null, problems);
        }

        var apiVersion = (mapping["apiVersion"] as YamlScalar)?.Value;
        var kind = (mapping["kind"] as YamlScalar)?.Value;
        if (string.IsNullOrEmpty(apiVersion) || string.IsNullOrEmpty(kind))
        {
            return Refuse(mapping.Line, "the document has no apiVersion and kind", "for example: apiVersion: security.istio.io/v1, kind: AuthorizationPolicy", problems);
        }

        if (apiVersion == "v1" && kind == "List")
        {
            return ReadList(mapping, mesh, problems);
        }

        var slash = apiVersion.IndexOf('/', StringComparison.Ordinal);
        var (group, version) = slash < 0 ? ("", apiVersion) : (apiVersion[..slash], apiVersion[(slash + 1)..]);
        return (group, kind) switch
        {
            (Security, "PeerAuthentication") when version is "v1" or "v1beta1" => ReadOne(mapping, kind, mesh, problems, PeerAuthenticationReader.Read),
            (Security, "AuthorizationPolicy") when version is "v1" or "v1beta1" => ReadOne(mapping, kind, mesh, problems, AuthorizationPolicyReader.Read),
            (Security, "RequestAuthentication") when version is "v1" or "v1beta1" => ReadOne(mapping, kind, mesh, problems, RequestAuthenticationReader.Read),
            (Networking, "DestinationRule") when version is "v1" or "v1beta1" or "v1alpha3" => ReadOne(mapping, kind, mesh, problems, DestinationRuleReader.Read),
            (Security, "PeerAuthentication" or "AuthorizationPolicy" or "RequestAuthentication") =>
                Refuse(mapping.Line, $"{kind} has no version \"{Printable.Of(version)}\"", $"write apiVersion: {Security}/v1", problems),
            (Networking, "DestinationRule") =>
                Refuse(mapping.Line, $"{kind} has no version \"{Printable.Of(version)}\"", $"write apiVersion: {Networking}/v1", problems),
            (Networking, _) when OtherNetworkingKinds.Contains(kind) => Skip(mapping.Line, kind, PolicySeverity.Warning, problems),
            (Security or Networking or "authentication.istio.io" or "rbac.istio.io" or "config.istio.io", _) =>
                Refuse(mapping.Line, $"{Printable.Of(apiVersion)} has no kind \"{Printable.Of(kind)}\" that is known here", Suggest(kind), problems),
            _ => Skip(mapping.Line, kind, PolicySeverity.Info, problems),
        };
    }

    /// <summary>The object that stands for what could not be read at all: it covers everything.</summary>
    public static PolicyObject Everything(string file, int line, string why) =>
        new UnreadableText { Namespace = "", Name = "", File = file, Line = line, Unreadable = why };

    private static IEnumerable<PolicyObject> ReadList(YamlMapping list, MeshSettings mesh, ProblemList problems)
    {
        if (Fields.Open(list, "", problems, "apiVersion", "kind", "metadata", "items")?.Items("items") is not { Count: <= MaxListItems } items)
        {
            return Refuse(list.Line, $"the list has more than {MaxListItems} items", "split it", problems);
        }

        return items.SelectMany(item => item is YamlMapping inner && (inner["kind"] as YamlScalar)?.Value == "List"
            ? Refuse(item.Line, "a List within a List", hint: null, problems)
            : Read(item, mesh, problems)).ToList();
    }

    private static IEnumerable<PolicyObject> ReadOne(YamlMapping mapping, string kind, MeshSettings mesh, ProblemList problems, Func<Header, Fields, ReadingContext, PolicyObject> read)
    {
        var errors = problems.Errors;
        var before = problems.All.Count;
        var top = Fields.Open(mapping, "", problems, TopFields)!;
        if (ReadHeader(top, problems) is not { } header)
        {
            return [Everything(problems.File, mapping.Line, problems.FirstErrorAfter(before)!.Message)];
        }

        // Without a spec every field of it is absent, which for an AuthorizationPolicy denies everything, as in Istio.
        var spec = top.Node("spec") is YamlMapping node ? node : new YamlMapping(mapping.Line, []);
        if (top.Has("spec") && top.Node("spec") is not YamlMapping)
        {
            problems.Error(top.LineOf("spec"), PolicyCodes.BadValue, $"spec is {top.Node("spec")!.Noun}; a mapping was expected");
        }

        var one = read(header, SpecOf(kind, spec, problems), new ReadingContext(mesh, problems));
        return [problems.Errors == errors ? one : one with { Unreadable = problems.FirstErrorAfter(before)!.Message }];
    }

    private static Fields SpecOf(string kind, YamlMapping spec, ProblemList problems) => Fields.Open(spec, "spec", problems, kind switch
    {
        "PeerAuthentication" => PeerAuthenticationReader.SpecFields,
        "RequestAuthentication" => RequestAuthenticationReader.SpecFields,
        "DestinationRule" => DestinationRuleReader.SpecFields,
        _ => AuthorizationPolicyReader.SpecFields,
    })!;

    private static Header? ReadHeader(Fields top, ProblemList problems)
    {
        var metadata = top.Open("metadata", MetadataFields);
        var name = metadata?.Text("name");
        if (string.IsNullOrEmpty(name))
        {
            problems.Error(metadata?.Line ?? top.Line, PolicyCodes.BadObject, "the object has no metadata.name", "give it a name");
            return null;
        }

        var ns = metadata!.Text("namespace") ?? DefaultNamespace;
        foreach (var (field, value) in new[] { ("metadata.name", name), ("metadata.namespace", ns) })
        {
            if (value.Length is 0 or > 253 || value.Any(c => !(char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_')))
            {
                problems.Error(metadata.Line, PolicyCodes.BadValue, $"{field} is \"{Printable.Of(value)}\"; letters, digits, '-', '.' and '_' were expected, at most 253");
                return null;
            }
        }

        var created = DateTimeOffset.MinValue;
        if (metadata.Text("creationTimestamp") is { } stamp
            && !DateTimeOffset.TryParse(stamp, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out created))
        {
            problems.Error(metadata.LineOf("creationTimestamp"), PolicyCodes.BadValue, $"metadata.creationTimestamp is \"{Printable.Of(stamp)}\"; a time like 2026-01-31T12:00:00Z was expected");
        }

        metadata.TextMap("labels");
        return new Header(ns, name, problems.File, top.Line, created, metadata.TextMap("annotations"), metadata.LineOf("annotations"));
    }

    private static PolicyObject[] Refuse(int line, string message, string? hint, ProblemList problems)
    {
        problems.Error(line, PolicyCodes.BadObject, message, hint);
        return [Everything(problems.File, line, message)];
    }

    private static PolicyObject[] Skip(int line, string kind, PolicySeverity severity, ProblemList problems)
    {
        var message = $"{Printable.Of(kind)} says nothing about who may talk to whom; it is not used";
        if (severity == PolicySeverity.Warning)
        {
            problems.Warning(line, PolicyCodes.NotAPolicy, message);
        }
        else
        {
            problems.Info(line, PolicyCodes.NotAPolicy, message);
        }

        return [];
    }

    private static string? Suggest(string kind) =>
        NearestWord.To(kind, "PeerAuthentication", "AuthorizationPolicy", "RequestAuthentication", "DestinationRule") is { } nearest ? $"did you mean {nearest}?" : null;
}

/// <summary>An object's metadata.</summary>
internal sealed record Header(
    string Namespace, string Name, string File, int Line, DateTimeOffset Created, IReadOnlyDictionary<string, string> Annotations, int AnnotationsLine);

/// <summary>What the readers of a spec need besides it.</summary>
internal sealed record ReadingContext(MeshSettings Mesh, ProblemList Problems)
{
    private const int MaxTargetRefs = 16;

    /// <summary>The labels that a workload selector asks for; empty when there is none.</summary>
    public IReadOnlyDictionary<string, string> Selector(Fields spec, string field = "selector")
    {
        var errors = Problems.Errors;
        var labels = spec.Open(field, "matchLabels")?.TextMap("matchLabels") ?? new Dictionary<string, string>();
        foreach (var (name, value) in labels)
        {
            if (name.Length == 0 || name.Contains('*', StringComparison.Ordinal) || value.Contains('*', StringComparison.Ordinal))
            {
                Problems.Error(spec.LineOf(field), PolicyCodes.BadValue, $"{spec.PathOf(field)}.matchLabels has \"{Printable.Of(name)}: {Printable.Of(value)}\"; labels are compared as they are, without wildcards");
            }
        }

        // What a selector with a mistake would have selected can't be known: the object covers its whole namespace, and denies there.
        return Problems.Errors == errors ? labels : new Dictionary<string, string>();
    }

    /// <summary>Whether the object names gateways or services instead of workloads.</summary>
    public bool HasTargetRefs(Fields spec)
    {
        string[] known = ["group", "kind", "name", "namespace", "sectionName"];
        var refs = spec.Items("targetRefs");
        spec.Open("targetRef", known);
        foreach (var item in refs.Take(MaxTargetRefs))
        {
            Fields.Open(item, "spec.targetRefs", Problems, known);
        }

        if (refs.Count > MaxTargetRefs)
        {
            Problems.Error(spec.LineOf("targetRefs"), PolicyCodes.BadValue, $"spec.targetRefs has {refs.Count} entries; the limit is {MaxTargetRefs}");
        }

        var any = refs.Count > 0 || spec.Has("targetRef");
        if (any && spec.Has("selector"))
        {
            Problems.Error(spec.LineOf("selector"), PolicyCodes.BadValue, "spec.selector and spec.targetRefs exclude each other", "keep one of them");
        }

        return any;
    }
}
