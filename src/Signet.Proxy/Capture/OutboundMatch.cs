using System.Net;
using Signet.Proxy.Config;

namespace Signet.Proxy.Capture;

/// <summary>What a captured outbound connection is for.</summary>
public abstract record OutboundMatch
{
    private OutboundMatch()
    {
    }

    /// <summary>A configured service, by one of its addresses or endpoints.</summary>
    /// <param name="Config">The service; when the application chose one of its endpoints, with that endpoint alone.</param>
    public sealed record Service(OutboundConfig Config) : OutboundMatch;

    /// <summary>No service of the mesh: it goes where it was addressed to, as it is.</summary>
    public sealed record PassThrough(IPEndPoint Destination) : OutboundMatch;

    /// <summary>No service of the mesh, and that is not allowed.</summary>
    public sealed record Unknown(string Reason) : OutboundMatch;
}

/// <summary>Finds the service that a captured connection is for. Immutable.</summary>
public sealed class OutboundTable
{
    private readonly Dictionary<IPEndPoint, OutboundMatch.Service> _services = [];
    private readonly bool _passThrough;

    /// <param name="services">All services. Where two claim an address the first has it; the configuration's reader refuses that.</param>
    /// <param name="passThrough">Whether other destinations are passed through.</param>
    public OutboundTable(IEnumerable<OutboundConfig> services, bool passThrough)
    {
        _passThrough = passThrough;
        foreach (var service in services)
        {
            foreach (var address in service.Addresses)
            {
                _services.TryAdd(address, new OutboundMatch.Service(service));
            }

            foreach (var endpoint in service.Endpoints.OfType<IPEndPoint>())
            {
                // Who chooses an endpoint gets that one, counted by itself; its health is nobody's choice then.
                _services.TryAdd(endpoint, new OutboundMatch.Service(
                    service.Endpoints.Count == 1 ? service : service with { Name = $"{service.Name}@{endpoint}", Endpoints = [endpoint], HealthCheck = null }));
            }
        }
    }

    /// <summary>Every service that a match can give.</summary>
    public IEnumerable<OutboundConfig> Services => _services.Values.Select(match => match.Config);

    /// <summary>What a destination is.</summary>
    public OutboundMatch Find(IPEndPoint destination) =>
        _services.TryGetValue(destination, out var service) ? service
        : _passThrough ? new OutboundMatch.PassThrough(destination)
        : new OutboundMatch.Unknown($"{destination} is no address of a service under outbound; list it there, leave it out of the capture, or write capture.unmatched: passthrough");
}
