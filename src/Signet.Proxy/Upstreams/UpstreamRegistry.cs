using System.Collections.Concurrent;
using Signet.Proxy.Config;

namespace Signet.Proxy.Upstreams;

/// <summary>The services of a proxy while it runs, one for each that is configured, whoever calls it. Thread-safe.</summary>
internal sealed class UpstreamRegistry(TimeProvider time, Func<double> chance)
{
    private readonly ConcurrentDictionary<OutboundConfig, Lazy<Upstream>> _all = new(ReferenceEqualityComparer.Instance);

    public Upstream Of(OutboundConfig service) =>
        _all.GetOrAdd(service, one => new Lazy<Upstream>(() => new Upstream(one, time, BitConverter.DoubleToUInt64Bits(chance())))).Value;

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
