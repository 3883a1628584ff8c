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
    /// <exception cref="NotSupportedException">The key is none that <see cref="SslStream"/> can use; see <see cref="CanPresent"/>.</exception>
    public TlsCredential(X509Svid svid)
    {
        if (!CanPresent(svid, out var problem))
        {
            throw new NotSupportedException(problem);
        }

        Svid = svid;
        using var bare = X509CertificateLoader.LoadCertificate(svid.Leaf.Der.Span);
        var leaf = svid.Key switch
        {
            ECDsa key => bare.CopyWithPrivateKey(key),
            var key => bare.CopyWithPrivateKey((RSA)key),
        };
        var intermediates = new X509Certificate2Collection();
        foreach (var certificate in svid.Chain.Skip(1))
        {
            intermediates.Add(X509CertificateLoader.LoadCertificate(certificate.Der.Span));
        }

        Context = SslStreamCertificateContext.Create(leaf, intermediates, offline: true);
    }

    /// <summary>
    /// Whether <see cref="SslStream"/> can present the SVID: .NET has EC and RSA keys, but no Ed25519. A peer may have any of the three: it is judged by
    /// Signet's own verifier.
    /// </summary>
    /// <param name="svid">What would be presented.</param>
    /// <param name="problem">Why not, and what to do, when the answer is false; otherwise empty.</param>
    public static bool CanPresent(X509Svid svid, out string problem)
    {
        problem = svid.Key is ECDsa or RSA
            ? ""
            : $"{svid.Id} has an {svid.Leaf.KeyDescription} key, which .NET's SslStream cannot present; register the workload with keyType ec-p256, or let signet proxy speak TLS for it";
        return problem.Length == 0;
    }

    public X509Svid Svid { get; }

    /// <summary>For <see cref="SslServerAuthenticationOptions.ServerCertificateContext"/> and <see cref="SslClientAuthenticationOptions.ClientCertificateContext"/>.</summary>
    public SslStreamCertificateContext Context { get; }
}
