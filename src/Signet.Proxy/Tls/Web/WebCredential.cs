using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Signet.Identity.X509;
using Signet.Identity.X509.Revocation;
using Signet.Proxy.Config;

namespace Signet.Proxy.Tls.Web;

/// <summary>
/// What a client of servers outside the mesh presents and whom it believes, read from its files at one moment. Immutable; files that change
/// make another one, and with it sessions and verdicts begin anew.
/// </summary>
/// <param name="client">For handshakes.</param>
/// <param name="leaf">The certificate that it presents; null for none.</param>
/// <param name="verdicts">Who servers are.</param>
internal sealed class WebCredential(ClientCredential client, Certificate? leaf, WebVerdicts verdicts)
{
    public ClientCredential Client => client;

    /// <summary>The certificate that is presented to a server that asks; null for none.</summary>
    public Certificate? Leaf => leaf;

    public WebVerdicts Verdicts => verdicts;

    /// <param name="files">What is what.</param>
    /// <param name="read">The text of a path among them.</param>
    /// <param name="config">Versions and resumption.</param>
    /// <param name="credential">What they make.</param>
    /// <param name="problem">The first thing that is wrong, without a word of a key.</param>
    public static bool TryCreate(WebFiles files, Func<string, string> read, TlsConfig config, [NotNullWhen(true)] out WebCredential? credential, out string problem)
    {
        credential = null;
        IReadOnlyList<Certificate>? authorities = null;
        if (files.AuthoritiesPath(File.Exists) is { } authoritiesPath
            && !(files.Authorities is null ? Pem.TryReadAuthorities(read(authoritiesPath), out authorities, out problem) : Pem.TryReadCertificates(read(authoritiesPath), out authorities, out problem)))
        {
            problem = $"{authoritiesPath}: {problem}";
            return false;
        }

        IReadOnlyList<CertificateRevocationList> revoked = [];
        if (files.RevocationLists is { } lists && !CertificateRevocationList.TryReadPem(read(lists), out revoked, out problem))
        {
            problem = $"{lists}: {problem}";
            return false;
        }

        IReadOnlyList<Certificate> chain = [];
        if (files.Certificate is { } certificate && !Pem.TryReadCertificates(read(certificate), out chain, out problem))
        {
            problem = $"{certificate}: {problem}";
            return false;
        }

        AsymmetricAlgorithm? key = null;
        if (files.Key is { } path && !Pem.TryReadPrivateKey(read(path), out key, out problem))
        {
            problem = $"{path}: {problem}";
            return false;
        }

        using (key)
        {
            try
            {
                // Authorities of one's own keep no profile that a stranger could rely on; the machine's are those of the public web.
                var verdicts = new WebVerdicts(files.BelievesUnseen ? null : authorities, files.Authorities is null ? PathProfile.WebPki : PathProfile.Rfc5280, revoked);
                credential = new WebCredential(new ClientCredential(TlsContext.ForClient(chain, key, config), key is not null), chain.Count > 0 ? chain[0] : null, verdicts);
                problem = "";
                return true;
            }
            catch (CryptographicException e)
            {
                problem = $"{files.Certificate}, {files.Key}: {e.Message}";
                return false;
            }
        }
    }
}
