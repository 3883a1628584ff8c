using Signet.Hosting.Configuration;

namespace Signet.Server.Registration.Desired;

/// <summary>A pod, node or namespace, as far as identities depend on it. Immutable.</summary>
/// <param name="Kind">As the object says.</param>
/// <param name="Namespace">A pod's; empty for the others.</param>
/// <param name="Name">Its name.</param>
/// <param name="Uid">What the cluster calls this very object.</param>
/// <param name="Labels">Its labels.</param>
/// <param name="Annotations">Its annotations.</param>
/// <param name="Spec">The single texts of its spec.</param>
/// <param name="Phase">A pod's; empty for the others.</param>
internal sealed record KubernetesObject(
    string Kind,
    string Namespace,
    string Name,
    string Uid,
    IReadOnlyDictionary<string, string> Labels,
    IReadOnlyDictionary<string, string> Annotations,
    IReadOnlyDictionary<string, string> Spec,
    string Phase)
{
    /// <summary>Whether a pod will never run again.</summary>
    public bool HasEnded => Phase is "Succeeded" or "Failed";

    /// <summary>Reads the fields that count; the many others are the cluster's own business.</summary>
    public static KubernetesObject Read(ConfigSection root, string kind)
    {
        var metadata = root.Section("metadata");
        var spec = root.Section("spec");
        return new KubernetesObject(
            kind,
            metadata.Text("namespace", ""),
            metadata.RequiredText("name"),
            metadata.Text("uid", ""),
            metadata.Map("labels"),
            metadata.Map("annotations"),
            spec.Keys.Where(key => key.Length > 0 && spec.Shape(key) is ConfigShape.Text).ToDictionary(key => key, key => spec.Text(key, ""), StringComparer.Ordinal),
            root.Section("status").Text("phase", ""));
    }
}

/// <summary>Kubernetes' LabelSelector: all of its demands hold, and one without demands selects everything. Immutable.</summary>
internal sealed class LabelSelector
{
    private readonly IReadOnlyDictionary<string, string> _equal;
    private readonly IReadOnlyList<Expression> _expressions;

    private LabelSelector(IReadOnlyDictionary<string, string> equal, IReadOnlyList<Expression> expressions) => (_equal, _expressions) = (equal, expressions);

    public static LabelSelector Read(ConfigSection section)
    {
        var expressions = section.Sections("matchExpressions").Select(one => new Expression(
            one.RequiredText("key"),
            one.Choice("operator", "Exists", "In", "NotIn", "Exists", "DoesNotExist"),
            one.Texts("values"))).ToArray();
        return new LabelSelector(section.Map("matchLabels"), expressions);
    }

    public bool Selects(IReadOnlyDictionary<string, string> labels) =>
        _equal.All(demand => labels.TryGetValue(demand.Key, out var value) && value == demand.Value) && _expressions.All(one => one.Holds(labels));

    private sealed record Expression(string Key, string Operator, IReadOnlyList<string> Values)
    {
        // A label that is absent is "not in" every list of values, as in Kubernetes.
        public bool Holds(IReadOnlyDictionary<string, string> labels) => (Operator, labels.TryGetValue(Key, out var value)) switch
        {
            ("Exists", var there) => there,
            ("DoesNotExist", var there) => !there,
            ("In", var there) => there && Values.Contains(value, StringComparer.Ordinal),
            (_, var there) => !there || !Values.Contains(value, StringComparer.Ordinal),
        };
    }
}
