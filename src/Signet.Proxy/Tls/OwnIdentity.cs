using Signet.Client;
using Signet.Client.Tls;
using Signet.Identity.Spiffe;

namespace Signet.Proxy.Tls;

/// <summary>This proxy's identity at one moment, ready for handshakes. Immutable; a rotation replaces it whole.</summary>
public sealed class OwnIdentity(X509Context context)
{
    public X509Context Context { get; } = context;

    /// <summary>What handshakes present.</summary>
    public TlsCredential Credential { get; } = new(context.Default);

    public SpiffeId Id => Context.Default.Id;

    public string SerialHex => Context.Default.Leaf.SerialHex;

    public DateTimeOffset ExpiresAt => Context.Default.NotAfter;
}
