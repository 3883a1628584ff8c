using Signet.Policy.Objects;

namespace Signet.Policy.Engine;

/// <summary>
/// The PeerAuthentications that count for one workload: in each scope the oldest. Port beats workload beats namespace beats mesh; what is
/// unset is inherited; nothing at all is PERMISSIVE. Immutable, thread-safe.
/// </summary>
internal sealed class PeerAuthenticationScope
{
    private readonly PortMtls _default;
    private readonly Dictionary<int, PortMtls> _ports = [];

    public PeerAuthenticationScope(IEnumerable<PeerAuthentication> candidates, Workload workload, string rootNamespace)
    {
        PeerAuthentication? mesh = null, ns = null, selected = null;
        foreach (var candidate in candidates.Order(Comparer<PeerAuthentication>.Create(PolicyObject.ByAge)))
        {
            if (candidate.Namespace == rootNamespace)
            {
                // With a selector it would mean nothing, here as in Istio; lint says so.
                mesh ??= candidate.Selector.Count == 0 ? candidate : null;
            }
            else if (candidate.Namespace == workload.Namespace)
            {
                if (candidate.Selector.Count == 0)
                {
                    ns ??= candidate;
                }
                else if (workload.HasLabels(candidate.Selector))
                {
                    selected ??= candidate;
                }
            }
        }

        _default = new PortMtls(MtlsMode.Permissive, null);
        foreach (var policy in new[] { mesh, ns, selected })
        {
            if (policy?.Mode is { } mode)
            {
                _default = new PortMtls(mode, policy.Id);
            }
        }

        foreach (var (port, own) in selected?.Ports ?? new Dictionary<int, PortLevelMode>())
        {
            _ports[port] = own.Mode is { } mode ? new PortMtls(mode, selected!.Id) : _default;
        }
    }

    /// <summary>The objects that supply a mode.</summary>
    public IEnumerable<string> Sources => _ports.Values.Append(_default).Select(port => port.From).OfType<string>().Distinct(StringComparer.Ordinal);

    public PortMtls For(int port) => _ports.TryGetValue(port, out var own) ? own : _default;
}
