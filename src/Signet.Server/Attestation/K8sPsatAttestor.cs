using Signet.Hosting.Files;
using Signet.Hosting.Http;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Attestation;

namespace Signet.Server.Attestation;

/// <summary>
/// Admits pods of Kubernetes clusters that show a service account token made for this server; the cluster itself says whose it is. Selectors and
/// IDs are SPIRE's.
/// </summary>
internal sealed class K8sPsatAttestor(TrustDomain trustDomain, IReadOnlyDictionary<string, K8sCluster> clusters) : INodeAttestor
{
    /// <summary>What a node learns when its cluster cannot be asked.</summary>
    private const string CannotAsk = "the cluster cannot be asked about the token now; the server's log says why";

    public string Type => K8sTokenWire.PsatType;

    public async Task<NodeVerdict> AttestAsync(NodeExchange node, CancellationToken cancellationToken)
    {
        if (!K8sTokenWire.TryRead(node.Payload, out var shown, out var problem))
        {
            return NodeVerdict.Malformed($"{Type} payload: {problem}");
        }

        if (!clusters.TryGetValue(shown.Cluster, out var cluster))
        {
            return NodeVerdict.Refused($"cluster \"{Printable.Of(shown.Cluster)}\" is not one of this server's");
        }

        try
        {
            return await JudgeAsync(shown, cluster, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is JsonApiException or PlaceException)
        {
            return NodeVerdict.Unavailable($"cluster {shown.Cluster}: {e.Message}", CannotAsk);
        }
    }

    private async Task<NodeVerdict> JudgeAsync(K8sTokenWire shown, K8sCluster cluster, CancellationToken cancellationToken)
    {
        // 1. Whose token is it, and was it made for this server?
        var review = await cluster.Api.ReviewAsync(shown.Token, cluster.Config.Audiences, cancellationToken).ConfigureAwait(false);
        if (!review.IsAuthenticated)
        {
            return NodeVerdict.Refused($"cluster {shown.Cluster} does not accept the token: {review.Problem}", $"cluster {shown.Cluster} does not accept the token");
        }

        if (!review.Audiences.Intersect(cluster.Config.Audiences, StringComparer.Ordinal).Any())
        {
            return NodeVerdict.Refused($"the token is not for {string.Join(", ", cluster.Config.Audiences)}");
        }

        if (review.UserName.Split(':') is not ["system", "serviceaccount", { Length: > 0 } space, { Length: > 0 } account])
        {
            return NodeVerdict.Refused("the token is not one of a service account");
        }

        if (!cluster.Config.ServiceAccounts.Contains($"{space}:{account}"))
        {
            return NodeVerdict.Refused($"service account \"{Printable.Of(space)}:{Printable.Of(account)}\" is not one that agents of cluster {shown.Cluster} run as");
        }

        // 2. In which pod, on which node? What the token is bound to must still be what is there.
        if (review.PodName.Length == 0 || review.PodUid.Length == 0)
        {
            return NodeVerdict.Refused("the token is not bound to a pod; project it into the agent's pod");
        }

        if (await cluster.Api.FindPodAsync(space, review.PodName, cancellationToken).ConfigureAwait(false) is not { } pod || pod.Uid != review.PodUid)
        {
            return NodeVerdict.Refused($"pod {Printable.Of(space)}/{Printable.Of(review.PodName)} is not there any more");
        }

        if (pod.NodeName.Length == 0 || await cluster.Api.FindNodeAsync(pod.NodeName, cancellationToken).ConfigureAwait(false) is not { Uid.Length: > 0 } machine)
        {
            return NodeVerdict.Refused($"pod {Printable.Of(space)}/{Printable.Of(review.PodName)} runs on no node that the cluster knows");
        }

        // 3. Then it is the agent of that node.
        if (!SpiffeId.TryParse($"{trustDomain.IdString}/spire/agent/{Type}/{shown.Cluster}/{machine.Uid}", out var id, out var problem))
        {
            return NodeVerdict.Refused($"the node gives no name for an agent: {problem}");
        }

        string[] values =
        [
            $"cluster:{shown.Cluster}",
            $"agent_ns:{space}",
            $"agent_sa:{account}",
            $"agent_pod_name:{review.PodName}",
            $"agent_pod_uid:{pod.Uid}",
            $"agent_node_ip:{pod.HostIp}",
            $"agent_node_name:{pod.NodeName}",
            $"agent_node_uid:{machine.Uid}",
            .. Labels("agent_node_label", machine.Labels, cluster.Config.NodeLabels),
            .. Labels("agent_pod_label", pod.Labels, cluster.Config.PodLabels),
        ];
        return NodeVerdict.Proven(new NodeProof.Repeatable(id, [.. values.Where(value => value.Length < Selector.MaxLength - Type.Length).Select(value => new Selector(Type, value))]));
    }

    private static IEnumerable<string> Labels(string kind, IReadOnlyDictionary<string, string> labels, IReadOnlyList<string> allowed) =>
        allowed.Where(labels.ContainsKey).Select(key => $"{kind}:{key}:{labels[key]}");
}

/// <summary>A cluster whose pods may attest, and how to ask it.</summary>
internal sealed record K8sCluster(K8sClusterConfig Config, KubernetesApi Api);
