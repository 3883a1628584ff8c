using Signet.Policy;

namespace Signet.Proxy.Authorization;

/// <summary>
/// Leave to move bytes from one side to the other; relays and exchanges take one, and the default value is none. Inbound it can only be
/// made from a permit, which only Policy makes. Outbound bytes come from the proxy's own workload: who may receive them was settled by
/// the handshake, and whether they are welcome is decided by the destination.
/// </summary>
public readonly struct Clearance
{
    private readonly bool _given;

    private Clearance(bool given) => _given = given;

    /// <summary>For the proxy's own workload.</summary>
    public static Clearance Outbound { get; } = new(given: true);

    /// <summary>For a peer that Policy permits.</summary>
    public static Clearance Inbound(Permit permit)
    {
        ArgumentNullException.ThrowIfNull(permit);
        return new(given: true);
    }

    /// <exception cref="InvalidOperationException">Nobody gave leave.</exception>
    internal void Demand()
    {
        if (!_given)
        {
            throw new InvalidOperationException("bytes may not move without a clearance");
        }
    }
}
