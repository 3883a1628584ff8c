using Signet.Policy.Reading;
using Signet.Policy.Yaml;

namespace Signet.Policy.Inputs;

/// <summary>A client, a service, and the workloads behind it.</summary>
/// <param name="Name">Free text.</param>
/// <param name="Client">Who connects.</param>
/// <param name="ClientInMesh">Whether the client has an identity; without one it speaks plaintext.</param>
/// <param name="Host">The service's host.</param>
/// <param name="Namespace">The service's namespace.</param>
/// <param name="Port">The service's port.</param>
/// <param name="TargetPort">The workload's port.</param>
/// <param name="Endpoints">The workloads behind it.</param>
/// <param name="Headless">Whether clients connect to endpoints directly.</param>
public sealed record WrittenService(
    string Name, Workload Client, bool ClientInMesh, string Host, string Namespace, int Port, int TargetPort, IReadOnlyList<WrittenEndpoint> Endpoints, bool Headless);

/// <summary>A workload behind a service.</summary>
public sealed record WrittenEndpoint(IReadOnlyDictionary<string, string> Labels, bool HasSidecar);

/// <summary>Reads a list of services and who calls them.</summary>
public static class ServicesFile
{
    private const int MaxServices = 1_000_000;
    private const string SidecarLabel = "security.istio.io/tlsMode";

    public static Input<IReadOnlyList<WrittenService>> Read(PolicyText text) => InputReader.ReadList(text, MaxServices, ReadService);

    private static WrittenService? ReadService(YamlNode node, string path, ProblemList problems)
    {
        if (Fields.Open(node, path, problems, "name", "client", "host", "namespace", "port", "targetPort", "endpoints", "headless") is not { } service)
        {
            return null;
        }

        var client = service.Open("client", "namespace", "labels", "principal", "serviceAccount");
        var host = service.Text("host");
        var port = service.Number("port", 1, 65535);
        if (string.IsNullOrEmpty(host) || port is null)
        {
            problems.Error(service.Line, PolicyCodes.BadValue, $"{path} needs a host and a port");
            return null;
        }

        return new WrittenService(
            service.Text("name") ?? host,
            client is null ? new Workload("default", null, new Dictionary<string, string>()) : InputReader.ReadWorkload(client),
            client?.Has("principal") == true,
            host,
            service.Text("namespace") ?? "default",
            port.Value,
            service.Number("targetPort", 1, 65535) ?? port.Value,
            [.. service.Items("endpoints").Select(item => ReadEndpoint(item, service.PathOf("endpoints"), problems)).OfType<WrittenEndpoint>()],
            service.Flag("headless"));
    }

    private static WrittenEndpoint? ReadEndpoint(YamlNode node, string path, ProblemList problems)
    {
        if (Fields.Open(node, path, problems, "labels", "sidecar") is not { } endpoint)
        {
            return null;
        }

        var labels = endpoint.TextMap("labels");
        return new WrittenEndpoint(labels, endpoint.Has("sidecar") ? endpoint.Flag("sidecar") : labels.GetValueOrDefault(SidecarLabel) == "istio");
    }
}
