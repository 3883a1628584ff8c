using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Signet.Cli.Demo;
using Signet.Hosting.Configuration;
using Signet.Identity.X509;
using Signet.InteropTests.Rpc;
using Signet.Testing;

namespace Signet.InteropTests.DataPlane;

/// <summary>
/// Proxies as processes, as operators run them, with identities in files that the test writes; beside them the foreign programs that a test
/// starts. Each has ports of its own.
/// </summary>
internal sealed class Sidecars : IAsyncDisposable
{
    /// <summary>Of an identity: longer than the longest test.</summary>
    private static readonly TimeSpan Life = TimeSpan.FromHours(6);

    public const string Strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: mesh, namespace: istio-system}\nspec: {mtls: {mode: STRICT}}\n";

    /// <summary>The environment of a proxy whose garbage is collected every 4 MiB, so that what grows is what is held and not what waits to be swept up.</summary>
    public static IReadOnlyDictionary<string, string> CollectingOften { get; } = new Dictionary<string, string> { ["DOTNET_GCgen0size"] = "400000" };

    private readonly TestFolder _folder = new();
    private readonly List<DemoProcess> _processes = [];

    public Sidecars()
    {
        Directory.CreateDirectory(File("policy"));
        SetPolicy(Strict);
    }

    /// <summary>What every configuration that is written from now on has besides.</summary>
    public string More { get; set; } = "";

    /// <summary>Programs with their arguments under which every proxy that is started from now on runs.</summary>
    public string[] Under { get; set; } = [];

    /// <summary>How long whatever is started from now on may take until it listens.</summary>
    public TimeSpan Patience { get; set; } = TimeSpan.FromSeconds(90);

    public TestAuthority Authority { get; } = new(DateTimeOffset.UtcNow);

    public string File(string name) => _folder.File(name);

    public static int Port() => DemoPorts.Take(1)[0];

    public void SetPolicy(string text) => Replace(File("policy/policy.yaml"), text);

    /// <summary>Writes an SVID, its key and the bundle as a renewer would: whole files, one after the other.</summary>
    public string WriteIdentity(string account, X509Svid? svid = null)
    {
        svid ??= Authority.Svid($"/ns/default/sa/{account}", notAfter: DateTimeOffset.UtcNow + Life);
        var folder = Directory.CreateDirectory(File(account)).FullName;
        var (chain, key) = (Pem.Encode(svid.Chain), Pem.EncodePrivateKey(svid.Key));
        Replace($"{folder}/chain.pem", chain);
        Replace($"{folder}/key.pem", key);
        Replace($"{folder}/bundle.pem", Authority.Bundle.ToPem());
        Replace($"{folder}/all.pem", chain + key);
        return folder;
    }

    /// <summary>A sidecar with one inbound port to the application.</summary>
    public Task<Sidecar> InboundAsync(IPEndPoint app, string protocol, string account = "orders", IReadOnlyDictionary<string, string>? environment = null)
    {
        var port = Port();
        return StartAsync(account, port, environment, $"inbound:\n- {{listen: \"127.0.0.1:{port}\", port: 8080, protocol: {protocol}, app: \"{app}\"}}\n");
    }

    /// <summary>A sidecar with one service that listens at the endpoint.</summary>
    public Task<Sidecar> OutboundAsync(
        EndPoint endpoint, string protocol, string account = "web", IReadOnlyDictionary<string, string>? environment = null, string? identity = null, bool tunnel = true)
    {
        var port = Port();
        return StartAsync(
            account, port, environment,
            $"outbound:\n- {{listen: \"127.0.0.1:{port}\", host: orders.default.svc.cluster.local, port: 8080, protocol: {protocol}, endpoints: [\"{EndPointText.Format(endpoint)}\"]}}\ntls: {{tunnel: {(tunnel ? "true" : "false")}}}\n", identity);
    }

    /// <summary>Web's and orders' sidecars with the application behind them; connect to the first.</summary>
    public async Task<(Sidecar Web, Sidecar Orders)> PairAsync(IPEndPoint app, string protocol, IReadOnlyDictionary<string, string>? environment = null, bool tunnel = true)
    {
        var orders = await InboundAsync(app, protocol, environment: environment);
        return (await OutboundAsync(orders.EndPoint, protocol, environment: environment, tunnel: tunnel), orders);
    }

    /// <summary>Web's and orders' sidecars with several applications behind them, each at a port of its own; connect to the endpoints, in order.</summary>
    public async Task<(Sidecar Web, Sidecar Orders, IPEndPoint[] EndPoints)> PairAsync(params (IPEndPoint App, string Protocol)[] apps)
    {
        var ports = DemoPorts.Take(2 * apps.Length);
        var (inbound, outbound) = (new StringBuilder("inbound:\n"), new StringBuilder("outbound:\n"));
        for (var i = 0; i < apps.Length; i++)
        {
            var (app, protocol) = apps[i];
            inbound.Append($"- {{listen: \"127.0.0.1:{ports[2 * i]}\", port: {8080 + i}, protocol: {protocol}, app: \"{app}\"}}\n");
            outbound.Append($"- {{listen: \"127.0.0.1:{ports[(2 * i) + 1]}\", host: orders.default.svc.cluster.local, port: {8080 + i}, protocol: {protocol}, endpoints: [\"127.0.0.1:{ports[2 * i]}\"]}}\n");
        }

        var orders = await StartAsync("orders", ports[0], null, inbound.ToString());
        var web = await StartAsync("web", ports[1], null, outbound.ToString());
        return (web, orders, [.. apps.Select((_, i) => new IPEndPoint(IPAddress.Loopback, ports[(2 * i) + 1]))]);
    }

    /// <summary>A foreign program that runs until the test is over.</summary>
    public async Task<DemoProcess> StartAsync(string program, string[] arguments, int port)
    {
        var process = DemoProcess.Start(Path.GetFileName(program), program, arguments, File($"{Path.GetFileName(program)}-{port}.log"));
        _processes.Add(process);
        try
        {
            await Eventually.IsTrueAsync(async () => process.HasExited || await Peer.ListensAsync(port), $"{program} listens", Patience);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}\n{LogOf(process)}");
        }

        return process.HasExited ? throw new InvalidOperationException($"{program} ended: {LogOf(process)}") : process;
    }

    /// <summary>The path at which an account's proxies follow each other.</summary>
    public string HandoverOf(string account) => File($"{account}.sock");

    /// <summary>A second process of a sidecar, as an operator starts it for a hot restart.</summary>
    public DemoProcess StartNext(Sidecar sidecar, Func<string, string>? change = null)
    {
        var config = sidecar.Config;
        if (change is not null)
        {
            config = $"{sidecar.Config}.{Guid.NewGuid():N}.yaml";
            System.IO.File.WriteAllText(config, change(System.IO.File.ReadAllText(sidecar.Config)));
        }

        var process = DemoProcess.Start("env", "env", [.. sidecar.Command, config], File($"env-{Guid.NewGuid():N}.log"));
        _processes.Add(process);
        return process;
    }

    /// <summary>A second process takes the place of a sidecar's.</summary>
    /// <returns>The one before, which drains.</returns>
    public async Task<DemoProcess> SucceedAsync(Sidecar sidecar)
    {
        var (before, next) = (sidecar.Process, StartNext(sidecar));
        await Eventually.IsTrueAsync(() => next.HasExited || LogOf(next).Contains("took over from process", StringComparison.Ordinal), $"the new process takes over: {LogOf(next)}");
        if (next.HasExited)
        {
            throw new InvalidOperationException($"the new process ended: {LogOf(next)}");
        }

        sidecar.Process = next;
        return before;
    }

    public static string LogOf(DemoProcess process)
    {
        using var reader = new StreamReader(new FileStream(process.LogFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return reader.ReadToEnd();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in Enumerable.Reverse(_processes))
        {
            await process.DisposeAsync();
        }

        _folder.Dispose();
    }

    private async Task<Sidecar> StartAsync(string account, int port, IReadOnlyDictionary<string, string>? environment, string ports, string? identity = null)
    {
        if (identity is null)
        {
            var folder = WriteIdentity(account);
            identity = $"{{files: {{certificate: {folder}/chain.pem, key: {folder}/key.pem, roots: {folder}/bundle.pem}}}}";
        }

        var admin = Port();
        var (config, log) = (File($"{account}.yaml"), File($"{account}-access.log"));
        Replace(config, $"""
            workload: {"{"}namespace: default, serviceAccount: {account}, labels: {"{"}app: {account}{"}"}{"}"}
            identity: {identity}
            policy: {"{"}folder: {File("policy")}{"}"}
            admin: 127.0.0.1:{admin}
            accessLog: {"{"}path: {log}, format: json{"}"}
            handover: {HandoverOf(account)}

            """ + ports + More);
        string[] assignments = [.. (environment ?? new Dictionary<string, string>()).Select(variable => $"{variable.Key}={variable.Value}")];
        string[] command = [.. assignments, .. Under, DemoLayout.OwnProgram, "proxy", "run", "--config"];
        return new Sidecar(await StartAsync("env", [.. command, config], port), new IPEndPoint(IPAddress.Loopback, port), admin, log, config, command);
    }

    private static void Replace(string path, string text)
    {
        var next = path + ".next";
        using (var file = new FileStream(next, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite }))
        {
            file.Write(Encoding.UTF8.GetBytes(text));
        }

        System.IO.File.Move(next, path, overwrite: true);
    }
}

/// <summary>A proxy's process.</summary>
internal sealed class Sidecar(DemoProcess process, IPEndPoint endPoint, int admin, string accessLog, string config, string[] command)
{
    /// <summary>Its inbound or outbound port.</summary>
    public IPEndPoint EndPoint => endPoint;

    /// <summary>The one that serves.</summary>
    public DemoProcess Process { get; set; } = process;

    public IPEndPoint AdminEndPoint { get; } = new(IPAddress.Loopback, admin);

    /// <summary>The port of its admin endpoint.</summary>
    public int Admin => admin;

    /// <summary>Its configuration's file, and what it was started with before that.</summary>
    public string Config => config;

    public string[] Command => command;

    /// <summary>Resident memory in bytes.</summary>
    public long Memory => 1024 * long.Parse(File.ReadLines($"/proc/{Process.Pid}/status").First(line => line.StartsWith("VmRSS:")).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]);

    public int Descriptors => Directory.GetFileSystemEntries($"/proc/{Process.Pid}/fd").Length;

    /// <summary>The access log so far.</summary>
    /// <param name="mark">Only lines with this text in them, of a log that may be long.</param>
    public IReadOnlyList<JsonElement> Log(string mark = "")
    {
        using var log = new FileStream(accessLog, FileMode.OpenOrCreate, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(log);
        var lines = new List<JsonElement>();
        while (reader.ReadLine() is { } line)
        {
            // What is being written is not a line yet.
            var isWhole = !reader.EndOfStream || EndsWithNewLine(log);
            if (isWhole && line.Contains(mark, StringComparison.Ordinal))
            {
                lines.Add(JsonDocument.Parse(line).RootElement);
            }
        }

        return lines;
    }

    private static bool EndsWithNewLine(FileStream log)
    {
        log.Position--;
        return log.ReadByte() == '\n';
    }

    public async Task<JsonElement> AdminAsync(string path)
    {
        using var http = new HttpClient();
        return JsonDocument.Parse(await (await http.GetAsync(new Uri($"http://127.0.0.1:{admin}{path}"))).Content.ReadAsStringAsync()).RootElement;
    }

    public async Task<int> ConnectionsAsync() => (await AdminAsync("/stats")).GetProperty("connections").GetInt32();

    public async Task<Socket> ConnectAsync()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(endPoint);
        return socket;
    }
}
