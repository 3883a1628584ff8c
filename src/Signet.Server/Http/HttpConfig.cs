using System.Net;
using Signet.Hosting.Configuration;

namespace Signet.Server.Http;

/// <summary>The key <c>http</c> of server.yaml: where the server publishes what anybody may read.</summary>
/// <param name="Listen">Where it listens, TLS.</param>
/// <param name="Files">The certificate that it presents; null for the server's own SVID.</param>
public sealed record HttpConfig(IPEndPoint Listen, CertificateFiles? Files)
{
    /// <summary>Reads the section; problems are collected by it.</summary>
    /// <param name="http">The section.</param>
    /// <param name="isWanted">Whether something else says that there is something to publish. Without that and without the section, no port is opened.</param>
    public static HttpConfig? Read(ConfigSection http, bool isWanted)
    {
        var listen = http.ListenEndPoint("listen", "0.0.0.0:8443");
        var (certificate, key) = (http.FilePath("certificate"), http.FilePath("key"));
        if ((certificate is null) != (key is null))
        {
            http.Problem(certificate is null ? "certificate" : "key", "is missing; certificate and key belong together");
        }

        return !isWanted && !http.IsPresent ? null : new HttpConfig(listen, certificate is not null && key is not null ? new CertificateFiles(certificate, key) : null);
    }
}

/// <summary>A certificate chain (leaf first) and its key, PEM.</summary>
public sealed record CertificateFiles(string Certificate, string Key);
