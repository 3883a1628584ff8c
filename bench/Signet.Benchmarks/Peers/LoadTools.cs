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

/// <summary>The shapes that the load generator knows; bench/tools/load.c describes them. Those of HTTP/2 are h2load's.</summary>
/// <param name="Word">As it is called there.</param>
/// <param name="Connections">At once.</param>
/// <param name="Streams">At once on each of them; null for HTTP/1.1.</param>
internal sealed record LoadShape(string Word, int Connections, int? Streams = null)
{
    /// <summary>As the word of unary calls by gRPC.</summary>
    public const string Calls = "calls";

    /// <summary>GETs of HTTP/2, each stream followed by another.</summary>
    public static LoadShape Http2(int connections, int streams) => new("requests", connections, streams);

    /// <summary>Unary calls by gRPC, each stream followed by another.</summary>
    public static LoadShape Grpc(int connections, int streams) => new(Calls, connections, streams);

    /// <summary>Each connection asks again when it has its answer.</summary>
    public static LoadShape Kept(int connections) => new("keep", connections);

    /// <summary>Each request has a connection of its own.</summary>
    public static LoadShape New(int connections) => new("new", connections);

    /// <summary>So many requests a second, whatever the answers do.</summary>
    public static LoadShape AtRate(int requestsPerSecond, int connections) => new($"rate:{requestsPerSecond}", connections);

    /// <summary>Bodies of 64 MiB, one after the other on each connection.</summary>
    public static LoadShape Bulk(int connections) => new("bulk", connections);
}

/// <summary>
/// What is the same for every proxy: the load generator and the backend of bench/tools, compiled here, and nghttp2's for HTTP/2. Its backend answers
/// GETs and calls by gRPC alike, with a small body and a trailer.
/// </summary>
internal sealed class LoadTools : IAsyncDisposable
{
    /// <summary>Where GETs of HTTP/2 go.</summary>
    public const string RequestPath = "/bench";

    /// <summary>Where calls by gRPC go.</summary>
    public const string CallPath = "/bench.Bench/Call";

    private const string Http2Backend = "/usr/sbin/nghttpd";
    private const string Http2Load = "/usr/bin/h2load";

    /// <summary>A message of gRPC: not compressed, its length, and 100 octets.</summary>
    private static readonly byte[] Message = [0, 0, 0, 0, 100, .. Enumerable.Repeat((byte)'x', 100)];

    private readonly string _folder;
    private readonly DemoProcess _backend;
    private readonly DemoProcess _http2Backend;

    private LoadTools(string folder, int backendPort, int http2BackendPort)
    {
        (_folder, BackendPort, Http2BackendPort) = (folder, backendPort, http2BackendPort);
        _backend = DemoProcess.Start("backend", Path.Combine(folder, "backend"), [$"{backendPort}"], Path.Combine(folder, "backend.log"));
        _http2Backend = DemoProcess.Start(
            "http2-backend", Http2Backend, ["--no-tls", "--address=127.0.0.1", "--trailer=grpc-status: 0", "--max-concurrent-streams=1000", $"--htdocs={folder}/htdocs", $"{http2BackendPort}"], Path.Combine(folder, "http2-backend.log"));
    }

    public int BackendPort { get; }

    public int Http2BackendPort { get; }

    public static async Task<LoadTools> StartAsync(string home, CancellationToken cancellationToken)
    {
        if (!File.Exists(Http2Backend) || !File.Exists(Http2Load))
        {
            throw new BenchException($"{Http2Backend} or {Http2Load} is not there; apt-get install nghttp2-server nghttp2-client");
        }

        var folder = Directory.CreateDirectory(Path.Combine(home, "tools")).FullName;
        Directory.CreateDirectory($"{folder}/htdocs{Path.GetDirectoryName(CallPath)}");
        await File.WriteAllBytesAsync($"{folder}/htdocs{RequestPath}", Message, cancellationToken);
        await File.WriteAllBytesAsync($"{folder}/htdocs{CallPath}", Message, cancellationToken);
        await File.WriteAllBytesAsync($"{folder}/message", Message, cancellationToken);
        foreach (var tool in new[] { "backend", "load" })
        {
            await RunAsync("cc", ["-O2", "-o", Path.Combine(folder, tool), Path.Combine(Repository.Root, "bench", "tools", tool + ".c")], cancellationToken);
        }

        var ports = DemoPorts.Take(2);
        var tools = new LoadTools(folder, ports[0], ports[1]);
        try
        {
            await tools.RunAsync(tools.BackendPort, LoadShape.Kept(1), TimeSpan.FromSeconds(0.2), cancellationToken);
            await tools.RunAsync(tools.Http2BackendPort, LoadShape.Grpc(1, 1), TimeSpan.FromSeconds(1), cancellationToken);
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
        if (shape.Streams is { } streams)
        {
            return await RunHttp2Async(port, shape, streams, span, cancellationToken);
        }

        var line = await RunAsync(
            Path.Combine(_folder, "load"), [$"{port}", $"{shape.Connections}", span.TotalSeconds.ToString(CultureInfo.InvariantCulture), shape.Word], cancellationToken);
        var words = line.Split(' ');
        double Value(string name) => double.Parse(words[Array.IndexOf(words, name) + 1], CultureInfo.InvariantCulture);
        return new LoadResult((int)Value("requests"), Value("bytes") / 1e9, Value("seconds"), (int)Value("errors"), Value("p50us") / 1000, Value("p99us") / 1000);
    }

    /// <summary>h2load for a time; it knows whole seconds, and one of them is soon over. Its log has a line for each answer: when it was asked, the status, how many microseconds it took.</summary>
    private async Task<LoadResult> RunHttp2Async(int port, LoadShape shape, int streams, TimeSpan span, CancellationToken cancellationToken)
    {
        var (log, isCall) = (Path.Combine(_folder, $"h2load-{port}.log"), shape.Word == LoadShape.Calls);
        File.Delete(log);
        string[] call = isCall ? ["-d", Path.Combine(_folder, "message"), "-H", "content-type: application/grpc", "-H", "te: trailers"] : [];
        var said = await RunAsync(
            Http2Load,
            ["-D", $"{Math.Max(2, (int)Math.Round(span.TotalSeconds))}", "-c", $"{shape.Connections}", "-m", $"{streams}", $"--log-file={log}", .. call, $"http://127.0.0.1:{port}{(isCall ? CallPath : RequestPath)}"],
            cancellationToken);
        var words = said.Split([' ', ',', '\n', '(', ')'], StringSplitOptions.RemoveEmptyEntries);
        double Before(string name) => double.Parse(words[Array.IndexOf(words, name) - 1], CultureInfo.InvariantCulture);
        var took = (await File.ReadAllLinesAsync(log, cancellationToken)).Select(line => line.Split('\t')).Where(columns => columns[1] == "200").Select(columns => long.Parse(columns[2], CultureInfo.InvariantCulture)).Order().ToArray();
        File.Delete(log);
        double Percentile(double share) => took.Length == 0 ? double.NaN : took[(int)(share * (took.Length - 1))] / 1000d;
        var seconds = double.Parse(words[Array.IndexOf(words, "finished") + 2].TrimEnd('s'), CultureInfo.InvariantCulture);
        var failed = (int)(Before("failed") + Before("errored") + Before("timeout") + Before("3xx") + Before("4xx") + Before("5xx"));
        return new LoadResult((int)Before("2xx"), Before("2xx") * Message.Length / 1e9, seconds, failed, Percentile(0.5), Percentile(0.99));
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

    public async ValueTask DisposeAsync()
    {
        await _backend.DisposeAsync();
        await _http2Backend.DisposeAsync();
    }

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
