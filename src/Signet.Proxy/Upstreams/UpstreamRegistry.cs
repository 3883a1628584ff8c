using System.Collections.Concurrent;
using Signet.Proxy.Config;
using Signet.Proxy.Mesh;

namespace Signet.Proxy.Upstreams;

/// <summary>The services of a proxy while it runs, one for each that is configured, whoever calls it. Thread-safe.</summary>
internal sealed class UpstreamRegistry(TimeProvider time, Func<double> chance)
{
    private readonly ConcurrentDictionary<OutboundConfig, Lazy<Upstream>> _all = new(ReferenceEqualityComparer.Instance);

    private readonly Lock _locating = new();
    private ServicePlaces _places = ServicePlaces.None;

    public Upstream Of(OutboundConfig service)
    {
        if (_all.TryGetValue(service, out var known))
        {
            return known.Value;
        }

        lock (_locating)
        {
            var upstream = _all.GetOrAdd(service, one => new Lazy<Upstream>(() => new Upstream(one, time, BitConverter.DoubleToUInt64Bits(chance())))).Value;
            upstream.Locate(_places);
            return upstream;
        }
    }

    /// <summary>Where services are from now on, for those that the agent is to say it of.</summary>
    public void Locate(ServicePlaces places)
    {
        lock (_locating)
        {
            _places = places;
            foreach (var one in _all.Values)
            {
                one.Value.Locate(places);
            }
        }
    }

    /// <summary>How they are at this moment, by name.</summary>
    public IReadOnlyList<UpstreamState> States() => [.. _all.Values.Select(one => one.Value.State()).OrderBy(state => state.Service, StringComparer.Ordinal)];

    public void Sweep()
    {
        foreach (var one in _all.Values)
        {
            one.Value.Sweep();
        }
    }
}
