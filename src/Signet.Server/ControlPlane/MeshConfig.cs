using Signet.Hosting.Configuration;

namespace Signet.Server.ControlPlane;

/// <summary>Where the configuration of the mesh lies.</summary>
/// <param name="Folder">Policies, services and pods.</param>
/// <param name="SettingsFile">Fields of Istio's MeshConfig; null for its defaults.</param>
public sealed record MeshConfig(string Folder, string? SettingsFile)
{
    /// <summary>Null when the server distributes none.</summary>
    public static MeshConfig? Read(ConfigSection root)
    {
        var (policy, mesh) = (root.Section("policy"), root.Section("mesh"));
        var settings = mesh.FilePath("file");
        if (!policy.IsPresent)
        {
            if (mesh.IsPresent)
            {
                mesh.Problem("file", "stands without policy: {folder: …}; without policies nothing is distributed");
            }

            return null;
        }

        return new MeshConfig(policy.RequiredFilePath("folder"), settings);
    }
}
