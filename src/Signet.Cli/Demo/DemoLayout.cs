using System.Globalization;

namespace Signet.Cli.Demo;

/// <summary>
/// Where everything of the demo lies and listens, and the files that its processes read. Each workload runs its proxy from a folder of
/// its own, so that the agent can tell them apart by the path of their program, with or without root.
/// </summary>
internal sealed class DemoLayout
{
    public const string TrustDomain = "demo.signet";
    public const string Namespace = "shop";

    /// <summary>The policy that refuses web at payments.</summary>
    public const string RefusingPolicy = "payments-refuses-others";

    private const string Program = "signet";

    private readonly IReadOnlyList<int> _ports = DemoPorts.Take(18);

    public DemoLayout(string home)
    {
        Home = home;
        Directory.CreateDirectory(PolicyFolder);
        Directory.CreateDirectory(Path.Combine(home, "logs"));
        Web = new DemoWorkload("web", 8080, this, _ports.Skip(4).Take(4).ToArray());
        Orders = new DemoWorkload("orders", 8080, this, _ports.Skip(8).Take(4).ToArray());
        Payments = new DemoWorkload("payments", 8080, this, _ports.Skip(12).Take(4).ToArray());
    }

    public string Home { get; }

    public DemoWorkload Web { get; }

    public DemoWorkload Orders { get; }

    public DemoWorkload Payments { get; }

    public IReadOnlyList<DemoWorkload> Workloads => [Web, Orders, Payments];

    public string PolicyFolder => Path.Combine(Home, "policy");

    public string BundleFile => Path.Combine(Home, "bundle.pem");

    public string ServerSocket => Path.Combine(Home, "server.sock");

    public string AgentSocket => Path.Combine(Home, "agent.sock");

    public int ServerPort => _ports[0];

    public int ServerMetricsPort => _ports[1];

    public int AgentMetricsPort => _ports[2];

    /// <summary>Where the demo listens in on what web's proxy sends to orders' proxy.</summary>
    public int TapPort => _ports[3];

    /// <summary>Where web can reach payments past orders.</summary>
    public int WebToPaymentsPort => _ports[16];

    public string File(string name) => Path.Combine(Home, name);

    public string LogFile(string name) => Path.Combine(Home, "logs", name + ".log");

    /// <summary>The program in a folder of the workload's own: linked where the file system allows it, copied otherwise.</summary>
    public string ProgramFor(DemoWorkload workload)
    {
        var folder = Path.Combine(Home, "bin", workload.Name);
        foreach (var source in Directory.EnumerateFiles(AppContext.BaseDirectory, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(folder, Path.GetRelativePath(AppContext.BaseDirectory, source));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            if (!System.IO.File.Exists(target) && !HardLink.TryCreate(source, target))
            {
                System.IO.File.Copy(source, target);
            }
        }

        return Path.Combine(folder, Program);
    }

    public static string OwnProgram => Path.Combine(AppContext.BaseDirectory, Program);

    /// <param name="svidTtl">The lifetime of SVIDs, whole seconds.</param>
    /// <param name="more">Further lines of the configuration.</param>
    public void WriteServer(TimeSpan svidTtl, string more = "") => Write("server.yaml", $"""
        trustDomain: {TrustDomain}
        listen: 127.0.0.1:{Number(ServerPort)}
        adminSocket: {ServerSocket}
        metrics: 127.0.0.1:{Number(ServerMetricsPort)}
        dataDir: {File("server")}
        svid: {"{"}x509Ttl: {Number((int)svidTtl.TotalSeconds)}s{"}"}
        {more}
        """);

    public void WriteAgent(string joinToken)
    {
        System.IO.File.WriteAllText(File("join-token"), joinToken);
        System.IO.File.SetUnixFileMode(File("join-token"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Write("agent.yaml", $"""
            trustDomain: {TrustDomain}
            server: 127.0.0.1:{Number(ServerPort)}
            joinToken: "file:{File("join-token")}"
            bootstrap: {"{"}bundle: {BundleFile}{"}"}
            socket: {AgentSocket}
            metrics: 127.0.0.1:{Number(AgentMetricsPort)}
            dataDir: {File("agent")}
            """);
    }

    public void WriteProxy(DemoWorkload workload)
    {
        var outbound = workload.Calls is { } next
            ? $"""

               - listen: 127.0.0.1:{Number(workload.OutboundPort)}
                 host: {next.Host}
                 port: {Number(next.Port)}
                 protocol: http
                 endpoints: ["127.0.0.1:{Number(workload == Web ? TapPort : next.InboundPort)}"]
                 serverIdentities: ["{next.SpiffeId}"]
               """
            : "";
        var past = workload == Web
            ? $"""

               - listen: 127.0.0.1:{Number(WebToPaymentsPort)}
                 host: {Payments.Host}
                 port: {Number(Payments.Port)}
                 protocol: http
                 endpoints: ["127.0.0.1:{Number(Payments.InboundPort)}"]
                 serverIdentities: ["{Payments.SpiffeId}"]
               """
            : "";
        Write(workload.Name + "-proxy.yaml", $"""
            workload: {"{"}namespace: {Namespace}, serviceAccount: {workload.Name}, labels: {"{"}app: {workload.Name}{"}"}{"}"}
            identity: {"{"}socket: "unix:{AgentSocket}"{"}"}
            policy: {"{"}folder: {PolicyFolder}{"}"}
            admin: 127.0.0.1:{Number(workload.AdminPort)}
            accessLog: {"{"}path: {workload.AccessLog}, format: json{"}"}
            handover: {File(workload.Name + "-proxy.sock")}
            inbound:
            - listen: 127.0.0.1:{Number(workload.InboundPort)}
              port: {Number(workload.Port)}
              protocol: http
              app: 127.0.0.1:{Number(workload.AppPort)}
            """ + (outbound.Length + past.Length > 0 ? "\noutbound:" + outbound + past : ""));
    }

    public void WriteMtlsPolicy(string mode) => WritePolicy("mtls.yaml", $"""
        apiVersion: security.istio.io/v1
        kind: PeerAuthentication
        metadata: {"{"}name: default, namespace: {Namespace}{"}"}
        spec: {"{"}mtls: {"{"}mode: {mode}{"}"}{"}"}
        """);

    public void WritePaymentsPolicy() => WritePolicy("payments.yaml", $"""
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {"{"}name: payments-only-from-orders, namespace: {Namespace}{"}"}
        spec:
          selector: {"{"}matchLabels: {"{"}app: payments{"}"}{"}"}
          action: ALLOW
          rules:
          - from:
            - source: {"{"}principals: ["{Orders.Principal}"]{"}"}
            to:
            - operation: {"{"}methods: ["POST"], paths: ["/charge"]{"}"}
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {"{"}name: {RefusingPolicy}, namespace: {Namespace}{"}"}
        spec:
          selector: {"{"}matchLabels: {"{"}app: payments{"}"}{"}"}
          action: DENY
          rules:
          - from:
            - source: {"{"}notPrincipals: ["{Orders.Principal}"]{"}"}
            to:
            - operation: {"{"}methods: ["POST"], paths: ["/charge"]{"}"}
        """);

    public string WriteExplainRequest() => Write("request.yaml", $"""
        - name: web-asks-payments
          destination: {"{"}namespace: {Namespace}, labels: {"{"}app: payments{"}"}, port: {Number(Payments.Port)}, protocol: http{"}"}
          source: {"{"}principal: {Web.Principal}, ip: 127.0.0.1{"}"}
          request: {"{"}method: POST, host: {Payments.Host}, path: /charge{"}"}
        """);

    // Written beside and renamed, as an editor does: a watcher never sees half a policy.
    private void WritePolicy(string name, string text)
    {
        var temporary = Path.Combine(Home, name + ".new");
        System.IO.File.WriteAllText(temporary, text + "\n");
        System.IO.File.Move(temporary, Path.Combine(PolicyFolder, name), overwrite: true);
    }

    private string Write(string name, string text)
    {
        System.IO.File.WriteAllText(File(name), text + "\n");
        return File(name);
    }

    internal static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>One service of the demo with its proxy.</summary>
internal sealed class DemoWorkload(string name, int port, DemoLayout layout, int[] ports)
{
    public string Name => name;

    /// <summary>The port that policies and callers name.</summary>
    public int Port => port;

    /// <summary>Where the plaintext service listens, on loopback.</summary>
    public int AppPort => ports[0];

    /// <summary>Where its proxy takes connections from others.</summary>
    public int InboundPort => ports[1];

    /// <summary>Where the service reaches the next one through its proxy.</summary>
    public int OutboundPort => ports[2];

    public int AdminPort => ports[3];

    public string SpiffeId => $"spiffe://{Principal}";

    public string Principal => $"{DemoLayout.TrustDomain}/ns/{DemoLayout.Namespace}/sa/{name}";

    public string Host => $"{name}.{DemoLayout.Namespace}.svc.cluster.local";

    public string AccessLog => layout.LogFile(name + "-access");

    public DemoWorkload? Calls => this == layout.Web ? layout.Orders : this == layout.Orders ? layout.Payments : null;
}
