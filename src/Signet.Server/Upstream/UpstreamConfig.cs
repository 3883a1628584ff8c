using Signet.Hosting.Configuration;

namespace Signet.Server.Upstream;

/// <summary>How the files of an issuing authority are named.</summary>
public enum UpstreamLayout
{
    /// <summary>issuer.crt, issuer.key, ca.crt.</summary>
    Linkerd,

    /// <summary>ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem.</summary>
    Istio,
}

/// <summary>Where the issuing authority comes from when the server does not make it.</summary>
/// <param name="Folder">The folder with its files.</param>
/// <param name="Layout">How they are named.</param>
public sealed record UpstreamConfig(string Folder, UpstreamLayout Layout)
{
    /// <summary>Reads the section; null when the server makes its own.</summary>
    public static UpstreamConfig? Read(ConfigSection section)
    {
        var isDisk = section.Choice("type", false, ("none", false), ("disk", true));
        var layout = section.Choice("layout", UpstreamLayout.Linkerd, ("linkerd", UpstreamLayout.Linkerd), ("istio", UpstreamLayout.Istio));
        if (isDisk)
        {
            return new UpstreamConfig(section.RequiredFilePath("folder"), layout);
        }

        if (section.FilePath("folder") is not null)
        {
            section.Problem("folder", "means nothing without type: disk");
        }

        return null;
    }
}
