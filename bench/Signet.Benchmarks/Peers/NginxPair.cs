using System.Net.Sockets;
using Signet.Cli.Demo;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Benchmarks.Peers;

/// <summary>
/// nginx in the same two roles, with SVIDs of the same authority: the same key type, chain length, trust anchor and TLS library. It checks
/// the chain and, outbound, the server's DNS name; it knows nothing of SPIFFE IDs or policies.
/// </summary>
internal sealed class NginxPair : ProxyPair
{
    private const string Program = "/usr/sbin/nginx";
    private static readonly TimeSpan SvidTtl = TimeSpan.FromHours(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(50);

    private readonly string _folder;

    private NginxPair(DemoProcess outbound, DemoProcess inbound, string folder)
        : base(outbound, inbound) => _folder = folder;

    /// <summary>As <see cref="ProxyPair.TcpPort"/>, with handshakes resumed, which is nginx's default.</summary>
    public required int ResumingPort { get; init; }

    public required int ResumingPeerPort { get; init; }

    public required int FullPeerPort { get; init; }

    public static async Task<NginxPair> StartAsync(Mesh mesh, int backendPort, BenchContext context)
    {
        if (!File.Exists(Program))
        {
            throw new BenchException($"{Program} is not there; apt-get install nginx libnginx-mod-stream");
        }

        string[] names = ["stream", "stream-peer", "stream-resuming", "stream-resuming-peer", "http", "http-peer"];
        var ports = names.Zip(DemoPorts.Take(names.Length)).ToDictionary(pair => pair.First, pair => pair.Second, StringComparer.Ordinal);
        ports["backend"] = backendPort;
        await PrepareAsync(mesh, "nginx-inbound", mesh.Layout.Orders, ports, context);
        await PrepareAsync(mesh, "nginx-outbound", mesh.Layout.Web, ports, context);
        var (inbound, outbound) = (Start(mesh, "nginx-inbound"), Start(mesh, "nginx-outbound"));
        var pair = new NginxPair(outbound, inbound, mesh.Layout.Home)
        {
            TcpPort = ports["stream"],
            HttpPort = ports["http"],
            ResumingPort = ports["stream-resuming"],
            FullPeerPort = ports["stream-peer"],
            ResumingPeerPort = ports["stream-resuming-peer"],
        };
        try
        {
            await ReadyAsync(inbound, ports["http-peer"], context.Cancellation);
            await ReadyAsync(outbound, ports["http"], context.Cancellation);
            return pair;
        }
        catch
        {
            await pair.DisposeAsync();
            throw;
        }
    }

    /// <summary>Shares of the inbound proxy's TCP connections whose handshake was resumed, read from its log: ports with and without resumption.</summary>
    public (double Resuming, double Full) ResumedShares()
    {
        var lines = File.ReadAllLines(Path.Combine(_folder, "nginx-inbound", "stream.log"));
        double Share(int port)
        {
            var mine = lines.Where(line => line.Contains($" {port} ", StringComparison.Ordinal)).ToArray();
            return mine.Count(line => line.EndsWith("resumed=r", StringComparison.Ordinal)) / (double)Math.Max(1, mine.Length);
        }

        return (Share(ResumingPeerPort), Share(FullPeerPort));
    }

    private static async Task PrepareAsync(Mesh mesh, string role, DemoWorkload workload, Dictionary<string, int> ports, BenchContext context)
    {
        var folder = Directory.CreateDirectory(mesh.Layout.File(role)).FullName;
        using var admin = mesh.Admin();
        var svid = await admin.MintAsync(SpiffeId.Parse(workload.SpiffeId), SvidTtl, [workload.Host], context.Cancellation);
        await File.WriteAllTextAsync(Path.Combine(folder, "chain.pem"), Pem.Encode(svid.Chain), context.Cancellation);
        await File.WriteAllTextAsync(Path.Combine(folder, "key.pem"), Pem.EncodePrivateKey(svid.Key), context.Cancellation);
        File.Copy(mesh.Layout.BundleFile, Path.Combine(folder, "bundle.pem"));

        var text = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "bench", "peers", role + ".conf"), context.Cancellation);
        text = text.Replace("{folder}", folder, StringComparison.Ordinal);
        foreach (var (name, port) in ports)
        {
            text = text.Replace($"{{port:{name}}}", $"{port}", StringComparison.Ordinal);
        }

        await File.WriteAllTextAsync(Path.Combine(folder, "nginx.conf"), text, context.Cancellation);
    }

    private static DemoProcess Start(Mesh mesh, string role) => DemoProcess.Start(
        role, Program, ["-c", Path.Combine(mesh.Layout.File(role), "nginx.conf"), "-e", Path.Combine(mesh.Layout.File(role), "error.log")], mesh.Layout.LogFile(role));

    private static async Task ReadyAsync(DemoProcess nginx, int port, CancellationToken cancellationToken)
    {
        var deadline = DateTimeOffset.UtcNow + Patience;
        while (!nginx.HasExited && DateTimeOffset.UtcNow < deadline)
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync("127.0.0.1", port, cancellationToken);
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(Glance, cancellationToken);
            }
        }

        throw new BenchException($"{nginx.Name} did not start; it said: {(await File.ReadAllTextAsync(nginx.LogFile, cancellationToken)).Trim()}");
    }
}
