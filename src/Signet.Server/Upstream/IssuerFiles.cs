using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
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
    public static FileSet Of(UpstreamConfig config) => FileSet.Of([.. Names(config.Layout).Select(name => Path.Combine(config.Folder, name))]);

    /// <summary>Reads the whole set; what is wrong with a part is wrong with all of it. Never throws.</summary>
    public static bool TryRead(ImmutableArray<WatchedFile> files, TrustDomain trustDomain, DateTimeOffset now, [NotNullWhen(true)] out ExternalIssuer? issuer, out string problem)
    {
        issuer = null;
        var (certificateFile, keyFile, anchorsFile) = (files[0], files[1], files[2]);
        if (!Named(certificateFile, Pem.TryReadCertificates(certificateFile.Text, out var chain, out problem), ref problem)
            || !Named(keyFile, Pem.TryReadPrivateKey(keyFile.Text, out var key, out problem), ref problem)
            || !Named(anchorsFile, Pem.TryReadCertificates(anchorsFile.Text, out var anchors, out problem), ref problem))
        {
            return false;
        }

        foreach (var more in files.Skip(3))
        {
            if (!Named(more, Pem.TryReadCertificates(more.Text, out var above, out problem), ref problem))
            {
                return false;
            }

            chain = [.. chain.Concat(above).Distinct()];
        }

        if ((File.GetUnixFileMode(keyFile.Path) & Others) != 0)
        {
            problem = $"{keyFile.Path} can be read by everybody; run: chmod o= {keyFile.Path}";
            return false;
        }

        return Named(certificateFile, ExternalIssuer.TryCreate(trustDomain, chain, key!, anchors, now, out issuer, out problem), ref problem);
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
