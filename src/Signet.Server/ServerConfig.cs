using System.Net;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Hosting.Logging;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Access;
using Signet.Server.Attestation;
using Signet.Server.Audit;
using Signet.Server.ControlPlane;
using Signet.Server.Federation;
using Signet.Server.Http;
using Signet.Server.Limits;
using Signet.Server.Registration.Desired;
using Signet.Server.Spire;
using Signet.Server.Upstream;

namespace Signet.Server;

/// <summary>server.yaml, as a person wrote it, checked. Durations have their defaults in docs/reference/configuration.md.</summary>
public sealed record ServerConfig
{
    private static readonly TimeSpan ShortestTtl = TimeSpan.FromSeconds(5);

    public required TrustDomain TrustDomain { get; init; }

    /// <summary>Where agents connect over TLS.</summary>
    public required IPEndPoint Listen { get; init; }

    /// <summary>Where operators on this machine connect.</summary>
    public required string AdminSocket { get; init; }

    /// <summary>Who may do what.</summary>
    public AccessRules Access { get; init; } = AccessRules.Default;

    /// <summary>How nodes may prove themselves.</summary>
    public AttestationConfig Attestation { get; init; } = new();

    /// <summary>How long ago an agent that can attest again must have expired to be forgotten; zero for never.</summary>
    public TimeSpan PurgeAgentsAfter { get; init; } = TimeSpan.FromDays(30);

    /// <summary>How much of the audit trail is kept.</summary>
    public AuditConfig Audit { get; init; } = new();

    /// <summary>Metrics and health over HTTP.</summary>
    public required IPEndPoint Metrics { get; init; }

    public required string DataDir { get; init; }

    public required string StorePath { get; init; }

    public required AuthorityPlan Authority { get; init; }

    /// <summary>Where the issuing authority comes from; null when the server makes its own.</summary>
    public UpstreamConfig? Upstream { get; init; }

    /// <summary>The lifetime of workloads' X.509-SVIDs, agents' and the server's own.</summary>
    public required TimeSpan X509Ttl { get; init; }

    /// <summary>The lifetime of JWT-SVIDs.</summary>
    public required TimeSpan JwtTtl { get; init; }

    /// <summary>The lifetime of WIT-SVIDs.</summary>
    public TimeSpan WitTtl { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Types of selectors that attestors of somebody's own produce; those of the known ones need not be named.</summary>
    public IReadOnlySet<string> SelectorTypes { get; init; } = new HashSet<string>();

    /// <summary>The folder that says which entries there are to be; null when operators keep them by hand.</summary>
    public DesiredFolderConfig? DesiredFolder { get; init; }

    /// <summary>The configuration that proxies get through their agents; null when each has its own.</summary>
    public MeshConfig? Mesh { get; init; }

    /// <summary>The <c>iss</c> of JWT-SVIDs, for readers outside SPIFFE; null for none.</summary>
    public string? JwtIssuer { get; init; }

    /// <summary>What anybody may read over HTTPS; null for nothing.</summary>
    public HttpConfig? Http { get; init; }

    /// <summary>Where anybody may ask whether a certificate is revoked (OCSP over HTTP); null for nowhere.</summary>
    public OcspConfig? Ocsp { get; init; }

    public FederationConfig Federation { get; init; } = new();

    /// <summary>How much callers may do.</summary>
    public LimitsConfig Limits { get; init; } = new();

    /// <summary>What stands in the file and has no effect.</summary>
    public IReadOnlyList<ConfigProblem> Warnings { get; init; } = [];

    /// <summary>Reads every key, also of a file of SPIRE's; problems are collected by the section.</summary>
    public static ServerConfig Read(ConfigSection root, Places places)
    {
        if (SpireServerConf.IsIn(root))
        {
            return SpireServerConf.Read(root, places);
        }

        var trustDomain = root.RequiredTrustDomain("trustDomain");
        var dataDir = root.FilePath("dataDir", places.ServerState);
        var ca = root.Section("ca");
        var subject = ca.Section("subject");
        var svid = root.Section("svid");
        var registration = root.Section("registration");
        var store = root.Section("store");
        store.Choice("type", "sqlite", "sqlite");
        var keys = root.Section("keys").Choice("type", "disk", "disk", "memory");
        var federation = root.Section("federation");
        var endpoint = federation.Section("bundleEndpoint");
        var http = HttpConfig.Read(root.Section("http"), endpoint.Section("acme"), isWanted: endpoint.IsPresent);
        var upstream = UpstreamConfig.Read(root.Section("upstream"));
        var keyType = KeyType.EcP256;
        if (ca.Text("keyType") is { } name && !KeyTypes.TryParseAuthority(name, out keyType, out var problem))
        {
            ca.Problem("keyType", problem);
        }

        return new ServerConfig
        {
            TrustDomain = trustDomain,
            Listen = root.ListenEndPoint("listen", "0.0.0.0:8081"),
            AdminSocket = root.UnixPath("adminSocket", places.ServerSocket),
            Access = AccessRules.Read(root.Section("admin")),
            Attestation = AttestationConfig.Read(root.Section("attestation")),
            PurgeAgentsAfter = root.Section("agents").Duration("purgeAfter", TimeSpan.FromDays(30)),
            Audit = AuditConfig.Read(root.Section("audit")),
            Limits = LimitsConfig.Read(root.Section("limits")),
            Metrics = root.ListenEndPoint("metrics", "127.0.0.1:9901"),
            DataDir = dataDir,
            StorePath = Path.Combine(dataDir, store.Text("path", "signet.db")),
            X509Ttl = svid.Duration("x509Ttl", TimeSpan.FromHours(1), ShortestTtl),
            JwtIssuer = OidcDocuments.ReadIssuer(svid, "jwtIssuer"),
            Http = http,
            Ocsp = OcspConfig.Read(root.Section("ocsp")),
            Federation = FederationConfig.Read(federation, trustDomain, presentsWebCertificate: http is { PresentsWebCertificate: true }),
            JwtTtl = svid.Duration("jwtTtl", TimeSpan.FromMinutes(5), ShortestTtl),
            WitTtl = svid.Duration("witTtl", TimeSpan.FromHours(1), ShortestTtl),
            SelectorTypes = registration.Texts("selectorTypes").ToHashSet(StringComparer.Ordinal),
            DesiredFolder = ReadDesiredFolder(registration, trustDomain),
            Mesh = MeshConfig.Read(root),
            Upstream = upstream,
            Authority = new AuthorityPlan
            {
                IsExternal = upstream is not null,
                HasVolatileKeys = keys == "memory",
                TrustDomain = trustDomain,
                KeyType = keyType,
                JwtAlgorithm = ReadJwtAlgorithm(svid),
                SignsWit = Features.Read(root).Wit,
                AnchorTtl = ca.Duration("anchorTtl", TimeSpan.FromDays(3650), ShortestTtl),
                IssuingTtl = ca.Duration("ttl", TimeSpan.FromHours(24), ShortestTtl),
                Subject = new CertificateSubject(subject.Text("country", ""), subject.Text("organization", "Signet"), subject.Text("commonName", "")),
            },
        };
    }

    private static JwsAlgorithm? ReadJwtAlgorithm(ConfigSection svid)
    {
        var algorithm = JwsAlgorithm.Find(svid.Text("jwtAlgorithm"));
        if (algorithm is null && svid.Text("jwtAlgorithm") is { } name)
        {
            svid.Problem("jwtAlgorithm", $"\"{Printable.Of(name)}\" is not an algorithm of JWT-SVIDs; write one of {string.Join(", ", JwsAlgorithm.Names)}");
        }

        return algorithm;
    }

    private static DesiredFolderConfig? ReadDesiredFolder(ConfigSection registration, TrustDomain trustDomain)
    {
        var (cluster, mayDeleteMost) = (registration.Text("cluster", DesiredScope.DefaultCluster), registration.Flag("mayDeleteMost", false));
        if (DesiredScope.ClusterProblem(trustDomain, cluster) is { } problem)
        {
            registration.Problem("cluster", problem);
        }

        return registration.FilePath("folder") is { } folder ? new DesiredFolderConfig(folder, cluster, mayDeleteMost) : null;
    }

    /// <summary>How much is logged, and how.</summary>
    public static LogConfig ReadLog(ConfigSection root) => SpireServerConf.IsIn(root) ? SpireServerConf.ReadLog(root) : LogConfig.Read(root.Section("log"));
}
