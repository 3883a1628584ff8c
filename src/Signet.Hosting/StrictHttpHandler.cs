using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Signet.Hosting;

/// <summary>
/// What calls out over HTTP on behalf of a daemon: it does what is asked and nothing else. No redirects, cookies, proxies, tracing headers or decompression,
/// and a bounded head. Callers set TLS, connecting and pooling.
/// </summary>
public static class StrictHttpHandler
{
    /// <param name="maxHeadKilobytes">The longest head of an answer, KiB.</param>
    public static SocketsHttpHandler Create(int maxHeadKilobytes) => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        ActivityHeadersPropagator = null,
        AutomaticDecompression = DecompressionMethods.None,
        MaxResponseHeadersLength = maxHeadKilobytes,
    };

    /// <summary>TLS towards a server of the web. Nothing is fetched on a certificate's say-so: neither issuers nor revocation lists.</summary>
    /// <param name="roots">The only authorities that are believed; null for the machine's.</param>
    public static SslClientAuthenticationOptions WebTls(X509Certificate2Collection? roots)
    {
        var policy = new X509ChainPolicy { RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
        if (roots is not null)
        {
            policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
            policy.CustomTrustStore.AddRange(roots);
        }

        return new SslClientAuthenticationOptions { CertificateChainPolicy = policy, EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13, AllowTlsResume = false };
    }
}
