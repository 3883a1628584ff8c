using System.Text;
using Grpc.Core;
using Signet.Hosting.Files;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Envoy.Tls;

namespace Signet.Agent.Sds;

/// <summary>
/// A secret from files, as Istio's proxies ask for them, followed for one stream. The files are read with the rights of the process that asks and where that
/// process sees them, so nobody gets through the agent what they could not read themselves; nothing is shared between callers. What breaks or vanishes
/// stays what it was. Not thread-safe.
/// </summary>
internal sealed class FileSecret(ForeignFiles files, string text, SecretName name)
{
    /// <summary>The largest certificate chain or key, in bytes.</summary>
    public const int MaxCertificateBytes = 256 * 1024;

    /// <summary>The largest file of authorities, in bytes.</summary>
    public const int MaxRootBytes = 1024 * 1024;

    // Where systems keep the authorities that they believe.
    private static readonly string[] SystemRoots = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"];

    private byte[][] _contents = [];

    /// <summary>What the last look found.</summary>
    public SecretAnswer Answer { get; private set; } = new SecretAnswer.Pending();

    /// <summary>Looks at the files. Whether the reader still lives is for the caller to ask afterwards.</summary>
    public async Task LookAsync(FileReader reader, CancellationToken cancellationToken)
    {
        var (contents, problem) = name switch
        {
            SecretName.FileCertificate(var chain, var key) => await PairAsync(reader, chain, key, cancellationToken).ConfigureAwait(false),
            SecretName.FileRoots(var path) => await FirstAsync(reader, path is null ? SystemRoots : [path], cancellationToken).ConfigureAwait(false),
            _ => throw new InvalidOperationException($"{name} is no file"),
        };

        // Only what has changed is looked into: that costs more than reading it.
        if (contents is not null && contents.Length == _contents.Length && contents.Zip(_contents).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second)))
        {
            return;
        }

        var found = contents is null ? Missing(problem)
            : contents.Length == 2 ? Pair(text, Encoding.UTF8.GetString(contents[0]), Encoding.UTF8.GetString(contents[1]))
            : Roots(text, Encoding.UTF8.GetString(contents[0]));
        _contents = contents ?? [];
        Answer = found is SecretAnswer.Missing && Answer is SecretAnswer.Found ? Answer : found;
    }

    // A certificate and a key that do not belong together are two halves of a change: the next look finds both.
    internal static SecretAnswer Pair(string name, string chain, string key)
    {
        if (!Pem.TryReadCertificates(chain, out var certificates, out var problem))
        {
            return Missing($"the certificate file can't be served: {problem}");
        }

        if (!Pem.TryReadPrivateKey(key, out var privateKey, out problem))
        {
            return Missing($"the key file can't be served: {problem}");
        }

        using (privateKey)
        {
            return KeyPair.ExportPublicKey(privateKey).AsSpan().SequenceEqual(certificates[0].SubjectPublicKeyInfo.Span)
                ? new SecretAnswer.Found(
                    SecretCatalog.VersionOf(string.Join('\n', certificates.Select(certificate => certificate.Fingerprint))),
                    () => new Secret { Name = name, TlsCertificate = new TlsCertificate { CertificateChain = SecretCatalog.Inline(chain), PrivateKey = SecretCatalog.Inline(key) } })
                : Missing("the key file can't be served: the key is not that of the first certificate");
        }
    }

    internal static SecretAnswer Roots(string name, string text) => Pem.TryReadAuthorities(text, out var authorities, out var problem)
        ? new SecretAnswer.Found(
            SecretCatalog.VersionOf(string.Join('\n', authorities.Select(authority => authority.Fingerprint))),
            () => new Secret { Name = name, ValidationContext = new CertificateValidationContext { TrustedCa = SecretCatalog.Inline(text) } })
        : Missing($"the file of authorities can't be served: {problem}");

    private async Task<(byte[][]? Contents, string Problem)> PairAsync(FileReader reader, string chainPath, string keyPath, CancellationToken cancellationToken)
    {
        var chain = await files.ReadAsync(reader, chainPath, MaxCertificateBytes, cancellationToken).ConfigureAwait(false);
        if (chain.Content is null)
        {
            return (null, $"the certificate file can't be served: {chain.Problem}");
        }

        var key = await files.ReadAsync(reader, keyPath, MaxCertificateBytes, cancellationToken).ConfigureAwait(false);
        return key.Content is null ? (null, $"the key file can't be served: {key.Problem}") : ([chain.Content, key.Content], "");
    }

    private async Task<(byte[][]? Contents, string Problem)> FirstAsync(FileReader reader, string[] paths, CancellationToken cancellationToken)
    {
        var problem = "";
        foreach (var path in paths)
        {
            var reading = await files.ReadAsync(reader, path, MaxRootBytes, cancellationToken).ConfigureAwait(false);
            if (reading.Content is not null)
            {
                return ([reading.Content], "");
            }

            problem = reading.Problem;
        }

        return (null, $"the file of authorities can't be served: {problem}");
    }

    private static SecretAnswer.Missing Missing(string reason) => new(StatusCode.PermissionDenied, reason);
}
