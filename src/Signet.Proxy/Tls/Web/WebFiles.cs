using Signet.Policy;
using Signet.Policy.Objects;

namespace Signet.Proxy.Tls.Web;

/// <summary>The files that a client of a server outside the mesh needs; null is what its DestinationRule does not name. Equal when the paths are.</summary>
/// <param name="Certificate">Its own chain, PEM.</param>
/// <param name="Key">Its own key, PEM.</param>
/// <param name="Authorities">Whom it believes, PEM; null is whom the operating system believes.</param>
/// <param name="RevocationLists">What those have revoked, PEM.</param>
internal sealed record WebFiles(string? Certificate, string? Key, string? Authorities, string? RevocationLists)
{
    /// <summary>Places where distributions keep the authorities that they believe, in one file.</summary>
    private static readonly string[] SystemAuthorities =
    [
        "/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch, Alpine
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
        "/etc/pki/tls/certs/ca-bundle.crt", // older RHEL
        "/etc/ssl/ca-bundle.pem", // openSUSE
        "/etc/ssl/cert.pem", // Alpine, BSD
    ];

    /// <summary>A server that is believed unseen needs no authorities.</summary>
    public bool BelievesUnseen { get; init; }

    public static WebFiles Of(ClientTlsSettings tls)
    {
        var isMutual = tls.Mode == ClientTlsMode.Mutual;
        return new(isMutual ? tls.ClientCertificate : null, isMutual ? tls.PrivateKey : null, tls.CaCertificates, tls.CaCrl) { BelievesUnseen = tls.InsecureSkipVerify };
    }

    /// <summary>The paths to read, each once.</summary>
    /// <param name="exists">Whether a file is there.</param>
    public IReadOnlyList<string> Paths(Predicate<string> exists) =>
        [.. new[] { Certificate, Key, AuthoritiesPath(exists), RevocationLists }.OfType<string>().Distinct(StringComparer.Ordinal)];

    /// <summary>Where the authorities are; null when nobody is asked for any.</summary>
    public string? AuthoritiesPath(Predicate<string> exists) => Authorities ?? (BelievesUnseen ? null : Array.Find(SystemAuthorities, exists) ?? SystemAuthorities[0]);
}
