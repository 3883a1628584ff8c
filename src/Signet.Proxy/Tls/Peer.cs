using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Proxy.Tls;

/// <summary>Who is at the other end, proven by a handshake. Immutable.</summary>
/// <param name="Id">The only URI name of its certificate.</param>
/// <param name="Presented">The certificates it sent, leaf first, so that the question can be asked again when bundles change.</param>
/// <param name="ExpiresAt">The earliest end in the verified path: the connection may not outlive it.</param>
public sealed record Peer(SpiffeId Id, IReadOnlyList<Certificate> Presented, DateTimeOffset ExpiresAt)
{
    public Certificate Leaf => Presented[0];
}
