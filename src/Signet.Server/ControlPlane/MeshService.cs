using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Signet.Hosting.Configuration;
using Signet.Hosting.Distribution;
using Signet.Policy.Yaml;

namespace Signet.Server.ControlPlane;

/// <summary>A service as somebody wrote it: what it is called and where its endpoints are, or which pods they are. Immutable.</summary>
/// <param name="Source">The object.</param>
/// <param name="Hosts">What it is called.</param>
/// <param name="Ports">Its ports.</param>
internal sealed record MeshService(MeshObject Source, ImmutableArray<string> Hosts, ImmutableArray<MeshServicePort> Ports)
{
    /// <summary>What a cluster calls itself in the names of its services.</summary>
    private const string ClusterDomain = "svc.cluster.local";

    /// <summary>Labels of the pods behind it; null when endpoints are listed.</summary>
    public IReadOnlyDictionary<string, string>? Pods { get; init; }

    /// <summary>Addresses, and by the name of a port where it is there.</summary>
    public ImmutableArray<(string Address, IReadOnlyDictionary<string, string> Ports)> Listed { get; init; } = [];

    /// <summary>Whether other namespaces see it.</summary>
    public bool Everywhere { get; init; } = true;

    /// <summary>Kubernetes' Service: pods of its namespace.</summary>
    public static MeshService? ReadCluster(MeshObject source, ICollection<MeshProblem> problems)
    {
        var ports = PortsOf(source, "port", problems);
        return ports.IsEmpty ? null : new MeshService(source, [$"{source.Name}.{source.Namespace}.{ClusterDomain}"], ports) { Pods = source.Map("spec", "selector") };
    }

    /// <summary>Istio's ServiceEntry, as far as it says where endpoints are.</summary>
    public static MeshService? ReadEntry(MeshObject source, ICollection<MeshProblem> problems)
    {
        var hosts = source.Texts("spec", "hosts").Select(host => host.ToLowerInvariant()).ToImmutableArray();
        var ports = PortsOf(source, "number", problems);
        if (hosts.IsEmpty)
        {
            problems.Add(source.Problem("has no spec.hosts; say what the service is called"));
        }

        if (hosts.IsEmpty || ports.IsEmpty)
        {
            return null;
        }

        var exports = source.Texts("spec", "exportTo");
        return new MeshService(source, hosts, ports)
        {
            Pods = MeshObject.At(source.Node, "spec", "workloadSelector", "labels") is YamlMapping labels ? MeshObject.MapOf(labels) : null,
            Listed = [.. source.Items("spec", "endpoints").Select(item => (MeshObject.Text(item, "address") ?? "", MeshObject.MapOf(MeshObject.At(item, "ports"))))],
            Everywhere = exports.Count == 0 || exports.Any(to => to != "." && to != source.Namespace),
        };
    }

    /// <summary>Where it is, given the pods that there are.</summary>
    /// <param name="pods">All pods.</param>
    /// <param name="problems">Takes what is no address.</param>
    public ServiceEndpoints Resolve(IReadOnlyList<MeshPod> pods, ICollection<MeshProblem> problems)
    {
        var behind = Pods is { Count: > 0 } selector
            ? pods.Where(pod => pod is { HasEnded: false, Ip: not null } && pod.Namespace == Source.Namespace && pod.HasLabels(selector)).OrderBy(pod => pod.Name, StringComparer.Ordinal).ToArray()
            : [];
        var found = new Dictionary<int, IReadOnlyList<EndPoint>>();
        foreach (var port in Ports)
        {
            var endpoints = new List<EndPoint>();
            foreach (var (address, moved) in Listed)
            {
                var number = moved.TryGetValue(port.Name, out var other) ? other : port.Target;
                if (EndPointText.TryParse(address.Contains(':', StringComparison.Ordinal) ? $"[{address}]:{number}" : $"{address}:{number}", out var endpoint, out var problem))
                {
                    endpoints.Add(endpoint);
                }
                else
                {
                    problems.Add(Source.Problem($"has an endpoint that is none: {problem}"));
                }
            }

            foreach (var pod in behind)
            {
                if (TryPort(port.Target, out var number) || pod.Ports.TryGetValue(port.Target, out number))
                {
                    endpoints.Add(new IPEndPoint(pod.Ip!, number));
                }
            }

            if (endpoints.Count > ServiceEndpoints.MaxEndpoints)
            {
                problems.Add(Source.Problem($"has {endpoints.Count} endpoints; the limit is {ServiceEndpoints.MaxEndpoints}"));
                endpoints.RemoveRange(ServiceEndpoints.MaxEndpoints, endpoints.Count - ServiceEndpoints.MaxEndpoints);
            }

            found[port.Number] = endpoints;
        }

        return new ServiceEndpoints(Hosts, found);
    }

    public static bool TryPort(string? text, out int port) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and <= ushort.MaxValue;

    private static ImmutableArray<MeshServicePort> PortsOf(MeshObject source, string key, ICollection<MeshProblem> problems)
    {
        var ports = ImmutableArray.CreateBuilder<MeshServicePort>();
        foreach (var item in source.Items("spec", "ports"))
        {
            if (TryPort(MeshObject.Text(item, key), out var number))
            {
                ports.Add(new MeshServicePort(number, MeshObject.Text(item, "name") ?? "", MeshObject.Text(item, "targetPort") ?? number.ToString(CultureInfo.InvariantCulture)));
            }
            else
            {
                problems.Add(source.Problem($"has \"{MeshObject.Text(item, key)}\" as spec.ports.{key}; a number from 1 to 65535 was expected"));
            }
        }

        if (ports.Count == 0)
        {
            problems.Add(source.Problem("has no spec.ports; say on which ports the service is called"));
        }

        return ports.ToImmutable();
    }
}

/// <summary>A port of a service.</summary>
/// <param name="Number">Where it is called.</param>
/// <param name="Name">Its name.</param>
/// <param name="Target">Where it is answered: a number, or the name of a container's port.</param>
internal sealed record MeshServicePort(int Number, string Name, string Target);
