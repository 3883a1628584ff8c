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
        var host = HostName.Complete(query.Host, query.ServiceNamespace);
        var client = query.Client.Namespace;
        IEnumerable<DestinationRule>[] steps =
        [
            rulesIn(client).Where(rule => client == mesh.RootNamespace ? rule.IsPrivate : rule.IsLocal),
            rulesIn(query.ServiceNamespace).Where(rule => rule.IsExportedTo(client)),
            rulesIn(mesh.RootNamespace).Where(rule => rule.IsExportedTo(client)),
        ];
        foreach (var step in steps)
        {
            var matching = step.Where(rule => HostName.Covers(rule.Host, host)).ToList();
            if (matching.Count > 0)
            {
                return Decide(matching, query, mesh);
            }
        }

        return Automatic(query, mesh, "no DestinationRule covers the host");
    }

    private static ClientTls Decide(List<DestinationRule> matching, ClientTlsQuery query, MeshSettings mesh)
    {
        // A rule that can't be understood might have decided: nothing else may, then.
        if (matching.Find(rule => rule.Unreadable is not null) is { } unreadable)
        {
            var problem = $"{unreadable.Id} can't be understood and covers the host: {unreadable.Unreadable}";
            return new ClientTls(ClientTlsMode.IstioMutual, unreadable.Id, problem, null, problem);
        }

        var best = matching.Max(rule => HostName.Specificity(rule.Host));
        var sameHost = matching.Where(rule => HostName.Specificity(rule.Host) == best).Order(Comparer<DestinationRule>.Create(PolicyObject.ByAge)).ToList();
        var selected = sameHost.Where(rule => rule.HasWorkloadSelector && query.Client.HasLabels(rule.Selector)).ToList();
        var merged = selected.Count > 0 ? selected : sameHost.Where(rule => !rule.HasWorkloadSelector).ToList();

        ClientTlsSettings? tls = null;
        string? from = null;
        if (merged.Find(rule => rule.TrafficPolicy is not null) is { } general)
        {
            (tls, from) = (Fold(null, general.TrafficPolicy!, query.ServicePort), general.Id);
        }

        if (query.Subset is { } subset && merged.Find(rule => rule.Subsets.ContainsKey(subset)) is { } special && special.Subsets[subset] is { } policy)
        {
            var folded = Fold(tls, policy, query.ServicePort);
            (tls, from) = (folded, ReferenceEquals(folded, tls) ? from : special.Id);
        }

        return tls is null
            ? Automatic(query, mesh, merged.Count == 0 ? "the DestinationRules for the host are for other clients" : $"{merged[0].Id} covers the host but says nothing about TLS on this port")
            : new ClientTls(tls.Mode, from, $"{from} says {tls.Mode.Word()}", tls);
    }

    private static ClientTlsSettings? Fold(ClientTlsSettings? inherited, TrafficPolicy policy, int port) =>
        policy.Ports.TryGetValue(port, out var own) ? own : policy.Tls ?? inherited;

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
