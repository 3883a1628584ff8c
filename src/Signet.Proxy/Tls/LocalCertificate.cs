using Signet.Identity.X509;
using Signet.Proxy.Config;

namespace Signet.Proxy.Tls;

/// <summary>
/// A certificate chain with its key, ready for handshakes on either side, and the sessions that were made with it: resumption never
/// reaches beyond the certificate and the bundles under which a peer was let in. Made once per identity; thread-safe. Dispose once no
/// handshake begins with it any more: connections keep what they need.
/// </summary>
internal sealed class LocalCertificate : IDisposable
{
    /// <exception cref="System.Security.Cryptography.CryptographicException">OpenSSL does not take the certificate or the key.</exception>
    public LocalCertificate(X509Svid svid, TlsConfig config)
    {
        Server = TlsContext.ForServer(svid.Chain, svid.Key, config);
        Client = TlsContext.ForClient(svid.Chain, svid.Key, config);
    }

    public TlsContext Server { get; }

    public TlsContext Client { get; }

    public TlsSessions Sessions { get; } = new();

    public void Dispose()
    {
        Server.Dispose();
        Client.Dispose();
        Sessions.Dispose();
    }
}
