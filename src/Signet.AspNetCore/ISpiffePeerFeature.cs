using Signet.Client.Tls;

namespace Signet.AspNetCore;

/// <summary>Who is at the other end of a connection that <see cref="KestrelMutualTls"/> made. A feature of the connection and of each request on it.</summary>
public interface ISpiffePeerFeature
{
    MutualTlsPeer Peer { get; }
}

/// <summary>Filled in by the handshake, which comes before any request.</summary>
internal sealed class SpiffePeerFeature(MutualTlsPeer peer) : ISpiffePeerFeature
{
    public MutualTlsPeer Peer => peer;
}
