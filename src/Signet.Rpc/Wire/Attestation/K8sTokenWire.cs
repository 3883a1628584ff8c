using System.Diagnostics.CodeAnalysis;

namespace Signet.Rpc.Wire.Attestation;

/// <summary>What k8s_psat's node shows, in SPIRE's form: a service account token and the name of the cluster whose it is.</summary>
/// <param name="Cluster">As the server knows the cluster.</param>
/// <param name="Token">A secret: whoever has it is the pod.</param>
public sealed record K8sTokenWire(string Cluster, string Token)
{
    public const string PsatType = "k8s_psat";

    /// <summary>The longest name of a cluster, in characters.</summary>
    public const int MaxClusterLength = 253;

    /// <summary>The longest token, in characters.</summary>
    public const int MaxTokenLength = 16 * 1024;

    public byte[] Encode() => AttestationJson.Write(writer =>
    {
        writer.WriteString("cluster", Cluster);
        writer.WriteString("token", Token);
    });

    /// <summary>Reads what <see cref="Encode"/> writes. Never throws.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> json, [NotNullWhen(true)] out K8sTokenWire? shown, out string problem)
    {
        shown = null;
        if (!AttestationJson.TryRead(json, out var root, out problem))
        {
            return false;
        }

        var (cluster, token) = (AttestationJson.Text(root, "cluster", MaxClusterLength), AttestationJson.Text(root, "token", MaxTokenLength));
        problem = cluster is null ? $"it holds no cluster of at most {MaxClusterLength} characters"
            : token is null ? $"it holds no token of at most {MaxTokenLength} characters"
            : "";
        shown = problem.Length == 0 ? new K8sTokenWire(cluster!, token!) : null;
        return shown is not null;
    }

    /// <summary>Without the token.</summary>
    public override string ToString() => $"token of cluster {Cluster}";
}
