using Signet.Cli.Clients;
using Signet.Cli.Demo;
using Signet.Identity.Spiffe;

namespace Signet.Benchmarks;

/// <summary>
/// A server and an agent as processes of their own, in a folder of their own; the same that <c>signet demo</c> starts, with SVIDs that
/// live longer than a benchmark.
/// </summary>
internal sealed class Mesh : IAsyncDisposable
{
    private static readonly TimeSpan SvidTtl = TimeSpan.FromHours(1);

    /// <summary>All nodes of a benchmark join from one address.</summary>
    private const string AnyNumberOfNodes = "limits: {attest: {perSecond: 10000, burst: 20000}, operators: {perSecond: 10000, burst: 20000}}";

    private readonly DemoMesh _demo;
    private readonly TimeProvider _time;

    private Mesh(TimeProvider time)
    {
        Layout = new DemoLayout(Directory.CreateTempSubdirectory("signet-bench-").FullName);
        _demo = new DemoMesh(Layout, time);
        _time = time;
    }

    public DemoLayout Layout { get; }

    public DemoProcess Server => _demo.Processes.Single(process => process.Name == "server");

    public DemoProcess Agent => _demo.Processes.Single(process => process.Name == "agent");

    public static async Task<Mesh> StartAsync(BenchContext context)
    {
        var mesh = new Mesh(context.Time);
        try
        {
            await mesh.StartServerAsync(context.Cancellation);
            await mesh._demo.StartAgentAsync(context.Cancellation);
            return mesh;
        }
        catch
        {
            await mesh.DisposeAsync();
            throw;
        }
    }

    public Task StartServerAsync(CancellationToken cancellationToken) => _demo.StartServerAsync(SvidTtl, cancellationToken, AnyNumberOfNodes);

    public Task StopServerAsync() => _demo.StopServerAsync();

    /// <summary>Ends the agent and starts it anew, with further lines of configuration from then on; whether it is ready, others see.</summary>
    public async Task RestartAgentAsync(string more = "")
    {
        await File.AppendAllTextAsync(Layout.File("agent.yaml"), $"\n{more}");
        await _demo.RestartAgentAsync();
    }

    public AdminClient Admin() => new(Layout.ServerSocket, _time);

    /// <summary>The agent under which entries for this machine are registered.</summary>
    public async Task<SpiffeId> AgentIdAsync(CancellationToken cancellationToken)
    {
        using var admin = Admin();
        return (await admin.EntriesAsync(SpiffeId.Parse(Layout.Web.SpiffeId), parent: null, cancellationToken))[0].ParentId;
    }

    public async ValueTask DisposeAsync()
    {
        await _demo.DisposeAsync();
        Directory.Delete(Layout.Home, recursive: true);
    }
}
