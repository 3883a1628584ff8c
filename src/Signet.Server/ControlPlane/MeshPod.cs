using System.Globalization;
using System.Net;
using Signet.Policy.Yaml;

namespace Signet.Server.ControlPlane;

/// <summary>A container of a pod.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Image">What it was made from.</param>
/// <param name="ImageId">The same by digest; empty before it was pulled.</param>
/// <param name="ContainerId">As <c>containerd://…</c>; empty before it started.</param>
internal sealed record MeshContainer(string Name, string Image, string ImageId, string ContainerId);

/// <summary>A pod, as far as others need to know it. Immutable.</summary>
/// <param name="Namespace">Where it is.</param>
/// <param name="Name">Its name.</param>
internal sealed record MeshPod(string Namespace, string Name)
{
    public required string Uid { get; init; }

    public required string ResourceVersion { get; init; }

    public required DateTimeOffset? Created { get; init; }

    public required IReadOnlyDictionary<string, string> Labels { get; init; }

    public required IReadOnlyDictionary<string, string> Annotations { get; init; }

    public required string NodeName { get; init; }

    public required string ServiceAccount { get; init; }

    public required string Phase { get; init; }

    public required string HostIp { get; init; }

    /// <summary>Null before it has one.</summary>
    public required IPAddress? Ip { get; init; }

    public required IReadOnlyList<MeshContainer> Containers { get; init; }

    /// <summary>Ports of its containers that have a name.</summary>
    public required IReadOnlyDictionary<string, int> Ports { get; init; }

    public bool HasEnded => Phase is "Succeeded" or "Failed";

    public static MeshPod Read(MeshObject pod)
    {
        var statuses = pod.Items("status", "containerStatuses").Concat(pod.Items("status", "initContainerStatuses"))
            .GroupBy(status => MeshObject.Text(status, "name") ?? "", StringComparer.Ordinal).ToDictionary(same => same.Key, same => same.Last(), StringComparer.Ordinal);
        var containers = pod.Items("spec", "containers");
        return new MeshPod(pod.Namespace, pod.Name)
        {
            Uid = pod.Text("metadata", "uid") ?? "",
            ResourceVersion = pod.Text("metadata", "resourceVersion") ?? "",
            Created = DateTimeOffset.TryParse(pod.Text("metadata", "creationTimestamp"), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var created) ? created : null,
            Labels = pod.Map("metadata", "labels"),
            Annotations = pod.Map("metadata", "annotations"),
            NodeName = pod.Text("spec", "nodeName") ?? "",
            ServiceAccount = pod.Text("spec", "serviceAccountName") ?? "default",
            Phase = pod.Text("status", "phase") ?? "",
            HostIp = pod.Text("status", "hostIP") ?? "",
            Ip = IPAddress.TryParse(pod.Text("status", "podIP"), out var ip) ? ip : null,
            Containers = [.. containers.Concat(pod.Items("spec", "initContainers")).Select(one => ContainerOf(one, statuses))],
            Ports = PortsOf(containers),
        };
    }

    /// <summary>Whether a selector of labels chooses it.</summary>
    public bool HasLabels(IReadOnlyDictionary<string, string> selector) => selector.All(wanted => Labels.TryGetValue(wanted.Key, out var value) && value == wanted.Value);

    private static MeshContainer ContainerOf(YamlNode container, Dictionary<string, YamlNode> statuses)
    {
        var name = MeshObject.Text(container, "name") ?? "";
        var status = statuses.GetValueOrDefault(name);
        return new MeshContainer(name, MeshObject.Text(container, "image") ?? "", MeshObject.Text(status, "imageID") ?? "", MeshObject.Text(status, "containerID") ?? "");
    }

    private static Dictionary<string, int> PortsOf(IReadOnlyList<YamlNode> containers)
    {
        var ports = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var port in containers.SelectMany(one => MeshObject.At(one, "ports") is YamlSequence list ? list.Items : []))
        {
            if (MeshObject.Text(port, "name") is { } name && MeshService.TryPort(MeshObject.Text(port, "containerPort"), out var number))
            {
                ports.TryAdd(name, number);
            }
        }

        return ports;
    }
}
