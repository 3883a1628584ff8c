using System.Net;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;

namespace Signet.Agent.Attestation.Workload.Containers;

/// <summary>How the kubelet of this node is asked about pods.</summary>
public sealed record KubeletConfig
{
    private const string Pod = "/var/run/secrets/kubernetes.io/serviceaccount/";

    /// <summary>Where it listens: its port with TLS, or, on loopback only, its read-only port without.</summary>
    public Uri Kubelet { get; init; } = new("https://127.0.0.1:10250/");

    /// <summary>PEM file with the authorities that are believed about the kubelet, or with its own certificate.</summary>
    public string CaFile { get; init; } = Pod + "ca.crt";

    /// <summary>The token that is shown to the kubelet; read anew for each question.</summary>
    public string TokenFile { get; init; } = Pod + "token";

    /// <summary>The name that the kubelet's certificate must have; null for none in particular, since on loopback nobody but the node answers.</summary>
    public string? NodeName { get; init; }

    /// <summary>The kubelet's <c>--cgroup-root</c>; null for the usual places.</summary>
    public string? CgroupRoot { get; init; }

    /// <summary>How long a container is waited for that the kubelet does not know yet.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Whether selectors of the container itself are found, besides those of its pod; without, a pod's containers need not be known yet.</summary>
    public bool ContainerSelectors { get; init; } = true;

    internal static KubeletConfig Read(ConfigSection section)
    {
        var usual = new KubeletConfig();
        var config = new KubeletConfig
        {
            Kubelet = ReadUri(section) ?? usual.Kubelet,
            CaFile = section.FilePath("caFile", usual.CaFile),
            TokenFile = section.FilePath("tokenFile", usual.TokenFile),
            NodeName = section.Text("nodeName"),
            CgroupRoot = section.Text("cgroupRoot"),
            Patience = section.Duration("patience", usual.Patience, TimeSpan.Zero, TimeSpan.FromSeconds(40)),
            ContainerSelectors = section.Flag("containerSelectors", true),
        };
        if (config.NodeName is null && !IPAddress.IsLoopback(AddressOf(config.Kubelet)))
        {
            section.Problem("nodeName", $"is missing; {config.Kubelet.Host} is not this machine's loopback address, so say which name its certificate must have");
        }

        return config;
    }

    private static Uri? ReadUri(ConfigSection section)
    {
        if (section.Text("kubelet") is not { } text)
        {
            return null;
        }

        if (Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri is { PathAndQuery: "/", UserInfo: "", Fragment: "" }
            && (uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && IPAddress.IsLoopback(AddressOf(uri)))))
        {
            return uri;
        }

        section.Problem("kubelet", $"\"{Printable.Of(text)}\" is not https://HOST:PORT, or http:// on a loopback address, such as http://127.0.0.1:10255");
        return null;
    }

    private static IPAddress AddressOf(Uri uri) => IPAddress.TryParse(uri.Host.Trim('[', ']'), out var address) ? address : uri.Host == "localhost" ? IPAddress.Loopback : IPAddress.None;
}
