using System.Text;
using Grpc.Core;
using Signet.Hosting.Files;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Envoy.Tls;

namespace Signet.Agent.Sds;

/// <summary>
/// Secrets from files, as Istio's proxies ask for them. A file is read with the rights of the process that asks and where that process sees it, so
/// nobody gets through the agent what they could not read themselves. Each look reads anew: nothing is shared between callers. Thread-safe.
/// </summary>
internal sealed class FileSecrets(ForeignFiles files)
{
    /// <summary>The largest certificate chain or key, in bytes.</summary>
    public const int MaxCertificateBytes = 256 * 1024;

    /// <summary>The largest file of authorities, in bytes.</summary>
    public const int MaxRootBytes = 1024 * 1024;

    // Where systems keep the authorities that they believe.
    private static readonly string[] SystemRoots = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"];

    /// <summary>What the files hold now. Whether the reader still lives is for the caller to ask afterwards.</summary>
    public Task<SecretAnswer> FindAsync(FileReader reader, string text, SecretName name, CancellationToken cancellationToken) => name switch
    {
        SecretName.FileCertificate(var chain, var key) => CertificateAsync(reader, text, chain, key, cancellationToken),
        SecretName.FileRoots(var path) => RootsAsync(reader, text, path is null ? SystemRoots : [path], cancellationToken),
        _ => throw new ArgumentException($"{name} is no file", nameof(name)),
    };

    private async Task<SecretAnswer> CertificateAsync(FileReader reader, string text, string chainPath, string keyPath, CancellationToken cancellationToken)
    {
        var chain = await files.ReadAsync(reader, chainPath, MaxCertificateBytes, cancellationToken).ConfigureAwait(false);
        var key = await files.ReadAsync(reader, keyPath, MaxCertificateBytes, cancellationToken).ConfigureAwait(false);
        return chain.Content is null ? Missing("certificate file", chain.Problem)
            : key.Content is null ? Missing("key file", key.Problem)
            : Pair(text, Encoding.UTF8.GetString(chain.Content), Encoding.UTF8.GetString(key.Content));
    }

    private async Task<SecretAnswer> RootsAsync(FileReader reader, string text, string[] paths, CancellationToken cancellationToken)
    {
        var reading = default(FileReading);
        foreach (var path in paths)
        {
            reading = await files.ReadAsync(reader, path, MaxRootBytes, cancellationToken).ConfigureAwait(false);
            if (reading.Content is not null)
            {
                break;
            }
        }

        return reading.Content is null ? Missing("file of authorities", reading.Problem) : Roots(text, Encoding.UTF8.GetString(reading.Content));
    }

    // A certificate and a key that do not belong together are two halves of a change: the next look finds both.
    internal static SecretAnswer Pair(string name, string chain, string key)
    {
        if (!Pem.TryReadCertificates(chain, out var certificates, out var problem))
        {
            return Missing("certificate file", problem);
        }

        if (!Pem.TryReadPrivateKey(key, out var privateKey, out problem))
        {
            return Missing("key file", problem);
        }

        using (privateKey)
        {
            return KeyPair.ExportPublicKey(privateKey).AsSpan().SequenceEqual(certificates[0].SubjectPublicKeyInfo.Span)
                ? new SecretAnswer.Found(
                    SecretCatalog.VersionOf(string.Join('\n', certificates.Select(certificate => certificate.Fingerprint))),
                    () => new Secret { Name = name, TlsCertificate = new TlsCertificate { CertificateChain = SecretCatalog.Inline(chain), PrivateKey = SecretCatalog.Inline(key) } })
                : Missing("key file", "the key is not that of the first certificate");
        }
    }

    internal static SecretAnswer Roots(string name, string text) => Pem.TryReadAuthorities(text, out var authorities, out var problem)
        ? new SecretAnswer.Found(
            SecretCatalog.VersionOf(string.Join('\n', authorities.Select(authority => authority.Fingerprint))),
            () => new Secret { Name = name, ValidationContext = new CertificateValidationContext { TrustedCa = SecretCatalog.Inline(text) } })
        : Missing("file of authorities", problem);

    private static SecretAnswer.Missing Missing(string what, string problem) => new(StatusCode.PermissionDenied, $"the {what} can't be served: {problem}");
}
