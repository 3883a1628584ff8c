namespace Signet.Server.Attestation;

/// <summary>What a cluster says of a token.</summary>
/// <param name="IsAuthenticated">Whether the cluster accepts it.</param>
/// <param name="Problem">Why not.</param>
/// <param name="Audiences">For whom it was made, of those that were asked about.</param>
/// <param name="UserName">Whose it is.</param>
/// <param name="PodName">The pod that it is bound to; empty for none.</param>
/// <param name="PodUid">That very pod, and no later one of the same name; empty for none.</param>
internal sealed record TokenReview(bool IsAuthenticated, string Problem, IReadOnlyList<string> Audiences, string UserName, string PodName, string PodUid);

internal sealed record KubernetesPod(string Uid, string NodeName, string HostIp, IReadOnlyDictionary<string, string> Labels);

internal sealed record KubernetesNode(string Uid, IReadOnlyDictionary<string, string> Labels);
