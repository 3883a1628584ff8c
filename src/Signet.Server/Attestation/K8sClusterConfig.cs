using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;

namespace Signet.Server.Attestation;

/// <summary>A Kubernetes cluster whose pods may attest.</summary>
public sealed record K8sClusterConfig
{
    private const string Mount = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// <summary>What tokens for SPIRE's servers are made for.</summary>
    public static IReadOnlyList<string> DefaultAudiences { get; } = ["spire-server"];

    /// <summary>The cluster in which this server is a pod itself; nobody may attest yet.</summary>
    public static K8sClusterConfig Own { get; } = new()
    {
        ServiceAccounts = new HashSet<string>(),
        Server = new Uri("https://kubernetes.default.svc/"),
        CaFile = $"{Mount}/ca.crt",
        TokenFile = $"{Mount}/token",
    };

    /// <summary>As agents run: <c>namespace:name</c>.</summary>
    public required IReadOnlySet<string> ServiceAccounts { get; init; }

    /// <summary>One of which a token must be made for.</summary>
    public IReadOnlyList<string> Audiences { get; init; } = DefaultAudiences;

    /// <summary>Labels of nodes that become selectors.</summary>
    public IReadOnlyList<string> NodeLabels { get; init; } = [];

    /// <summary>Labels of pods that become selectors.</summary>
    public IReadOnlyList<string> PodLabels { get; init; } = [];

    /// <summary>Where the cluster's API is; ends with a slash.</summary>
    public required Uri Server { get; init; }

    /// <summary>PEM file of the authorities that are believed about the API.</summary>
    public required string CaFile { get; init; }

    /// <summary>File with the token that this server shows there.</summary>
    public required string TokenFile { get; init; }

    /// <summary>Reads the clusters by name.</summary>
    internal static IReadOnlyDictionary<string, K8sClusterConfig> ReadAll(ConfigSection section)
    {
        var clusters = section.Section("clusters");
        if (clusters.Keys.Count == 0)
        {
            section.Problem("clusters", "is missing; write NAME: {serviceAccounts: [NAMESPACE:NAME]} for each cluster whose pods may attest");
        }

        foreach (var name in clusters.Keys.Where(name => !SpiffeId.TryParse($"spiffe://example.org/{name}", out _, out _) || name.Contains('/', StringComparison.Ordinal)))
        {
            clusters.Problem(name, "is no part of an ID; a cluster's name has letters, digits, '.', '-' and '_'");
        }

        return clusters.Keys.ToDictionary(name => name, name => Read(clusters.Section(name)), StringComparer.Ordinal);
    }

    /// <summary>Reads where a cluster is; nobody may attest by it.</summary>
    internal static K8sClusterConfig ReadPlace(ConfigSection section) => Own with
    {
        Server = ReadServer(section),
        CaFile = section.FilePath("caFile", Own.CaFile),
        TokenFile = section.FilePath("tokenFile", Own.TokenFile),
    };

    private static K8sClusterConfig Read(ConfigSection section)
    {
        var accounts = section.Texts("serviceAccounts");
        if (accounts.Count == 0)
        {
            section.Problem("serviceAccounts", "is missing; write the accounts that agents run as, such as [spire:spire-agent]");
        }

        foreach (var wrong in accounts.Where(account => account.Split(':') is not [{ Length: > 0 }, { Length: > 0 }]))
        {
            section.Problem("serviceAccounts", $"\"{Printable.Of(wrong)}\" is not NAMESPACE:NAME");
        }

        var audiences = section.Texts("audiences");
        return new K8sClusterConfig
        {
            ServiceAccounts = accounts.ToHashSet(StringComparer.Ordinal),
            Audiences = audiences.Count > 0 ? audiences : DefaultAudiences,
            NodeLabels = section.Texts("nodeLabels"),
            PodLabels = section.Texts("podLabels"),
            Server = ReadServer(section),
            CaFile = section.FilePath("caFile", Own.CaFile),
            TokenFile = section.FilePath("tokenFile", Own.TokenFile),
        };
    }

    private static Uri ReadServer(ConfigSection section)
    {
        if (section.Text("server") is not { } text)
        {
            return Own.Server;
        }

        if (Uri.TryCreate(text.EndsWith('/') ? text : text + "/", UriKind.Absolute, out var server) && server.Scheme == Uri.UriSchemeHttps && server.UserInfo.Length + server.Query.Length == 0)
        {
            return server;
        }

        section.Problem("server", $"\"{Printable.Of(text)}\" is not an address of an API; write it as https://HOST:PORT");
        return Own.Server;
    }
}
