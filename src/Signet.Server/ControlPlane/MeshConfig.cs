using Signet.Hosting.Configuration;
using Signet.Server.Attestation;

namespace Signet.Server.ControlPlane;

/// <summary>Where the configuration of the mesh lies.</summary>
/// <param name="Folder">Policies, services and pods; null for none.</param>
/// <param name="SettingsFile">Fields of Istio's MeshConfig; null for its defaults.</param>
public sealed record MeshConfig(string? Folder, string? SettingsFile)
{
    /// <summary>A Kubernetes cluster whose policies, services and pods count, beside the folder's; null for none.</summary>
    public K8sClusterConfig? Cluster { get; init; }

    /// <summary>Null when the server distributes none.</summary>
    public static MeshConfig? Read(ConfigSection root)
    {
        var (policy, mesh) = (root.Section("policy"), root.Section("mesh"));
        var settings = mesh.FilePath("file");
        if (!policy.IsPresent)
        {
            if (mesh.IsPresent)
            {
                mesh.Problem("file", "stands without policy: {folder: …} or policy: {kubernetes: {}}; without policies nothing is distributed");
            }

            return null;
        }

        var cluster = policy.Section("kubernetes");
        return new MeshConfig(cluster.IsPresent ? policy.FilePath("folder") : policy.RequiredFilePath("folder"), settings) { Cluster = cluster.IsPresent ? K8sClusterConfig.ReadPlace(cluster) : null };
    }
}
