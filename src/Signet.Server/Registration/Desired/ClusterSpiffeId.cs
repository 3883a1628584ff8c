using System.Collections.Immutable;
using Signet.Hosting.Configuration;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Server.Registration.Desired;

/// <summary>
/// SPIRE's ClusterSPIFFEID (spire.spiffe.io/v1alpha1): templates that give every pod that is selected an entry of its own, on the node where it runs.
/// Immutable.
/// </summary>
internal sealed record ClusterSpiffeId
{
    public required string Name { get; init; }

    public required GoTemplate Id { get; init; }

    public required ImmutableArray<GoTemplate> DnsNames { get; init; }

    /// <summary>Selectors that a workload of the pod must have beyond being in it.</summary>
    public required ImmutableArray<GoTemplate> Selectors { get; init; }

    public required LabelSelector Pods { get; init; }

    public required LabelSelector Namespaces { get; init; }

    public required ImmutableArray<TrustDomain> FederatesWith { get; init; }

    public required TimeSpan? X509Ttl { get; init; }

    public required TimeSpan? JwtTtl { get; init; }

    public required string Hint { get; init; }

    public required bool Admin { get; init; }

    public required bool Downstream { get; init; }

    /// <summary>Whether it counts only for pods that no other selects.</summary>
    public required bool IsFallback { get; init; }

    /// <summary>Null when a template does not hold; the section then has the problem.</summary>
    public static ClusterSpiffeId? Read(ConfigSection root)
    {
        var spec = root.Section("spec");
        spec.Ignore("className");
        if (spec.Flag("autoPopulateDNSNames", false))
        {
            spec.Problem("autoPopulateDNSNames", "needs the cluster's endpoints, which are not known here; write dnsNameTemplates");
        }

        var id = Template(spec, "spiffeIDTemplate", spec.RequiredText("spiffeIDTemplate"));
        var dnsNames = spec.Texts("dnsNameTemplates").Select(text => Template(spec, "dnsNameTemplates", text)).ToArray();
        var selectors = spec.Texts("workloadSelectorTemplates").Select(text => Template(spec, "workloadSelectorTemplates", text)).ToArray();
        var read = new ClusterSpiffeId
        {
            Name = root.Section("metadata").Text("name", ""),
            Id = id!,
            DnsNames = [.. dnsNames.OfType<GoTemplate>()],
            Selectors = [.. selectors.OfType<GoTemplate>()],
            Pods = LabelSelector.Read(spec.Section("podSelector")),
            Namespaces = LabelSelector.Read(spec.Section("namespaceSelector")),
            FederatesWith = EntrySections.TrustDomains(spec, "federatesWith"),
            X509Ttl = EntrySections.Ttl(spec, "ttl"),
            JwtTtl = EntrySections.Ttl(spec, "jwtTtl"),
            Hint = spec.Text("hint", ""),
            Admin = spec.Flag("admin", false),
            Downstream = spec.Flag("downstream", false),
            IsFallback = spec.Flag("fallback", false),
        };
        return id is null || dnsNames.Contains(null) || selectors.Contains(null) ? null : read;
    }

    /// <summary>The entries of all pods that run.</summary>
    /// <param name="ids">The templates; of two that say the same of a pod the first counts.</param>
    /// <param name="objects">The cluster's pods, nodes and namespaces.</param>
    /// <param name="scope">Where the entries belong.</param>
    /// <param name="skipped">Takes a line for each pod whose entry can't be made.</param>
    public static IEnumerable<RegistrationEntry> Render(
        IReadOnlyList<ClusterSpiffeId> ids, IReadOnlyList<KubernetesObject> objects, DesiredScope scope, ICollection<string> skipped)
    {
        var namespaces = Named(objects, "Namespace");
        var nodes = Named(objects, "Node");
        foreach (var pod in objects.Where(one => one.Kind == "Pod" && !one.HasEnded))
        {
            var labels = new Dictionary<string, string>(namespaces.GetValueOrDefault(pod.Namespace)?.Labels ?? ImmutableDictionary<string, string>.Empty, StringComparer.Ordinal)
            {
                // The cluster sets this one on every namespace itself.
                ["kubernetes.io/metadata.name"] = pod.Namespace,
            };
            var selecting = ids.Where(id => id.Namespaces.Selects(labels) && id.Pods.Selects(pod.Labels)).ToArray();
            foreach (var id in selecting.Where(id => !id.IsFallback || selecting.All(other => other.IsFallback)))
            {
                if (id.TryRender(pod, nodes.GetValueOrDefault(pod.Spec.GetValueOrDefault("nodeName", "")), scope, out var entry, out var problem))
                {
                    yield return entry!;
                }
                else
                {
                    skipped.Add($"pod {Printable.Of(pod.Namespace)}/{Printable.Of(pod.Name)}: ClusterSPIFFEID {Printable.Of(id.Name)}: {problem}");
                }
            }
        }
    }

    private static Dictionary<string, KubernetesObject> Named(IEnumerable<KubernetesObject> objects, string kind) =>
        objects.Where(one => one.Kind == kind).GroupBy(one => one.Name, StringComparer.Ordinal).ToDictionary(same => same.Key, same => same.Last(), StringComparer.Ordinal);

    private static GoTemplate? Template(ConfigSection spec, string key, string text)
    {
        if (GoTemplate.TryParse(text, out var template, out var problem))
        {
            return template;
        }

        spec.Problem(key, problem);
        return null;
    }

    private bool TryRender(KubernetesObject pod, KubernetesObject? node, DesiredScope scope, out RegistrationEntry? entry, out string problem)
    {
        entry = null;
        if (node is null || node.Uid.Length == 0)
        {
            problem = $"its node \"{Printable.Of(pod.Spec.GetValueOrDefault("nodeName", ""))}\" is not known, or has no uid; give the nodes too";
            return false;
        }

        if (pod.Uid.Length == 0)
        {
            problem = "it has no uid, so it can't be told from others; give pods as the cluster has them, not as they were created";
            return false;
        }

        var data = Data(pod, node, scope);
        if (!Id.TryRender(data, out var idText, out problem) || !SpiffeId.TryParse(idText, out var id, out problem))
        {
            return false;
        }

        var dnsNames = new List<string>();
        foreach (var template in DnsNames)
        {
            if (!template.TryRender(data, out var name, out problem))
            {
                return false;
            }

            dnsNames.Add(name);
        }

        var selectors = new List<Selector> { new("k8s", $"pod-uid:{pod.Uid}") };
        foreach (var template in Selectors)
        {
            if (!template.TryRender(data, out var text, out problem) || !Selector.TryParse(text, out var selector, out problem))
            {
                return false;
            }

            selectors.Add(selector);
        }

        if (!SpiffeId.TryParse($"{ReservedIds.Agent(scope.TrustDomain, "k8s_psat", scope.Cluster).Uri}/{node.Uid}", out var parent, out problem))
        {
            return false;
        }

        entry = new RegistrationEntry
        {
            Id = "",
            SpiffeId = id,
            ParentId = parent,
            Selectors = [.. selectors],
            DnsNames = [.. dnsNames.Distinct(StringComparer.Ordinal)],
            FederatesWith = FederatesWith,
            X509Ttl = X509Ttl,
            JwtTtl = JwtTtl,
            Hint = Hint,
            Admin = Admin,
            Downstream = Downstream,
        };
        return true;
    }

    private static TemplateData Data(KubernetesObject pod, KubernetesObject node, DesiredScope scope) => Of(
        ("TrustDomain", scope.TrustDomain.Name),
        ("ClusterName", scope.Cluster),
        ("ClusterDomain", DesiredScope.ClusterDomain),
        ("PodMeta", Meta(pod)),
        ("PodSpec", Of([.. pod.Spec.Select(pair => (GoName(pair.Key), (object)pair.Value)), .. ServiceAccount(pod)])),
        ("NodeMeta", Meta(node)),
        ("NodeSpec", Of([.. node.Spec.Select(pair => (GoName(pair.Key), (object)pair.Value))])));

    // A pod that names no service account runs as its namespace's default one.
    private static IEnumerable<(string, object)> ServiceAccount(KubernetesObject pod) => pod.Spec.ContainsKey("serviceAccountName") ? [] : [("ServiceAccountName", "default")];

    private static TemplateData Meta(KubernetesObject one) => Of(
        ("Name", one.Name),
        ("Namespace", one.Namespace),
        ("UID", one.Uid),
        ("Labels", Of([.. one.Labels.Select(pair => (pair.Key, (object)pair.Value))])),
        ("Annotations", Of([.. one.Annotations.Select(pair => (pair.Key, (object)pair.Value))])));

    private static TemplateData Of(params ReadOnlySpan<(string Name, object Value)> values)
    {
        var data = new Dictionary<string, object>(StringComparer.Ordinal);
        foreach (var (name, value) in values)
        {
            data[name] = value;
        }

        return new TemplateData(data);
    }

    // As the Go types name what their JSON writes with a small letter.
    private static string GoName(string key) => key == "providerID" ? "ProviderID" : char.ToUpperInvariant(key[0]) + key[1..];
}
