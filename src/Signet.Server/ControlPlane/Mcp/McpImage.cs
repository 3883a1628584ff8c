using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Signet.Policy.Yaml;
using Signet.Rpc.Wire.Istio.Mcp;
using Signet.Rpc.Wire.Kubernetes;

namespace Signet.Server.ControlPlane.Mcp;

/// <summary>The resources of a collection at one moment, by name (<c>NAMESPACE/NAME</c>). Immutable; another object when the content differs.</summary>
internal sealed record McpResources(ImmutableSortedDictionary<string, Resource> ByName)
{
    public static readonly McpResources None = new(ImmutableSortedDictionary<string, Resource>.Empty);
}

/// <summary>Every collection at one moment. Immutable.</summary>
/// <param name="Version">Differs between moments.</param>
/// <param name="Collections">By the collection's name.</param>
internal sealed record McpImage(string Version, ImmutableDictionary<string, McpResources> Collections)
{
    /// <summary>Makes the next image, sharing what is the same with the one before.</summary>
    /// <param name="state">What the server says about the mesh.</param>
    /// <param name="before">The image before; null at first.</param>
    /// <param name="problem">Why there is none: an object that the published messages can't hold. Half a collection would be fewer rules.</param>
    public static McpImage? Of(MeshState state, McpImage? before, out string problem)
    {
        var collections = ImmutableDictionary.CreateBuilder<string, McpResources>(StringComparer.Ordinal);
        problem = "";
        foreach (var collection in McpCatalog.All)
        {
            var resources = ImmutableSortedDictionary.CreateBuilder<string, Resource>(StringComparer.Ordinal);
            if (collection.Body is null)
            {
                foreach (var pod in state.Desired.Pods)
                {
                    resources[$"{pod.Namespace}/{pod.Name}"] = Versioned(new Resource { Metadata = MetadataOf(pod), Body = Any.Pack(ToWire(pod)) });
                }
            }

            foreach (var one in state.Desired.Objects.Where(one => collection.Body is not null && one.Kind == collection.Kind))
            {
                if (!YamlMessage.TryRead(one.Node["spec"], collection.Body!, out var body, out var unreadable))
                {
                    problem = one.Problem($"cannot go by MCP: spec.{unreadable}").Text;
                    return null;
                }

                resources[one.Id] = Versioned(new Resource { Metadata = MetadataOf(one), Body = Any.Pack(body) });
            }

            var old = before?.Collections[collection.Name];
            collections[collection.Name] = old is not null && resources.Count == old.ByName.Count && resources.All(pair => old.ByName.TryGetValue(pair.Key, out var same) && same.Equals(pair.Value))
                ? old
                : new McpResources(resources.ToImmutable());
        }

        return new McpImage(state.Snapshot.Revision.ToString(CultureInfo.InvariantCulture), collections.ToImmutable());
    }

    // What is the same is called the same, over restarts too.
    private static Resource Versioned(Resource resource)
    {
        resource.Metadata.Version = Convert.ToHexStringLower(SHA256.HashData(resource.ToByteArray()).AsSpan(0, 8));
        return resource;
    }

    private static Metadata MetadataOf(MeshObject one)
    {
        var metadata = new Metadata { Name = one.Id, CreateTime = TimeOf(one.Text("metadata", "creationTimestamp")) };
        metadata.Labels.Add(one.Map("metadata", "labels").ToDictionary(StringComparer.Ordinal));
        metadata.Annotations.Add(one.Map("metadata", "annotations").ToDictionary(StringComparer.Ordinal));
        return metadata;
    }

    private static Metadata MetadataOf(MeshPod pod)
    {
        var metadata = new Metadata { Name = $"{pod.Namespace}/{pod.Name}", CreateTime = pod.Created?.ToTimestamp() };
        metadata.Labels.Add(pod.Labels.ToDictionary(StringComparer.Ordinal));
        metadata.Annotations.Add(pod.Annotations.ToDictionary(StringComparer.Ordinal));
        return metadata;
    }

    private static Timestamp? TimeOf(string? text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time) ? time.ToTimestamp() : null;

    private static Pod ToWire(MeshPod pod)
    {
        var wire = new Pod
        {
            Metadata = new ObjectMeta
            {
                Name = pod.Name,
                Namespace = pod.Namespace,
                Uid = pod.Uid,
                ResourceVersion = pod.ResourceVersion,
                CreationTimestamp = pod.Created is { } created ? new Time { Seconds = created.ToUnixTimeSeconds() } : null,
            },
            Spec = new PodSpec { NodeName = pod.NodeName, ServiceAccountName = pod.ServiceAccount },
            Status = new PodStatus { Phase = pod.Phase, HostIP = pod.HostIp, PodIP = pod.Ip?.ToString() ?? "" },
        };
        wire.Metadata.Labels.Add(pod.Labels.ToDictionary(StringComparer.Ordinal));
        wire.Metadata.Annotations.Add(pod.Annotations.ToDictionary(StringComparer.Ordinal));
        wire.Spec.Containers.AddRange(pod.Containers.Select(one => new Container { Name = one.Name, Image = one.Image }));
        wire.Status.ContainerStatuses.AddRange(pod.Containers.Where(one => one.ContainerId.Length > 0).Select(one => new ContainerStatus
        {
            Name = one.Name,
            Image = one.Image,
            ImageID = one.ImageId,
            ContainerID = one.ContainerId,
        }));
        return wire;
    }
}
