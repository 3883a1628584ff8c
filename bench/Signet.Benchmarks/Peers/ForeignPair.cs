using System.Net.Sockets;
using Signet.Cli.Demo;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;

namespace Signet.Benchmarks.Peers;

/// <summary>A program that can play both roles.</summary>
internal sealed record ForeignProgram(string Name, string Path, string Packages, Func<string, string[]> Arguments)
{
    public static readonly ForeignProgram Nginx = new("nginx", "/usr/sbin/nginx", "nginx libnginx-mod-stream", folder => ["-c", $"{folder}/proxy.conf", "-e", $"{folder}/error.log"]);

    public static readonly ForeignProgram HAProxy = new("haproxy", "/usr/sbin/haproxy", "haproxy", folder => ["-db", "-f", $"{folder}/proxy.conf"]);
}

/// <summary>
/// nginx or HAProxy in the same two roles, with SVIDs of the same authority: the same key type, chain length, trust anchor and TLS library.
/// They check the chain and, outbound, the server's DNS name; they know nothing of SPIFFE IDs or policies. Their configurations lie in
/// bench/peers; a line that ends in <c># default</c> or <c># tuned</c> belongs to that variant only.
/// </summary>
internal sealed class ForeignPair : ProxyPair
{
    private static readonly TimeSpan SvidTtl = TimeSpan.FromHours(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(50);

    private ForeignPair(string name, DemoProcess outbound, DemoProcess inbound)
        : base(name, outbound, inbound)
    {
    }

    /// <summary>As <see cref="ProxyPair.TcpPort"/>, with handshakes resumed, which is the default of both.</summary>
    public required int ResumingPort { get; init; }

    public required int ResumingPeerPort { get; init; }

    public required int FullPeerPort { get; init; }

    /// <summary>Whether its log tells each connection.</summary>
    public required bool WritesLog { get; init; }

    public static async Task<ForeignPair> StartAsync(ForeignProgram program, bool isTuned, Mesh mesh, LoadTools tools, BenchContext context)
    {
        if (!File.Exists(program.Path))
        {
            throw new BenchException($"{program.Path} is not there; apt-get install {program.Packages}");
        }

        string[] names = ["tcp", "tcp-peer", "resuming", "resuming-peer", "http", "http-peer", "h2", "h2-peer"];
        var ports = names.Zip(DemoPorts.Take(names.Length)).ToDictionary(pair => pair.First, pair => pair.Second, StringComparer.Ordinal);
        (ports["backend"], ports["h2-backend"]) = (tools.BackendPort, tools.Http2BackendPort);
        var variant = isTuned ? "tuned" : "default";
        var inbound = await StartAsync(program, "inbound", variant, mesh, mesh.Layout.Orders, ports, context);
        var outbound = await StartAsync(program, "outbound", variant, mesh, mesh.Layout.Web, ports, context);
        var pair = new ForeignPair(isTuned ? $"{program.Name}, tuned" : program.Name, outbound, inbound)
        {
            TcpPort = ports["tcp"],
            HttpPort = ports["http"],
            Http2Port = ports["h2"],
            ResumingPort = ports["resuming"],
            FullPeerPort = ports["tcp-peer"],
            ResumingPeerPort = ports["resuming-peer"],
            WritesLog = program == ForeignProgram.Nginx || !isTuned,
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
        var lines = File.ReadAllLines(Inbound.LogFile);
        double Share(int port)
        {
            var mine = lines.Where(line => line.Contains($" port={port} ", StringComparison.Ordinal)).ToArray();
            return mine.Count(line => line.EndsWith("resumed=r", StringComparison.Ordinal) || line.EndsWith("resumed=1", StringComparison.Ordinal)) / (double)Math.Max(1, mine.Length);
        }

        return (Share(ResumingPeerPort), Share(FullPeerPort));
    }

    private static async Task<DemoProcess> StartAsync(
        ForeignProgram program, string role, string variant, Mesh mesh, DemoWorkload workload, Dictionary<string, int> ports, BenchContext context)
    {
        var name = $"{program.Name}-{variant}-{role}";
        var folder = Directory.CreateDirectory(mesh.Layout.File(name)).FullName;
        using var admin = mesh.Admin();
        var svid = await admin.MintAsync(SpiffeId.Parse(workload.SpiffeId), SvidTtl, [workload.Host], context.Cancellation);
        var (chain, key) = (Pem.Encode(svid.Chain), Pem.EncodePrivateKey(svid.Key));
        await File.WriteAllTextAsync(Path.Combine(folder, "chain.pem"), chain, context.Cancellation);
        await File.WriteAllTextAsync(Path.Combine(folder, "key.pem"), key, context.Cancellation);
        await File.WriteAllTextAsync(Path.Combine(folder, "chain-and-key.pem"), chain + key, context.Cancellation);
        File.Copy(mesh.Layout.BundleFile, Path.Combine(folder, "bundle.pem"));

        var other = variant == "tuned" ? "# default" : "# tuned";
        var lines = await File.ReadAllLinesAsync(Path.Combine(Repository.Root, "bench", "peers", $"{program.Name}-{role}.conf"), context.Cancellation);
        var text = string.Join('\n', lines.Where(line => !line.EndsWith(other, StringComparison.Ordinal)).Append(""))
            .Replace("{folder}", folder, StringComparison.Ordinal)
            .Replace("{log}", mesh.Layout.LogFile(name), StringComparison.Ordinal);
        foreach (var (port, number) in ports)
        {
            text = text.Replace($"{{port:{port}}}", $"{number}", StringComparison.Ordinal);
        }

        await File.WriteAllTextAsync(Path.Combine(folder, "proxy.conf"), text, context.Cancellation);
        return DemoProcess.Start(name, program.Path, program.Arguments(folder), mesh.Layout.LogFile(name));
    }

    private static async Task ReadyAsync(DemoProcess proxy, int port, CancellationToken cancellationToken)
    {
        var deadline = DateTimeOffset.UtcNow + Patience;
        while (!proxy.HasExited && DateTimeOffset.UtcNow < deadline)
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

        throw new BenchException($"{proxy.Name} did not start; it said: {(await File.ReadAllTextAsync(proxy.LogFile, cancellationToken)).Trim()}");
    }
}
