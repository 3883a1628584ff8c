using Signet.Identity.Spiffe;

namespace Signet.Agent.Sds;

/// <summary>The name under which a proxy asks for a secret, understood.</summary>
internal abstract record SecretName
{
    /// <summary>The longest name, in characters: two paths of the longest kind.</summary>
    public const int MaxLength = 8300;

    private const string CertificateFiles = "file-cert:";
    private const string RootFile = "file-root:";
    private const string SystemRoots = "system";
    private const char Between = '~';

    private SecretName()
    {
    }

    /// <summary><c>default</c>: the workload's first SVID.</summary>
    internal sealed record Default : SecretName;

    /// <summary><c>ROOTCA</c>: the bundle of the workload's own trust domain.</summary>
    internal sealed record RootCa : SecretName;

    /// <summary><c>ALL</c>: every bundle that the workload may use, each for its own trust domain.</summary>
    internal sealed record All : SecretName;

    /// <summary>One of the workload's SVIDs, by its SPIFFE ID.</summary>
    internal sealed record Identity(SpiffeId Id) : SecretName;

    /// <summary>The bundle of a trust domain, by its ID or bare name.</summary>
    internal sealed record Bundle(TrustDomain TrustDomain) : SecretName;

    /// <summary><c>file-cert:CERTIFICATE~KEY</c>, as Istio's proxies ask: a certificate chain and its key in files that the asking process may read.</summary>
    internal sealed record FileCertificate(string Chain, string Key) : SecretName;

    /// <summary><c>file-root:PATH</c>: authorities in a file that the asking process may read; without a path, those that its system keeps.</summary>
    internal sealed record FileRoots(string? Path) : SecretName;

    /// <summary>A name that can never be served.</summary>
    internal sealed record Unknown(string Problem) : SecretName;

    /// <summary>Whether it stands for files, whose names are their owner's business.</summary>
    public bool IsFile => this is FileCertificate or FileRoots;

    /// <summary>Understands a name. Never throws.</summary>
    public static SecretName Of(string text) => text switch
    {
        SecretCatalog.Default => new Default(),
        SecretCatalog.RootCa => new RootCa(),
        SecretCatalog.All => new All(),
        _ when text.StartsWith(CertificateFiles, StringComparison.Ordinal) => Files(text[CertificateFiles.Length..].Split(Between)),
        RootFile + SystemRoots => new FileRoots(null),
        _ when text.StartsWith(RootFile, StringComparison.Ordinal) => IsPath(text[RootFile.Length..])
            ? new FileRoots(text[RootFile.Length..])
            : new Unknown("file-root: must be followed by an absolute path, or by \"system\""),
        _ when TrustDomain.TryParse(text, out var trustDomain, out _) => new Bundle(trustDomain),
        _ when SpiffeId.TryParse(text, out var id, out _) => new Identity(id),
        _ => new Unknown("it is no name that is served here"),
    };

    private static SecretName Files(string[] paths) => paths.Length == 2 && paths.All(IsPath)
        ? new FileCertificate(paths[0], paths[1])
        : new Unknown("file-cert: must be followed by two absolute paths with ~ between them");

    private static bool IsPath(string text) => text.StartsWith('/');
}
