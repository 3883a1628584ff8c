using System.Diagnostics;
using Signet.Cli.Demo;

namespace Signet.Testing;

/// <summary>
/// The demo's mesh as real processes: server, agent, and web &gt; orders &gt; payments with a proxy each. Tests may kill any of them without
/// warning and start it again.
/// </summary>
internal sealed class ProcessMesh : IAsyncDisposable
{
    private static readonly TimeSpan SvidTtl = TimeSpan.FromMinutes(5);

    private readonly TestFolder _folder = new();
    private readonly Dictionary<string, DemoProcess> _running = new(StringComparer.Ordinal);
    private readonly List<DemoProcess> _drained = [];

    private readonly DemoTap _wire;

    private ProcessMesh()
    {
        Layout = new DemoLayout(_folder.Path);
        Demo = new DemoMesh(Layout, TimeProvider.System);
        _wire = new DemoTap(Layout.TapPort, Layout.Orders.InboundPort);
    }

    public DemoLayout Layout { get; }

    public DemoMesh Demo { get; }

    public static async Task<ProcessMesh> StartAsync(TimeSpan? svidTtl = null)
    {
        var mesh = new ProcessMesh();
        try
        {
            mesh.Layout.WriteMtlsPolicy("STRICT");
            await mesh.Demo.StartServerAsync(svidTtl ?? SvidTtl, CancellationToken.None);
            await mesh.Demo.StartAgentAsync(CancellationToken.None);
            await mesh.Demo.StartWorkloadsAsync(CancellationToken.None);
            foreach (var process in mesh.Demo.Processes)
            {
                mesh._running[process.Name] = process;
            }

            return mesh;
        }
        catch
        {
            await mesh.DisposeAsync();
            throw;
        }
    }

    /// <summary>A request from web to the end of the chain; 0 when there was no answer.</summary>
    public async Task<int> AskAsync() => (await Demo.AskAsync(HttpMethod.Get, Layout.Web.AppPort, "/", CancellationToken.None)).Status;

    /// <summary>Ends a process as a power cut would (SIGKILL).</summary>
    public async Task KillAsync(string name)
    {
        using var process = Process.GetProcessById(_running[name].Pid);
        process.Kill();
        await Eventually.IsTrueAsync(() => _running[name].HasExited, $"the end of {name}");
    }

    /// <summary>A second process takes the place of a proxy's, which then drains.</summary>
    /// <exception cref="InvalidOperationException">It did not; the old one goes on.</exception>
    public async Task SucceedAsync(string name)
    {
        var before = _running[name];
        Restart(name);
        var next = _running[name];
        await Eventually.IsTrueAsync(() => next.HasExited || LogOf(next).Contains("took over from process", StringComparison.Ordinal), $"{name} is succeeded: {LogOf(next)}");
        if (next.HasExited)
        {
            _running[name] = before;
            throw new InvalidOperationException($"{name} was not succeeded: {LogOf(next)}");
        }

        _drained.RemoveAll(process => process.HasExited);
        _drained.Add(before);
    }

    private static string LogOf(DemoProcess process)
    {
        using var reader = new StreamReader(new FileStream(process.LogFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return reader.ReadToEnd();
    }

    public void Restart(string name)
    {
        var (program, config) = name switch
        {
            "server" or "agent" => (DemoLayout.OwnProgram, Layout.File(name + ".yaml")),
            _ => (Layout.ProgramFor(Layout.Workloads.Single(workload => name == workload.Name + "-proxy")), Layout.File(name + ".yaml")),
        };
        var role = name is "server" or "agent" ? name : "proxy";
        _running[name] = DemoProcess.Start(name, program, [role, "run", "--config", config], Layout.LogFile($"{name}-{Guid.NewGuid():N}"));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _running.Values.Reverse().Concat(_drained))
        {
            await process.DisposeAsync();
        }

        await Demo.DisposeAsync();
        await _wire.DisposeAsync();
        _folder.Dispose();
    }
}
