using System.Net;
using Signet.Agent.Attestation;
using Signet.Agent.Mesh;
using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;

namespace Signet.Agent;

/// <summary>agent.yaml, as a person wrote it, checked.</summary>
public sealed record AgentConfig
{
    public required TrustDomain TrustDomain { get; init; }

    /// <summary>Where the server's gRPC is.</summary>
    public required DnsEndPoint Server { get; init; }

    /// <summary>How this node proves itself to the server.</summary>
    public required AttestorConfig Attestor { get; init; }

    /// <summary>PEM file with the trust anchors to begin with; not needed any more after the first contact.</summary>
    public required string? BootstrapBundle { get; init; }

    public required string DataDir { get; init; }

    /// <summary>Where workloads connect; open to every local user, since every caller is attested.</summary>
    public required string Socket { get; init; }

    /// <summary>The namespace of workloads whose identity says none, for the policies that their proxies get; null: those get none.</summary>
    public string? MeshNamespace { get; init; }

    /// <summary>Where pods come from; null for nowhere.</summary>
    public McpConfig? Mcp { get; init; }

    /// <summary>Metrics and health over HTTP.</summary>
    public required IPEndPoint Metrics { get; init; }

    /// <summary>Reads every key; problems are collected by the section.</summary>
    public static AgentConfig Read(ConfigSection root, Places places) => Read(root, places, root.RequiredTrustDomain("trustDomain"));

    private static AgentConfig Read(ConfigSection root, Places places, TrustDomain trustDomain) => new()
    {
        TrustDomain = trustDomain,
        Server = root.RequiredEndPoint("server") switch
        {
            DnsEndPoint name => name,
            IPEndPoint address => new DnsEndPoint(address.Address.ToString(), address.Port),
            var other => throw new InvalidOperationException($"unexpected {other}"),
        },
        Attestor = AttestorConfig.Read(root),
        BootstrapBundle = root.Section("bootstrap").FilePath("bundle"),
        DataDir = root.FilePath("dataDir", places.AgentState),
        Socket = root.UnixPath("socket", places.AgentSocket),
        Mcp = McpConfig.Read(root.Section("mcp"), trustDomain),
        MeshNamespace = root.Section("mesh").Text("namespace"),
        Metrics = root.ListenEndPoint("metrics", "127.0.0.1:9902"),
    };
}
