using System.Net;
using Signet.Client;
using Signet.Hosting.Configuration;
using Signet.Hosting.Logging;
using Signet.Identity.Spiffe;
using Signet.Policy;
using Signet.Proxy.Capture;
using Signet.Proxy.Probes;
using Signet.Proxy.ProxyProtocol;

namespace Signet.Proxy.Config;

/// <summary>What a person wrote in <c>proxy.yaml</c>, checked. Immutable.</summary>
public sealed record ProxyConfig
{
    private const string DefaultAdmin = "127.0.0.1:15000";
    private const string DefaultSocket = "/run/signet/agent.sock";

    /// <summary>The workload that this proxy stands beside; selectors and namespaces of policies are matched against it.</summary>
    public required Workload Workload { get; init; }

    public required IdentityConfig Identity { get; init; }

    /// <summary>The mesh's own trust domain; null takes the one of the SVID.</summary>
    public TrustDomain? TrustDomain { get; init; }

    /// <summary>Whether and how connections reach the proxy without their applications knowing.</summary>
    public CaptureConfig Capture { get; init; } = new();

    public IReadOnlyList<InboundConfig> Inbound { get; init; } = [];

    public IReadOnlyList<OutboundConfig> Outbound { get; init; } = [];

    /// <summary>The folder of <c>*.yaml</c> policies; watched. Null: policies, mesh settings and endpoints come from the agent.</summary>
    public string? PolicyFolder { get; init; }

    /// <summary>The file of mesh settings, fields of Istio's MeshConfig; watched. Null takes those of the agent, or without it Istio's defaults.</summary>
    public string? MeshFile { get; init; }

    /// <summary>PEM certificates of the only authorities that are believed when token keys are fetched; null takes the machine's.</summary>
    public string? TokenKeyRoots { get; init; }

    /// <summary>Everything an operator may ask; has no authentication, so it belongs on loopback.</summary>
    public IPEndPoint Admin { get; init; } = IPEndPoint.Parse(DefaultAdmin);

    /// <summary>Where <c>/metrics</c> alone is served as well, for a scraper on another machine; null: on the admin endpoint only.</summary>
    public IPEndPoint? Metrics { get; init; }

    /// <summary>Where <c>/ready</c> and <c>/live</c> alone are served as well, for a probe from another machine; null: on the admin endpoint only.</summary>
    public IPEndPoint? Ready { get; init; }

    /// <summary>Probes of the application that are answered at <see cref="Ready"/>.</summary>
    public IReadOnlyList<ProbeConfig> Probes { get; init; } = [];

    /// <summary>The Unix socket where the process that is to follow this one asks for its listening sockets; null: nobody can.</summary>
    public string? Handover { get; init; }

    public LogConfig Log { get; init; } = new();

    public AccessLogConfig AccessLog { get; init; } = new();

    /// <summary>Where requests are reported as spans; null: nowhere.</summary>
    public TracingConfig? Tracing { get; init; }

    public ProxyTimeouts Timeouts { get; init; } = new();

    public ProxyLimits Limits { get; init; } = new();

    public TlsConfig Tls { get; init; } = new();

    /// <summary>Reads the document's root. Problems go to the section; the answer only counts when there are none.</summary>
    public static ProxyConfig Read(ConfigSection root)
    {
        var workload = root.Section("workload");
        var capture = CaptureConfig.Read(root.Section("capture"));
        var inbound = root.Sections("inbound").Select(section => InboundConfig.Read(section, capture)).ToList();
        var identity = IdentityConfig.Read(root.Section("identity"), $"unix:{DefaultSocket}");
        var (policies, mesh) = ReadPolicies(root, identity);
        var outbound = root.Sections("outbound").Select(section => OutboundConfig.Read(section, capture, mayBeLocated: policies is null)).ToList();
        foreach (var claim in outbound.SelectMany(service => service.Addresses.Concat(service.Endpoints.OfType<IPEndPoint>()).Distinct()).GroupBy(address => address).Where(claim => claim.Count() > 1))
        {
            if (capture.Mode != CaptureMode.None)
            {
                root.Problem("outbound", $"{claim.Key} is an address of two services; a captured connection there could be for either");
            }
        }

        if (inbound.Count + outbound.Count == 0 && capture.Mode == CaptureMode.None)
        {
            root.Problem("inbound", "is missing, and so is outbound; list at least one port that the proxy listens on");
        }

        var ready = root.ListenEndPoint("ready");
        var probes = ProbeConfig.Read(root);
        if (probes.Count > 0 && ready is null)
        {
            root.Problem("probes", "are served at \"ready\", which is missing; write where, such as 0.0.0.0:15021");
        }

        return new ProxyConfig
        {
            Workload = new Workload(workload.RequiredText("namespace"), workload.Text("serviceAccount"), workload.Map("labels")),
            Identity = identity,
            TrustDomain = root.TrustDomain("trustDomain"),
            Capture = capture,
            Inbound = inbound,
            Outbound = outbound,
            PolicyFolder = policies,
            MeshFile = mesh,
            TokenKeyRoots = root.Section("tokenKeys").FilePath("roots"),
            Admin = ReadAdmin(root),
            Metrics = root.ListenEndPoint("metrics"),
            Ready = ready,
            Probes = probes,
            Handover = root.UnixPath("handover"),
            Log = LogConfig.Read(root.Section("log")),
            AccessLog = AccessLogConfig.Read(root.Section("accessLog")),
            Tracing = TracingConfig.Read(root.Section("tracing")),
            Timeouts = ProxyTimeouts.Read(root.Section("timeouts")),
            Limits = ProxyLimits.Read(root.Section("limits")),
            Tls = TlsConfig.Read(root.Section("tls")),
        };
    }

    private static (string? Folder, string? MeshFile) ReadPolicies(ConfigSection root, IdentityConfig identity)
    {
        var (policy, mesh) = (root.Section("policy"), root.Section("mesh"));
        var file = mesh.FilePath("file");
        if (policy.IsPresent || identity is not IdentityConfig.Socket)
        {
            return (policy.RequiredFilePath("folder"), file);
        }

        if (file is not null)
        {
            mesh.Problem("file", "stands without policy: {folder: …}; without that the agent says which settings hold, so leave mesh out too");
        }

        return (null, null);
    }

    private static IPEndPoint ReadAdmin(ConfigSection root)
    {
        var admin = root.ListenEndPoint("admin", DefaultAdmin);
        if (!IPAddress.IsLoopback(admin.Address))
        {
            root.Problem("admin", $"{admin} can be reached from other machines, and whoever reaches it may drain the proxy; write a loopback address, and use \"metrics\" and \"ready\" for others");
        }

        return admin;
    }
}

/// <summary>Where the identity comes from: the Workload API, or files that somebody else renews.</summary>
public abstract record IdentityConfig
{
    private IdentityConfig()
    {
    }

    public sealed record Socket(WorkloadApiAddress Address) : IdentityConfig;

    public sealed record Files(string Certificate, string Key, string Roots) : IdentityConfig;

    internal static IdentityConfig Read(ConfigSection section, string defaultSocket)
    {
        var files = section.Section("files");
        var socket = section.Text("socket");
        if (files.IsPresent)
        {
            if (socket is not null)
            {
                section.Problem("socket", "stands beside files; keep one of them");
            }

            return new Files(files.RequiredFilePath("certificate"), files.RequiredFilePath("key"), files.RequiredFilePath("roots"));
        }

        if (!WorkloadApiAddress.TryParse(socket ?? defaultSocket, out var address, out var problem))
        {
            section.Problem("socket", problem);
            WorkloadApiAddress.TryParse(defaultSocket, out address, out _);
        }

        return new Socket(address!);
    }
}

/// <summary>A port of the workload, and where the proxy takes its connections.</summary>
/// <param name="Name">For logs and metrics: <c>inbound-8080</c>.</param>
/// <param name="Listen">Where peers connect; null when connections only come by capture.</param>
/// <param name="Port">The workload's port: what policies call it, and what captured connections are addressed to.</param>
/// <param name="Protocol">What the application speaks.</param>
/// <param name="App">Where the application listens, in plaintext; keep it on loopback.</param>
public sealed record InboundConfig(string Name, IPEndPoint? Listen, int Port, AppProtocol Protocol, EndPoint App)
{
    /// <summary>Peers that must begin with a PROXY header, and are believed what it says; empty: nobody.</summary>
    public IReadOnlyList<IPNetwork> ProxyProtocolFrom { get; init; } = [];

    /// <summary>How many requests it takes; null takes all.</summary>
    public RateLimitConfig? RateLimit { get; init; }

    /// <summary>Whether peers may take up earlier sessions here; no more than <see cref="TlsConfig.Resumption"/> allows.</summary>
    public bool Resumption { get; init; } = true;

    /// <summary>The form in which the application is told who the client is, before anything else; null: not at all.</summary>
    public ProxyVersion? SendProxyProtocol { get; init; }

    /// <summary>How the application learns of the client's certificate.</summary>
    public ForwardClientCertConfig ForwardClientCert { get; init; } = new();

    /// <summary>Fields that a request gathers here.</summary>
    public HopFieldsConfig HopFields { get; init; } = new();

    internal static InboundConfig Read(ConfigSection section, CaptureConfig capture)
    {
        var app = section.RequiredEndPoint("app");
        var listen = section.ListenEndPoint("listen") ?? (capture.Mode == CaptureMode.None ? IPEndPoint.Parse("0.0.0.0:15006") : null);
        var port = section.Integer("port", 1, ushort.MaxValue) ?? PortOf(app);
        var protocol = section.Choice("protocol", AppProtocol.Auto, ReadProtocol.Words);
        return new($"inbound-{port}", listen, port, protocol, app)
        {
            RateLimit = RateLimitConfig.Read(section.Section("rateLimit"), protocol),
            ProxyProtocolFrom = ReadFrom(section.Section("proxyProtocol")),
            Resumption = section.Flag("resumption", true),
            SendProxyProtocol = section.Choice<ProxyVersion?>("sendProxyProtocol", null, ("v1", ProxyVersion.V1), ("v2", ProxyVersion.V2)),
            ForwardClientCert = ForwardClientCertConfig.Read(section.Section("forwardClientCert")),
            HopFields = HopFieldsConfig.Read(section.Section("headers")),
        };
    }

    private static List<IPNetwork> ReadFrom(ConfigSection section)
    {
        var networks = new List<IPNetwork>();
        foreach (var text in section.Texts("from"))
        {
            if (NetworkText.TryParse(text, out var network, out var problem))
            {
                networks.Add(network);
            }
            else
            {
                section.Problem("from", problem);
            }
        }

        if (section.IsPresent && section.Texts("from").Count == 0)
        {
            section.Problem("from", "is empty; list the addresses of the load balancers that are believed, such as [10.0.0.0/24]");
        }

        return networks;
    }

    private static int PortOf(EndPoint app) => app switch
    {
        IPEndPoint address => address.Port,
        DnsEndPoint name => name.Port,
        _ => 0,
    };
}

/// <summary>A service that the workload calls, and where the proxy takes its plaintext for it.</summary>
/// <param name="Name">For logs and metrics: <c>outbound-payments…:8080</c>.</param>
/// <param name="Listen">Where the application connects, on loopback; null when connections only come by capture.</param>
/// <param name="Host">The service's name, as in DestinationRules and SNI.</param>
/// <param name="Port">The service's port.</param>
/// <param name="Protocol">What the service speaks.</param>
/// <param name="Endpoints">Where its proxies listen.</param>
/// <param name="ServerIdentities">Exactly these workloads are accepted there; empty accepts every workload of the own trust domain.</param>
public sealed record OutboundConfig(
    string Name, IPEndPoint? Listen, string Host, int Port, AppProtocol Protocol, IReadOnlyList<EndPoint> Endpoints, IReadOnlySet<SpiffeId> ServerIdentities)
{
    /// <summary>The SNI name <c>outbound_.PORT_._.HOST</c> must fit 255 bytes.</summary>
    private const int MaxHost = 230;

    /// <summary>Where the application believes the service to be: a captured connection there is for this service. Its endpoints count too.</summary>
    public IReadOnlyList<IPEndPoint> Addresses { get; init; } = [];

    /// <summary>Whether the agent says where its proxies listen; <see cref="Endpoints"/> is empty then.</summary>
    public bool IsLocated { get; init; }

    /// <summary>Whether what the application says of a client's certificate goes on; it comes without TLS, so most modes let nothing pass.</summary>
    public ForwardClientCertConfig ForwardClientCert { get; init; } = new() { Mode = ForwardClientCertMode.Sanitize };

    /// <summary>Fields that a request gathers here.</summary>
    public HopFieldsConfig HopFields { get; init; } = new();

    /// <summary>How the proxy finds out whether endpoints are well; null leaves it to what requests show.</summary>
    public HealthCheckConfig? HealthCheck { get; init; }

    /// <summary>How many requests it takes; null takes all.</summary>
    public RateLimitConfig? RateLimit { get; init; }

    /// <summary>Whether the proxy takes up earlier sessions there; no more than <see cref="TlsConfig.Resumption"/> allows.</summary>
    public bool Resumption { get; init; } = true;

    /// <param name="section">Where it stands.</param>
    /// <param name="capture">Whether connections may come without a listener of its own.</param>
    /// <param name="mayBeLocated">Whether endpoints may be left to the agent.</param>
    internal static OutboundConfig Read(ConfigSection section, CaptureConfig capture, bool mayBeLocated)
    {
        var host = section.RequiredText("host");
        if (host.Length > MaxHost || host.Split('.').Any(label => label.Length is 0 or > 63 || !label.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '_')))
        {
            section.Problem("host", $"\"{Printable.Of(host)}\" is not a host name of at most {MaxHost} lower-case letters, digits, '-' and '.'");
        }

        var port = section.Integer("port", 1, ushort.MaxValue);
        if (port is null && section.Shape("port") == ConfigShape.Absent)
        {
            section.Problem("port", "is missing; write the service's port");
        }

        var endpoints = new List<EndPoint>();
        foreach (var text in section.Texts("endpoints"))
        {
            if (EndPointText.TryParse(text, out var endpoint, out var problem))
            {
                endpoints.Add(endpoint);
            }
            else
            {
                section.Problem("endpoints", problem);
            }
        }

        var isLocated = mayBeLocated && section.Shape("endpoints") == ConfigShape.Absent;
        if (!isLocated && section.Texts("endpoints").Count == 0)
        {
            section.Problem("endpoints", "is empty; list where the service's proxies listen, such as [\"10.0.0.9:15006\"], or leave out both it and policy: then the agent says both");
        }

        if (isLocated && section.Section("healthCheck").IsPresent)
        {
            section.Problem("healthCheck", "needs endpoints that are listed here");
        }

        var identities = section.Values<SpiffeId>("serverIdentities", SpiffeId.TryParse).ToHashSet();
        var listen = section.ListenEndPoint("listen");
        if (section.Shape("listen") == ConfigShape.Absent && capture.Mode == CaptureMode.None)
        {
            section.Problem("listen", "is missing; write where the application connects, such as 127.0.0.1:9001");
        }

        var protocol = section.Choice("protocol", AppProtocol.Auto, ReadProtocol.Words);
        return new($"outbound-{Printable.Of(host)}:{port}", listen, host, port ?? 0, protocol, endpoints, identities)
        {
            IsLocated = isLocated,
            HealthCheck = HealthCheckConfig.Read(section.Section("healthCheck")),
            RateLimit = RateLimitConfig.Read(section.Section("rateLimit"), protocol),
            Addresses = ReadAddresses(section),
            ForwardClientCert = ForwardClientCertConfig.Read(section.Section("forwardClientCert"), ForwardClientCertMode.Sanitize),
            HopFields = HopFieldsConfig.Read(section.Section("headers")),
            Resumption = section.Flag("resumption", true),
        };
    }

    private static List<IPEndPoint> ReadAddresses(ConfigSection section)
    {
        var addresses = new List<IPEndPoint>();
        foreach (var text in section.Texts("addresses"))
        {
            if (EndPointText.TryParse(text, out var endpoint, out var problem) && endpoint is IPEndPoint { Port: > 0 } address)
            {
                addresses.Add(address);
            }
            else
            {
                section.Problem("addresses", problem.Length > 0 ? problem : $"\"{Printable.Of(text)}\" is not an address and a port, such as 10.96.0.10:8080");
            }
        }

        return addresses;
    }
}

internal static class ReadProtocol
{
    public static (string, AppProtocol)[] Words => [("auto", AppProtocol.Auto), ("http", AppProtocol.Http), ("http2", AppProtocol.Http2), ("grpc", AppProtocol.Http2), ("tcp", AppProtocol.Tcp)];
}
