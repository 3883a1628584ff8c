using System.Net;
using Signet.Client;
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

/// <summary>Where the issuing authority comes from when the server does not make it below an anchor of its own.</summary>
public abstract record UpstreamConfig
{
    /// <summary>What to do when an authority from there nears its end.</summary>
    public abstract string Advice { get; }

    /// <summary>How an authority from there is taken out of use, for whoever tries it here.</summary>
    public abstract string Withdrawal { get; }

    /// <summary>The file with revocation lists that anchors sign elsewhere; null for none.</summary>
    public string? RevocationList { get; init; }

    /// <summary>An issuing authority in files: somebody replaces them in time.</summary>
    /// <param name="Path">The folder with its files.</param>
    /// <param name="Layout">How they are named.</param>
    public sealed record Folder(string Path, UpstreamLayout Layout) : UpstreamConfig
    {
        public override string Withdrawal =>
            "put files of another one under upstream.folder, and it is replaced; beside its anchor's key, signet ca revoke makes the list (upstream.revocationList) by which nobody believes it any more";

        public override string Advice => "put new files under upstream.folder in time; with an offline root: signet ca request, signet ca sign";
    }

    /// <summary>An authority in files that signs the server's issuing authorities.</summary>
    /// <param name="Certificate">Its certificate, PEM, and what stands between it and an anchor behind it.</param>
    /// <param name="Key">Its key, PEM.</param>
    /// <param name="Bundle">The anchors, PEM; null when the certificate is one itself.</param>
    public sealed record Signer(string Certificate, string Key, string? Bundle) : UpstreamConfig
    {
        public override string Withdrawal => $"put another one into {Certificate} and {Key}, and it is replaced; whoever signed it revokes it, and hands the list over in upstream.revocationList";

        public override string Advice => $"put a new authority into {Certificate} and {Key} in time";
    }

    /// <summary>Another server of this trust domain, for which this one is a downstream.</summary>
    /// <param name="Address">Its gRPC over TLS.</param>
    /// <param name="Socket">The Workload API from which this server gets the SVID that its downstream entry names.</param>
    public sealed record Server(DnsEndPoint Address, WorkloadApiAddress Socket) : UpstreamConfig
    {
        public override string Withdrawal => $"taint and revoke it at the server that owns it, {Address.Host}:{Address.Port} (signet authority taint, signet authority revoke); this one follows";

        public override string Advice => $"it comes from the server at {Address.Host}:{Address.Port}; see the log for why there is no newer one";
    }

    /// <summary>Reads the section; null when the server makes its own.</summary>
    public static UpstreamConfig? Read(ConfigSection section)
    {
        var type = section.Choice("type", "none", "none", "disk", "signet");
        var layout = section.Choice("layout", UpstreamLayout.Linkerd, ("linkerd", UpstreamLayout.Linkerd), ("istio", UpstreamLayout.Istio));
        foreach (var key in new[] { "folder", "certificate", "key", "bundle", "revocationList" }.Where(key => type != "disk" && section.Shape(key) != ConfigShape.Absent))
        {
            section.Problem(key, "means nothing without type: disk");
        }

        foreach (var key in new[] { "address", "socket" }.Where(key => type != "signet" && section.Shape(key) != ConfigShape.Absent))
        {
            section.Problem(key, "means nothing without type: signet");
        }

        return type switch
        {
            "disk" => ReadFiles(section, layout),
            "signet" => ReadServer(section),
            _ => null,
        };
    }

    private static UpstreamConfig ReadFiles(ConfigSection section, UpstreamLayout layout)
    {
        var (folder, certificate, key, bundle) = (section.FilePath("folder"), section.FilePath("certificate"), section.FilePath("key"), section.FilePath("bundle"));
        if (folder is null && (certificate is null || key is null))
        {
            section.Problem(certificate is null && key is null ? "folder" : certificate is null ? "certificate" : "key", "is missing; write folder for an issuing authority, or certificate and key for one that signs the server's");
        }
        else if (folder is not null && (certificate ?? key ?? bundle) is not null)
        {
            section.Problem("folder", "and certificate, key or bundle exclude each other: either the files are an issuing authority, or one that signs the server's");
        }

        UpstreamConfig files = folder is not null ? new Folder(folder, layout) : new Signer(certificate ?? "", key ?? "", bundle);
        return files with { RevocationList = section.FilePath("revocationList") ?? (folder is null ? null : Path.Combine(folder, "anchor.crl")) };
    }

    private static Server ReadServer(ConfigSection section)
    {
        var text = section.Text("socket", "");
        if (!WorkloadApiAddress.TryParse(text, out var socket, out var problem))
        {
            section.Problem("socket", text.Length == 0 ? "is missing; name the Workload API socket of an agent of the server above" : problem);
        }

        return new Server(
            section.RequiredEndPoint("address") switch
            {
                DnsEndPoint name => name,
                IPEndPoint address => new DnsEndPoint(address.Address.ToString(), address.Port),
                _ => new DnsEndPoint("localhost", 0),
            },
            socket!);
    }
}
