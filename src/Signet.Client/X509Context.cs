using Signet.Identity.X509;

namespace Signet.Client;

/// <summary>
/// A workload's X.509 identity at one moment: its SVIDs and whom it may trust. Immutable; a rotation replaces it whole, so a handshake
/// never sees the key of one certificate with the bundle of another moment.
/// </summary>
/// <param name="Svids">At least one; the first is the default identity (Workload API §8).</param>
/// <param name="Bundles">The own trust domain's bundle and those of federated domains.</param>
public sealed record X509Context(IReadOnlyList<X509Svid> Svids, TrustBundles Bundles)
{
    public X509Svid Default => Svids[0];
}
