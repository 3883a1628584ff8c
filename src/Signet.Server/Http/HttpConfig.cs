using System.Net;
using Signet.Hosting.Acme;
using Signet.Hosting.Configuration;

namespace Signet.Server.Http;

/// <summary>The key <c>http</c> of server.yaml: where the server publishes what anybody may read.</summary>
/// <param name="Listen">Where it listens, TLS.</param>
/// <param name="Files">The certificate that it presents; null for the server's own SVID.</param>
public sealed record HttpConfig(IPEndPoint Listen, CertificateFiles? Files)
{
    /// <summary>How the certificate is ordered by itself; null when it is not.</summary>
    public AcmeConfig? Acme { get; init; }

    /// <summary>Whether it presents a certificate of the web, instead of the server's own SVID.</summary>
    public bool PresentsWebCertificate => Files is not null || Acme is not null;

    /// <summary>Reads the section; problems are collected by it.</summary>
    /// <param name="http">The section.</param>
    /// <param name="acme">The section that says how the certificate is ordered.</param>
    /// <param name="isWanted">Whether something else says that there is something to publish. Without that and without the section, no port is opened.</param>
    public static HttpConfig? Read(ConfigSection http, ConfigSection acme, bool isWanted)
    {
        var listen = http.ListenEndPoint("listen", "0.0.0.0:8443");
        var (certificate, key) = (http.FilePath("certificate"), http.FilePath("key"));
        if ((certificate is null) != (key is null))
        {
            http.Problem(certificate is null ? "certificate" : "key", "is missing; certificate and key belong together");
        }

        if (acme.IsPresent && (certificate ?? key) is not null)
        {
            http.Problem("certificate", "and acme exclude each other: the certificate is ordered, or lies in files");
        }

        return !isWanted && !http.IsPresent ? null : new HttpConfig(listen, certificate is not null && key is not null ? new CertificateFiles(certificate, key) : null) { Acme = acme.IsPresent ? AcmeConfig.Read(acme) : null };
    }
}

/// <summary>A certificate chain (leaf first) and its key, PEM.</summary>
public sealed record CertificateFiles(string Certificate, string Key);
