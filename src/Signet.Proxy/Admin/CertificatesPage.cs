using System.Text.Json.Nodes;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Proxy.Config;

namespace Signet.Proxy.Admin;

/// <summary><c>/certs</c>: what this proxy presents and whom it trusts.</summary>
internal static class CertificatesPage
{
    public static JsonObject Of(ProxyCore core)
    {
        var identity = core.Identity.Current;
        var now = core.Time.GetUtcNow();
        var (source, origin) = core.Config.Identity switch
        {
            IdentityConfig.Files files => ("files", files.Certificate),
            IdentityConfig.Socket socket => ("workload-api", socket.Address.ToString()),
            _ => ("", ""),
        };
        return new JsonObject
        {
            ["source"] = source,
            ["origin"] = origin,
            ["problem"] = core.Identity.Problem,
            ["rotations"] = core.Identity.Rotations,
            ["svids"] = new JsonArray([.. (identity?.Context.Svids ?? []).Select(svid => new JsonObject
            {
                ["spiffeId"] = svid.Id.Uri,
                ["hint"] = svid.Hint,
                ["notAfter"] = AdminPages.Time(svid.NotAfter),
                ["chain"] = new JsonArray([.. svid.Chain.Select(certificate => Of(certificate, now))]),
            })]),
            ["bundles"] = new JsonArray([.. (identity?.Context.Bundles.All ?? []).OrderBy(bundle => bundle.TrustDomain.Name, StringComparer.Ordinal).Select(bundle => new JsonObject
            {
                ["trustDomain"] = bundle.TrustDomain.Name,
                ["sequence"] = bundle.Sequence,
                ["authorities"] = new JsonArray([.. bundle.Authorities.Select(certificate => Of(certificate, now))]),
            })]),
        };
    }

    private static JsonObject Of(Certificate certificate, DateTimeOffset now) => new()
    {
        ["spiffeId"] = certificate.UriNames.Count == 1 && SpiffeId.TryParse(certificate.UriNames[0], out var id, out _) ? id.Uri : null,
        ["serial"] = certificate.SerialHex,
        ["subject"] = certificate.Subject,
        ["issuer"] = certificate.Issuer,
        ["uris"] = AdminPages.Texts(certificate.UriNames.Select(name => Printable.Of(name))),
        ["dnsNames"] = AdminPages.Texts(certificate.DnsNames.Select(name => Printable.Of(name))),
        ["ipAddresses"] = AdminPages.Texts(certificate.IpAddresses.Select(address => address.ToString())),
        ["key"] = certificate.KeyDescription,
        ["signature"] = certificate.SignatureDescription,
        ["notBefore"] = AdminPages.Time(certificate.NotBefore),
        ["notAfter"] = AdminPages.Time(certificate.NotAfter),
        ["secondsLeft"] = (long)(certificate.NotAfter - now).TotalSeconds,
        ["sha256"] = certificate.Fingerprint,
    };
}
