using Signet.Client;
using Signet.Identity.Spiffe;
using Signet.Proxy.Config;

namespace Signet.Proxy.Tls;

/// <summary>This proxy's identity at one moment, ready for handshakes. Immutable; a rotation replaces it whole, and with it everything that was remembered under it.</summary>
public sealed class OwnIdentity
{
    /// <exception cref="System.Security.Cryptography.CryptographicException">The certificate and its key cannot be used for TLS.</exception>
    public OwnIdentity(X509Context context, TlsConfig tls)
    {
        Context = context;
        Certificate = new LocalCertificate(context.Default, tls);
        Verdicts = new PeerVerdicts(context.Bundles);
    }

    public X509Context Context { get; }

    public SpiffeId Id => Context.Default.Id;

    public string SerialHex => Context.Default.Leaf.SerialHex;

    public DateTimeOffset ExpiresAt => Context.Default.NotAfter;

    /// <summary>What handshakes present.</summary>
    internal LocalCertificate Certificate { get; }

    /// <summary>Nothing begins with this identity any more; connections that began with it go on.</summary>
    internal void Retire() => Certificate.Dispose();

    /// <summary>Who peers are, under this identity's bundles.</summary>
    internal PeerVerdicts Verdicts { get; }
}
