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
        ServerWithoutSessions = TlsContext.ForServer(svid.Chain, svid.Key, config with { Resumption = false });
        Client = new ClientCredential(TlsContext.ForClient(svid.Chain, svid.Key, config), hasCertificate: true);
    }

    public TlsContext Server { get; }

    /// <summary>For ports where nobody takes up an earlier session: none is kept, and those of other ports are not known there.</summary>
    public TlsContext ServerWithoutSessions { get; }

    public ClientCredential Client { get; }

    public void Dispose()
    {
        Server.Dispose();
        ServerWithoutSessions.Dispose();
        Client.Dispose();
    }
}
