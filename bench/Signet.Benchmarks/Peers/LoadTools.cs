using System.Diagnostics;
using System.Globalization;
using Signet.Cli.Demo;

namespace Signet.Benchmarks.Peers;

/// <summary>What one run of the load generator saw.</summary>
internal sealed record LoadResult(int Requests, double Seconds, int Errors, double P50Milliseconds, double P99Milliseconds)
{
    public double PerSecond => Requests / Seconds;
}

/// <summary>Each connection asks again when it has its answer, or each request has a connection of its own.</summary>
internal enum LoadShape
{
    Keep,
    New,
}

/// <summary>The load generator and the backend of bench/tools, compiled here: the same for every proxy.</summary>
internal sealed class LoadTools : IAsyncDisposable
{
    private readonly string _folder;
    private readonly DemoProcess _backend;

    private LoadTools(string folder, int backendPort)
    {
        _folder = folder;
        BackendPort = backendPort;
        _backend = DemoProcess.Start("backend", Path.Combine(folder, "backend"), [$"{backendPort}"], Path.Combine(folder, "backend.log"));
    }

    public int BackendPort { get; }

    public static async Task<LoadTools> StartAsync(string home, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateDirectory(Path.Combine(home, "tools")).FullName;
        foreach (var tool in new[] { "backend", "load" })
        {
            await RunAsync("cc", ["-O2", "-o", Path.Combine(folder, tool), Path.Combine(Repository.Root, "bench", "tools", tool + ".c")], cancellationToken);
        }

        var tools = new LoadTools(folder, DemoPorts.Take(1)[0]);
        try
        {
            await tools.RunAsync(tools.BackendPort, connections: 1, TimeSpan.FromSeconds(0.2), LoadShape.Keep, cancellationToken);
            return tools;
        }
        catch
        {
            await tools.DisposeAsync();
            throw;
        }
    }

    public async Task<LoadResult> RunAsync(int port, int connections, TimeSpan span, LoadShape shape, CancellationToken cancellationToken)
    {
        var line = await RunAsync(
            Path.Combine(_folder, "load"), [$"{port}", $"{connections}", span.TotalSeconds.ToString(CultureInfo.InvariantCulture), shape == LoadShape.Keep ? "keep" : "new"], cancellationToken);
        var words = line.Split(' ');
        double Value(string name) => double.Parse(words[Array.IndexOf(words, name) + 1], CultureInfo.InvariantCulture);
        return new LoadResult((int)Value("requests"), Value("seconds"), (int)Value("errors"), Value("p50us") / 1000, Value("p99us") / 1000);
    }

    public ValueTask DisposeAsync() => _backend.DisposeAsync();

    private static async Task<string> RunAsync(string program, string[] arguments, CancellationToken cancellationToken)
    {
        using var process = new Process { StartInfo = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true } };
        try
        {
            process.Start();
        }
        catch (System.ComponentModel.Win32Exception)
        {
            throw new BenchException($"{program} is not there; apt-get install gcc libc6-dev");
        }

        try
        {
            var (output, problem) = (process.StandardOutput.ReadToEndAsync(cancellationToken), process.StandardError.ReadToEndAsync(cancellationToken));
            await process.WaitForExitAsync(cancellationToken);
            return process.ExitCode == 0 ? (await output).Trim() : throw new BenchException($"{Path.GetFileName(program)}: {(await problem).Trim()}");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }
}
