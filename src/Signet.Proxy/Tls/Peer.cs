using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Proxy.Tls;

/// <summary>
/// Who is at the other end, proven by a handshake: a workload by its SPIFFE ID, or a server outside the mesh by a host name. A server that a
/// DestinationRule wants believed unseen is neither. Immutable.
/// </summary>
/// <param name="Id">The only URI name of a workload's certificate; null for a server outside the mesh.</param>
/// <param name="Presented">The certificates it sent, leaf first, so that the question can be asked again when bundles change.</param>
/// <param name="ExpiresAt">The earliest end of a certificate in the verified path: the connection may not outlive it.</param>
public sealed record Peer(SpiffeId? Id, IReadOnlyList<Certificate> Presented, DateTimeOffset ExpiresAt)
{
    /// <summary>The expected name that the certificate of a server outside the mesh carries; null for a workload, and for who was believed unseen.</summary>
    public string? Host { get; init; }

    public Certificate Leaf => Presented[0];

    /// <summary>For people.</summary>
    public string Name => Id?.Uri ?? Host ?? "a server that was believed unseen";
}
