using System.Net;
using Signet.Client;
using Signet.Hosting.Configuration;
using Signet.Hosting.Logging;
using Signet.Identity.Spiffe;
using Signet.Policy;

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

    public IReadOnlyList<InboundConfig> Inbound { get; init; } = [];

    public IReadOnlyList<OutboundConfig> Outbound { get; init; } = [];

    /// <summary>The folder of <c>*.yaml</c> policies; watched.</summary>
    public required string PolicyFolder { get; init; }

    /// <summary>The file of mesh settings, fields of Istio's MeshConfig; watched. Null takes Istio's defaults.</summary>
    public string? MeshFile { get; init; }

    /// <summary>PEM certificates of the only authorities that are believed when token keys are fetched; null takes the machine's.</summary>
    public string? TokenKeyRoots { get; init; }

    /// <summary>Everything an operator may ask; has no authentication, so it belongs on loopback.</summary>
    public IPEndPoint Admin { get; init; } = IPEndPoint.Parse(DefaultAdmin);

    /// <summary>Where <c>/metrics</c> alone is served as well, for a scraper on another machine; null: on the admin endpoint only.</summary>
    public IPEndPoint? Metrics { get; init; }

    /// <summary>Where <c>/ready</c> and <c>/live</c> alone are served as well, for a probe from another machine; null: on the admin endpoint only.</summary>
    public IPEndPoint? Ready { get; init; }

    public LogConfig Log { get; init; } = new();

    public AccessLogConfig AccessLog { get; init; } = new();

    public ProxyTimeouts Timeouts { get; init; } = new();

    public ProxyLimits Limits { get; init; } = new();

    public TlsConfig Tls { get; init; } = new();

    /// <summary>Reads the document's root. Problems go to the section; the answer only counts when there are none.</summary>
    public static ProxyConfig Read(ConfigSection root)
    {
        var workload = root.Section("workload");
        var capture = root.Section("capture").Choice("mode", "none", "none", "redirect", "tproxy");
        if (capture != "none")
        {
            root.Section("capture").Problem("mode", $"\"{capture}\" is not supported by this version; write none and list ports under inbound and outbound");
        }

        var inbound = root.Sections("inbound").Select(InboundConfig.Read).ToList();
        var outbound = root.Sections("outbound").Select(OutboundConfig.Read).ToList();
        if (inbound.Count + outbound.Count == 0)
        {
            root.Problem("inbound", "is missing, and so is outbound; list at least one port that the proxy listens on");
        }

        return new ProxyConfig
        {
            Workload = new Workload(workload.RequiredText("namespace"), workload.Text("serviceAccount"), workload.Map("labels")),
            Identity = IdentityConfig.Read(root.Section("identity"), $"unix:{DefaultSocket}"),
            TrustDomain = root.TrustDomain("trustDomain"),
            Inbound = inbound,
            Outbound = outbound,
            PolicyFolder = root.Section("policy").RequiredFilePath("folder"),
            MeshFile = root.Section("mesh").FilePath("file"),
            TokenKeyRoots = root.Section("tokenKeys").FilePath("roots"),
            Admin = ReadAdmin(root),
            Metrics = root.ListenEndPoint("metrics"),
            Ready = root.ListenEndPoint("ready"),
            Log = LogConfig.Read(root.Section("log")),
            AccessLog = AccessLogConfig.Read(root.Section("accessLog")),
            Timeouts = ProxyTimeouts.Read(root.Section("timeouts")),
            Limits = ProxyLimits.Read(root.Section("limits")),
            Tls = TlsConfig.Read(root.Section("tls")),
        };
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
/// <param name="Listen">Where peers connect.</param>
/// <param name="Port">The workload's port: what policies call it.</param>
/// <param name="Protocol">What the application speaks.</param>
/// <param name="App">Where the application listens, in plaintext; keep it on loopback.</param>
public sealed record InboundConfig(string Name, IPEndPoint Listen, int Port, AppProtocol Protocol, EndPoint App)
{
    internal static InboundConfig Read(ConfigSection section)
    {
        var app = section.RequiredEndPoint("app");
        var listen = section.ListenEndPoint("listen", "0.0.0.0:15006");
        var port = section.Integer("port", 1, ushort.MaxValue) ?? PortOf(app);
        return new($"inbound-{port}", listen, port, section.Choice("protocol", AppProtocol.Auto, ReadProtocol.Words), app);
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
/// <param name="Listen">Where the application connects; keep it on loopback.</param>
/// <param name="Host">The service's name, as in DestinationRules and SNI.</param>
/// <param name="Port">The service's port.</param>
/// <param name="Protocol">What the service speaks.</param>
/// <param name="Endpoints">Where its proxies listen.</param>
/// <param name="ServerIdentities">Exactly these workloads are accepted there; empty accepts every workload of the own trust domain.</param>
public sealed record OutboundConfig(
    string Name, IPEndPoint Listen, string Host, int Port, AppProtocol Protocol, IReadOnlyList<EndPoint> Endpoints, IReadOnlySet<SpiffeId> ServerIdentities)
{
    /// <summary>The SNI name <c>outbound_.PORT_._.HOST</c> must fit 255 bytes.</summary>
    private const int MaxHost = 230;

    internal static OutboundConfig Read(ConfigSection section)
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

        if (section.Shape("endpoints") == ConfigShape.Absent || section.Texts("endpoints").Count == 0)
        {
            section.Problem("endpoints", "is empty; list where the service's proxies listen, such as [\"10.0.0.9:15006\"]");
        }

        var identities = new HashSet<SpiffeId>();
        foreach (var text in section.Texts("serverIdentities"))
        {
            if (SpiffeId.TryParse(text, out var id, out var problem))
            {
                identities.Add(id);
            }
            else
            {
                section.Problem("serverIdentities", problem);
            }
        }

        return new(
            $"outbound-{Printable.Of(host)}:{port}", section.ListenEndPoint("listen") ?? Missing(section), host, port ?? 0,
            section.Choice("protocol", AppProtocol.Auto, ReadProtocol.Words), endpoints, identities);
    }

    private static IPEndPoint Missing(ConfigSection section)
    {
        if (section.Shape("listen") == ConfigShape.Absent)
        {
            section.Problem("listen", "is missing; write where the application connects, such as 127.0.0.1:9001");
        }

        return new IPEndPoint(IPAddress.Loopback, 0);
    }
}

internal static class ReadProtocol
{
    public static (string, AppProtocol)[] Words => [("auto", AppProtocol.Auto), ("http", AppProtocol.Http), ("tcp", AppProtocol.Tcp)];
}
