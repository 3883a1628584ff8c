using Signet.Proxy.Tls;

namespace Signet.Proxy.Tunnel;

/// <summary>Which connections may share a tunnel: those of the same identity at the same moment, to the same place, to be the same peer.</summary>
/// <param name="Identity">The own identity, by reference: a rotation makes another key.</param>
/// <param name="Endpoint">The address of the peer's proxy.</param>
/// <param name="Expected">Who the peer must be, in words that are equal only when the expectation is.</param>
public sealed record TunnelKey(OwnIdentity? Identity, string Endpoint, string Expected);
