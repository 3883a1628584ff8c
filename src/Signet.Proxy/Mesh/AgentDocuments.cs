using System.Collections.Immutable;
using System.Net;
using Signet.Hosting.Distribution;
using Signet.Hosting.Files;
using Signet.Policy;
using Signet.Policy.Inputs;

namespace Signet.Proxy.Mesh;

/// <summary>What an agent's snapshot says to this proxy. Immutable.</summary>
/// <param name="Policies">A text of each policy, by the name of its document.</param>
/// <param name="Settings">What holds for the whole mesh; the trust domain is not said.</param>
/// <param name="Places">Where services are.</param>
internal sealed record AgentDocuments(ImmutableArray<WatchedFile> Policies, MeshSettings Settings, ServicePlaces Places)
{
    /// <summary>Where the settings stood; null for none.</summary>
    public MeshDocument? SettingsDocument { get; private init; }

    /// <summary>Reads the documents; which policies hold is not judged here.</summary>
    /// <param name="snapshot">What the agent says.</param>
    /// <param name="before">What was read last: settings that are the same stay the same object, so that policies need not be read again under them.</param>
    /// <param name="documents">What it says to this proxy.</param>
    /// <param name="problem">What does not read.</param>
    public static bool TryRead(MeshSnapshot snapshot, AgentDocuments? before, out AgentDocuments? documents, out string problem)
    {
        documents = null;
        problem = "";
        var (settings, settingsDocument) = (MeshSettings.Default, default(MeshDocument));
        var policies = ImmutableArray.CreateBuilder<WatchedFile>();
        var services = new List<ServiceEndpoints>();
        foreach (var one in snapshot.Documents.Values.OrderBy(one => one.Name, StringComparer.Ordinal))
        {
            switch (one.Kind)
            {
                case MeshKinds.Settings when one == before?.SettingsDocument:
                    (settings, settingsDocument) = (before.Settings, one);
                    break;
                case MeshKinds.Settings:
                    var input = MeshFile.Read(new PolicyText(one.Name, one.Text));
                    if (!input.TryGet(out var read))
                    {
                        problem = string.Join("; ", input.Problems.Where(bad => bad.Severity == PolicySeverity.Error));
                        return false;
                    }

                    (settings, settingsDocument) = (read, one);
                    break;
                case MeshKinds.Endpoints:
                    if (!ServiceEndpoints.TryRead(one.Text, out var service, out problem))
                    {
                        problem = $"{one.Name}: {problem}";
                        return false;
                    }

                    services.Add(service!);
                    break;
                default:
                    policies.Add(new WatchedFile(one.Name, one.Name, one.Text));
                    break;
            }
        }

        documents = new AgentDocuments(policies.ToImmutable(), settings, ServicePlaces.Of(services)) { SettingsDocument = settingsDocument };
        return true;
    }
}

/// <summary>Where the proxies of services listen, by host and port. Immutable.</summary>
internal sealed class ServicePlaces
{
    public static readonly ServicePlaces None = new(new Dictionary<(string, int), IReadOnlyList<EndPoint>>());

    private readonly IReadOnlyDictionary<(string Host, int Port), IReadOnlyList<EndPoint>> _places;

    private ServicePlaces(IReadOnlyDictionary<(string, int), IReadOnlyList<EndPoint>> places) => _places = places;

    /// <summary>Of services that claim the same host and port the endpoints count together.</summary>
    public static ServicePlaces Of(IEnumerable<ServiceEndpoints> services) => new(services
        .SelectMany(service => service.Hosts.SelectMany(host => service.Ports.Select(port => (Key: (host, port.Key), port.Value))))
        .GroupBy(one => one.Key)
        .ToDictionary(same => same.Key, same => (IReadOnlyList<EndPoint>)[.. same.SelectMany(one => one.Value).Distinct()]));

    /// <summary>None when the service is not known.</summary>
    public IReadOnlyList<EndPoint> Find(string host, int port) => _places.GetValueOrDefault((host, port), []);
}
