using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Signet.Identity.X509;

namespace Signet.Client.Tls;

/// <summary>
/// TLS settings for a connection between SVIDs: 1.2 or 1.3, no renegotiation, and no resumption, since the platform forgets a resumed
/// peer's intermediates. The peer is judged by <see cref="SvidVerifier"/> over the certificates as they were sent.
/// </summary>
public static class SvidTls
{
    private const SslProtocols Versions = SslProtocols.Tls12 | SslProtocols.Tls13;

    /// <summary>Settings for the accepting side.</summary>
    /// <param name="credential">What this side presents.</param>
    /// <param name="clientCertificate">Whether the peer is asked for a certificate.</param>
    /// <param name="judge">Called once per handshake with the peer's chain (empty when it sent none); false ends the handshake.</param>
    public static SslServerAuthenticationOptions Server(
        TlsCredential credential, bool clientCertificate, Func<IReadOnlyList<Certificate>, string, bool> judge) => new()
        {
            ServerCertificateContext = credential.Context,
            ClientCertificateRequired = clientCertificate,
            EnabledSslProtocols = Versions,
            AllowRenegotiation = false,
            AllowTlsResume = false,
            CertificateChainPolicy = NoChain(),
            RemoteCertificateValidationCallback = Callback(judge),
        };

    /// <summary>Settings for the connecting side.</summary>
    /// <param name="credential">What this side presents when asked; null presents nothing.</param>
    /// <param name="serverName">The SNI name; empty sends none.</param>
    /// <param name="judge">Called once per handshake with the server's chain; false ends the handshake.</param>
    public static SslClientAuthenticationOptions Client(
        TlsCredential? credential, string serverName, Func<IReadOnlyList<Certificate>, string, bool> judge) => new()
        {
            TargetHost = serverName,
            ClientCertificateContext = credential?.Context,
            EnabledSslProtocols = Versions,
            AllowRenegotiation = false,
            AllowTlsResume = false,
            CertificateChainPolicy = NoChain(),
            RemoteCertificateValidationCallback = Callback(judge),
        };

    // The platform builds a chain of its own before it asks us. It gets nothing to work with, and above all it fetches nothing from the
    // addresses in a stranger's certificate.
    private static X509ChainPolicy NoChain() => new()
    {
        TrustMode = X509ChainTrustMode.CustomRootTrust,
        RevocationMode = X509RevocationMode.NoCheck,
        DisableCertificateDownloads = true,
        VerificationFlags = X509VerificationFlags.AllFlags,
    };

    private static RemoteCertificateValidationCallback Callback(Func<IReadOnlyList<Certificate>, string, bool> judge) =>
        (_, leaf, chain, _) => PresentedChain.TryRead(leaf, chain, out var presented, out var problem) ? judge(presented, "") : judge([], problem);
}
