using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Signet.Identity.X509;

namespace Signet.Client.Tls;

/// <summary>
/// An SVID in the form that <see cref="SslStream"/> wants: built once per SVID and used by every handshake until the next rotation.
/// The chain on the wire is exactly the SVID's; nothing is fetched. Thread-safe.
/// </summary>
public sealed class TlsCredential
{
    public TlsCredential(X509Svid svid)
    {
        Svid = svid;
        using var bare = X509CertificateLoader.LoadCertificate(svid.Leaf.Der.Span);
        var leaf = svid.Key switch
        {
            ECDsa key => bare.CopyWithPrivateKey(key),
            RSA key => bare.CopyWithPrivateKey(key),
            var key => throw new NotSupportedException($"a {key.GetType().Name} key cannot be used for TLS; use an EC or RSA key"),
        };
        var intermediates = new X509Certificate2Collection();
        foreach (var certificate in svid.Chain.Skip(1))
        {
            intermediates.Add(X509CertificateLoader.LoadCertificate(certificate.Der.Span));
        }

        Context = SslStreamCertificateContext.Create(leaf, intermediates, offline: true);
    }

    public X509Svid Svid { get; }

    /// <summary>For <see cref="SslServerAuthenticationOptions.ServerCertificateContext"/> and <see cref="SslClientAuthenticationOptions.ClientCertificateContext"/>.</summary>
    public SslStreamCertificateContext Context { get; }
}
