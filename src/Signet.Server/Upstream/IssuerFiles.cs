using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Signet.Authority.Rotation;
using Signet.Hosting.Files;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Server.Upstream;

/// <summary>An issuing authority in files, as Linkerd and Istio lay them out.</summary>
internal static class IssuerFiles
{
    private const UnixFileMode Others = UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    /// <summary>The files to read and to follow, in the order that <see cref="TryRead"/> takes them.</summary>
    public static FileSet Of(UpstreamConfig.Folder config) => FileSet.Of([.. Names(config.Layout).Select(name => Path.Combine(config.Path, name))]);

    /// <summary>Reads the whole set; what is wrong with a part is wrong with all of it. Never throws.</summary>
    public static bool TryRead(ImmutableArray<WatchedFile> files, TrustDomain trustDomain, DateTimeOffset now, [NotNullWhen(true)] out ExternalIssuer? issuer, out string problem)
    {
        issuer = null;
        if (!TryReadCertificates(files[0], out var chain, out problem) || !TryReadKey(files[1], out var key, out problem) || !TryReadCertificates(files[2], out var anchors, out problem))
        {
            return false;
        }

        foreach (var more in files.Skip(3))
        {
            if (!TryReadCertificates(more, out var above, out problem))
            {
                return false;
            }

            chain = [.. chain.Concat(above).Distinct()];
        }

        return Named(files[0], ExternalIssuer.TryCreate(trustDomain, chain, key, anchors, now, out issuer, out problem), ref problem);
    }

    /// <summary>Reads the certificates of one file; the problem names it.</summary>
    public static bool TryReadCertificates(WatchedFile file, out IReadOnlyList<Certificate> certificates, out string problem) =>
        Named(file, Pem.TryReadCertificates(file.Text, out certificates, out problem), ref problem);

    /// <summary>Reads a private key that not everybody can read; the problem names the file.</summary>
    public static bool TryReadKey(WatchedFile file, [NotNullWhen(true)] out AsymmetricAlgorithm? key, out string problem)
    {
        if (!Pem.TryReadPrivateKey(file.Text, out key, out problem))
        {
            return Named(file, false, ref problem);
        }

        if ((File.GetUnixFileMode(file.Path) & Others) == 0)
        {
            return true;
        }

        key.Dispose();
        (key, problem) = (null, $"{file.Path} can be read by everybody; run: chmod o= {file.Path}");
        return false;
    }

    private static string[] Names(UpstreamLayout layout) => layout == UpstreamLayout.Linkerd
        ? ["issuer.crt", "issuer.key", "ca.crt"]
        : ["ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"];

    private static bool Named(WatchedFile file, bool isRead, ref string problem)
    {
        problem = isRead ? "" : $"{file.Path}: {problem}";
        return isRead;
    }
}
