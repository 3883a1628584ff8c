using System.Diagnostics;
using System.Globalization;
using Signet.Cli.Demo;

namespace Signet.Benchmarks.Peers;

/// <summary>What one run of the load generator saw.</summary>
/// <param name="Gigabytes">That came, answers that were not complete in time included.</param>
internal sealed record LoadResult(int Requests, double Gigabytes, double Seconds, int Errors, double P50Milliseconds, double P99Milliseconds)
{
    public double RequestsPerSecond => Requests / Seconds;

    public double MegabytesPerSecond => Gigabytes * 1000 / Seconds;
}

/// <summary>The shapes that the load generator knows; bench/tools/load.c describes them.</summary>
/// <param name="Word">As it is called there.</param>
/// <param name="Connections">At once.</param>
internal sealed record LoadShape(string Word, int Connections)
{
    /// <summary>Each connection asks again when it has its answer.</summary>
    public static LoadShape Kept(int connections) => new("keep", connections);

    /// <summary>Each request has a connection of its own.</summary>
    public static LoadShape New(int connections) => new("new", connections);

    /// <summary>So many requests a second, whatever the answers do.</summary>
    public static LoadShape AtRate(int requestsPerSecond, int connections) => new($"rate:{requestsPerSecond}", connections);

    /// <summary>Bodies of 64 MiB, one after the other on each connection.</summary>
    public static LoadShape Bulk(int connections) => new("bulk", connections);
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
            await tools.RunAsync(tools.BackendPort, LoadShape.Kept(1), TimeSpan.FromSeconds(0.2), cancellationToken);
            return tools;
        }
        catch
        {
            await tools.DisposeAsync();
            throw;
        }
    }

    public async Task<LoadResult> RunAsync(int port, LoadShape shape, TimeSpan span, CancellationToken cancellationToken)
    {
        var line = await RunAsync(
            Path.Combine(_folder, "load"), [$"{port}", $"{shape.Connections}", span.TotalSeconds.ToString(CultureInfo.InvariantCulture), shape.Word], cancellationToken);
        var words = line.Split(' ');
        double Value(string name) => double.Parse(words[Array.IndexOf(words, name) + 1], CultureInfo.InvariantCulture);
        return new LoadResult((int)Value("requests"), Value("bytes") / 1e9, Value("seconds"), (int)Value("errors"), Value("p50us") / 1000, Value("p99us") / 1000);
    }

    /// <summary>Opens connections that have each been answered once, and keeps them until disposal.</summary>
    /// <exception cref="BenchException">Not all of them came about.</exception>
    public async Task<IAsyncDisposable> HoldAsync(int port, int connections, TimeSpan patience, CancellationToken cancellationToken)
    {
        var process = new Process
        {
            StartInfo = new ProcessStartInfo(Path.Combine(_folder, "load"), [$"{port}", $"{connections}", patience.TotalSeconds.ToString(CultureInfo.InvariantCulture), "hold"])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            },
        };
        process.Start();
        var held = new HeldConnections(process);
        var line = await process.StandardOutput.ReadLineAsync(cancellationToken);
        if (line == $"held {connections}")
        {
            return held;
        }

        await held.DisposeAsync();
        throw new BenchException($"of {connections} connections the load generator could say: {line}");
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

    private sealed class HeldConnections(Process load) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            load.StandardInput.Close();
            await load.WaitForExitAsync();
            load.Dispose();
        }
    }
}
