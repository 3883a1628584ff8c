using Signet.Policy.Objects;

namespace Signet.Policy;

/// <summary>
/// Finds the DestinationRule that decides about a connection. Namespaces are asked in order (the client's, the service's, the root), and the
/// first that has any rule for the host decides alone; in it the most specific host wins, and rules for the same host count as one: the
/// oldest traffic policy, all subsets.
/// </summary>
internal static class DestinationRules
{
    public static ClientTls Resolve(ClientTlsQuery query, MeshSettings mesh, Func<string, IEnumerable<DestinationRule>> rulesIn)
    {
        var matching = Matching(query, mesh, rulesIn);
        if (matching.Count == 0)
        {
            return Automatic(query, mesh, "no DestinationRule covers the host");
        }

        // A rule that can't be understood might have decided: nothing else may, then.
        if (matching.Find(rule => rule.Unreadable is not null) is { } unreadable)
        {
            var problem = $"{unreadable.Id} can't be understood and covers the host: {unreadable.Unreadable}";
            return new ClientTls(ClientTlsMode.IstioMutual, unreadable.Id, problem, null, problem);
        }

        var merged = Merged(matching, query);
        var (general, special, from, fromSubset) = PoliciesOf(merged, query);
        return (special?.Tls ?? general?.Tls) is { } tls
            ? Settled(tls, special?.Tls is null ? from! : fromSubset!)
            : Automatic(query, mesh, merged.Count == 0 ? "the DestinationRules for the host are for other clients" : $"{merged[0].Id} covers the host but says nothing about TLS on this port");

        static ClientTls Settled(ClientTlsSettings tls, string from) => new(tls.Mode, from, $"{from} says {tls.Mode.Word()}", tls);
    }

    /// <summary>The same search, for everything but TLS. A rule that can't be understood says nothing here: it has already kept the client from connecting.</summary>
    public static ClientTraffic ResolveTraffic(ClientTlsQuery query, MeshSettings mesh, Func<string, IEnumerable<DestinationRule>> rulesIn)
    {
        var (general, special, from, fromSubset) = PoliciesOf(Merged(Matching(query, mesh, rulesIn).FindAll(rule => rule.Unreadable is null), query), query);
        var settled = special?.Over(general) ?? general;
        var silent = ClientTraffic.Default;
        return settled is null ? silent : new(fromSubset ?? from, settled.Balancing ?? silent.Balancing, settled.Pool ?? silent.Pool, settled.Outliers, settled.Retries ?? silent.Retries);
    }

    /// <summary>The rules for the host in the first namespace that has any.</summary>
    private static List<DestinationRule> Matching(ClientTlsQuery query, MeshSettings mesh, Func<string, IEnumerable<DestinationRule>> rulesIn)
    {
        var host = HostName.Complete(query.Host, query.ServiceNamespace);
        var client = query.Client.Namespace;
        IEnumerable<DestinationRule>[] steps =
        [
            rulesIn(client).Where(rule => client == mesh.RootNamespace ? rule.IsPrivate : rule.IsLocal),
            rulesIn(query.ServiceNamespace).Where(rule => rule.IsExportedTo(client)),
            rulesIn(mesh.RootNamespace).Where(rule => rule.IsExportedTo(client)),
        ];
        return steps.Select(step => step.Where(rule => HostName.Covers(rule.Host, host)).ToList()).FirstOrDefault(found => found.Count > 0) ?? [];
    }

    /// <summary>Of those the ones for the most specific host that are for this client, oldest first.</summary>
    private static List<DestinationRule> Merged(List<DestinationRule> matching, ClientTlsQuery query)
    {
        if (matching.Count == 0)
        {
            return matching;
        }

        var best = matching.Max(rule => HostName.Specificity(rule.Host));
        var sameHost = matching.Where(rule => HostName.Specificity(rule.Host) == best).Order(Comparer<DestinationRule>.Create(PolicyObject.ByAge)).ToList();
        var selected = sameHost.FindAll(rule => rule.HasWorkloadSelector && query.Client.HasLabels(rule.Selector));
        return selected.Count > 0 ? selected : sameHost.FindAll(rule => !rule.HasWorkloadSelector);
    }

    /// <summary>The oldest rule's policy for the port, and the subset's over it; a subset that names the port inherits nothing.</summary>
    private static (PortTraffic? General, PortTraffic? Special, string? From, string? FromSubset) PoliciesOf(List<DestinationRule> merged, ClientTlsQuery query)
    {
        var general = merged.Find(rule => rule.TrafficPolicy is not null);
        if (query.Subset is { } subset && merged.Find(rule => rule.Subsets.ContainsKey(subset)) is { } owner && owner.Subsets[subset] is { } policy)
        {
            var isNamed = policy.Ports.TryGetValue(query.ServicePort, out var own);
            return (isNamed ? null : On(general?.TrafficPolicy, query.ServicePort), isNamed ? own : policy.General, general?.Id, owner.Id);
        }

        return (On(general?.TrafficPolicy, query.ServicePort), null, general?.Id, null);
    }

    private static PortTraffic? On(TrafficPolicy? policy, int port) => policy is null ? null : policy.Ports.TryGetValue(port, out var own) ? own : policy.General;

    private static ClientTls Automatic(ClientTlsQuery query, MeshSettings mesh, string because)
    {
        if (!mesh.EnableAutoMtls)
        {
            return new ClientTls(ClientTlsMode.Disable, null, $"{because}, and automatic mutual TLS is off");
        }

        return query.Endpoint switch
        {
            { HasSidecar: false } => new ClientTls(ClientTlsMode.Disable, null, $"{because}, and the endpoint has no sidecar"),
            { Mode: MtlsMode.Disable } => new ClientTls(ClientTlsMode.Disable, null, $"{because}, and the endpoint's port takes no mutual TLS"),
            _ => new ClientTls(ClientTlsMode.IstioMutual, null, $"{because}, so mutual TLS is automatic"),
        };
    }
}
