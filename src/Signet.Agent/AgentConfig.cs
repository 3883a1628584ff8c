using System.Collections.Immutable;
using System.Net;
using Signet.Agent.Attestation;
using Signet.Agent.Attestation.Workload;
using Signet.Agent.Attestation.Workload.Token;
using Signet.Agent.Broker;
using Signet.Agent.Identities;
using Signet.Agent.Mesh;
using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

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

    /// <summary>How workloads are looked at.</summary>
    public WorkloadAttestorsConfig WorkloadAttestors { get; init; } = new();

    /// <summary>Which signed tokens workloads may show.</summary>
    public WorkloadTokenConfig WorkloadTokens { get; init; } = new();

    public required string DataDir { get; init; }

    /// <summary>Where workloads connect; open to every local user, since every caller is attested.</summary>
    public required string Socket { get; init; }

    /// <summary>Where delegates and operators connect; null for nowhere.</summary>
    public string? AdminSocket { get; init; }

    /// <summary>Whether the agent's group may connect there too, and not only its user.</summary>
    public bool AdminSocketForGroup { get; init; }

    /// <summary>Which workloads may act for others.</summary>
    public ImmutableHashSet<SpiffeId> AuthorizedDelegates { get; init; } = [];

    /// <summary>The broker endpoint.</summary>
    public BrokerConfig Broker { get; init; } = BrokerConfig.Off;

    /// <summary>The namespace of workloads whose identity says none, for the policies that their proxies get; null: those get none.</summary>
    public string? MeshNamespace { get; init; }

    /// <summary>Where pods come from; null for nowhere.</summary>
    public McpConfig? Mcp { get; init; }

    /// <summary>Metrics and health over HTTP.</summary>
    public required IPEndPoint Metrics { get; init; }

    /// <summary>The kind of key that workloads get whose entries say nothing of it.</summary>
    public KeyType SvidKeyType { get; init; } = KeyType.EcP256;

    /// <summary>Whether workloads may get WIT-SVIDs.</summary>
    public bool ServesWit { get; init; }

    /// <summary>For how long what workloads hold is to last whenever an outage begins; null renews at half of life. The server's lifetimes must be longer.</summary>
    public TimeSpan? AvailabilityTarget { get; init; }

    /// <summary>How much is kept.</summary>
    public CacheConfig Cache { get; init; } = new();

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
        WorkloadAttestors = WorkloadAttestorsConfig.Read(root.Section("workloadAttestors")),
        WorkloadTokens = WorkloadTokenConfig.Read(root.Section("workloadTokens")),
        BootstrapBundle = root.Section("bootstrap").FilePath("bundle"),
        DataDir = root.FilePath("dataDir", places.AgentState),
        Socket = root.UnixPath("socket", places.AgentSocket),
        AdminSocket = root.UnixPath("adminSocket", BesideOf(root.UnixPath("socket", places.AgentSocket))),
        AdminSocketForGroup = root.Flag("adminSocketForGroup", false),
        AuthorizedDelegates = [.. root.Values<SpiffeId>("authorizedDelegates", SpiffeId.TryParse)],
        Broker = BrokerConfig.Read(root.Section("broker")),
        Mcp = McpConfig.Read(root.Section("mcp"), trustDomain),
        MeshNamespace = root.Section("mesh").Text("namespace"),
        Metrics = root.ListenEndPoint("metrics", "127.0.0.1:9902"),
        SvidKeyType = ReadKeyType(root.Section("svid")),
        ServesWit = Features.Read(root).Wit,
        AvailabilityTarget = root.Duration("availabilityTarget", min: TimeSpan.FromMinutes(1)),
        Cache = CacheConfig.Read(root.Section("cache")),
    };

    private static KeyType ReadKeyType(ConfigSection svid)
    {
        var keyType = KeyType.EcP256;
        if (svid.Text("keyType") is { } name && (!KeyTypes.TryParse(name, out keyType, out var problem) || (problem = KeyPair.ProblemOf(keyType)).Length > 0))
        {
            svid.Problem("keyType", problem);
        }

        return keyType;
    }

    // agent.sock, agent-admin.sock: agents that share a folder do not share a socket.
    private static string BesideOf(string socket) =>
        Path.Combine(Path.GetDirectoryName(socket) ?? "/", $"{Path.GetFileNameWithoutExtension(socket)}-admin{Path.GetExtension(socket)}");
}
