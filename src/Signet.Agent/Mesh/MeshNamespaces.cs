using Signet.Identity.Registration;
using Signet.Identity.Spiffe;

namespace Signet.Agent.Mesh;

/// <summary>In which namespaces an attested workload is.</summary>
internal static class MeshNamespaces
{
    /// <summary>What its SPIFFE IDs say (<c>/ns/NAMESPACE/sa/ACCOUNT</c>) and what the cluster says of its pod; where neither says anything, what the agent's configuration says.</summary>
    /// <param name="ids">The workload's identities.</param>
    /// <param name="selectors">What it was attested with.</param>
    /// <param name="otherwise">For workloads of which nothing is known; null for none.</param>
    public static IReadOnlySet<string> Of(IEnumerable<SpiffeId> ids, IEnumerable<Selector> selectors, string? otherwise)
    {
        var found = ids.Select(Of).Concat(selectors.Select(Of)).OfType<string>().ToHashSet(StringComparer.Ordinal);
        return found.Count > 0 || otherwise is null ? found : new HashSet<string>(StringComparer.Ordinal) { otherwise };
    }

    private static string? Of(SpiffeId id) => id.Path.Split('/') is ["", "ns", { Length: > 0 } ns, "sa", ..] ? ns : null;

    private static string? Of(Selector selector) => selector.Type == "k8s" && selector.Value.StartsWith("ns:", StringComparison.Ordinal) && selector.Value.Length > 3 ? selector.Value[3..] : null;
}
