using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using Signet.Benchmarks.Machines;
using Signet.Cli.Clients;
using Signet.Client;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc;
using Signet.Rpc.Wire.Spiffe;
using Signet.Server.Registration;
using static Signet.Benchmarks.Samples;

namespace Signet.Benchmarks;

/// <summary>
/// One agent: how fast a workload that connects has its SVID, how many such fetches it serves, what entries and subscribers take in memory, what 10,000
/// SVIDs cost to make and to replace, and how soon it serves again after a restart while no server runs.
/// </summary>
internal static class NodeAgent
{
    private const int Fetches = 500;

    /// <summary>An agent looks at one process 5,000 times in a row and not more.</summary>
    private const int FetchesAtOnce = 4000;
    private const int Callers = 8;
    private const int Entries = 50_000;
    private const int Subscribers = 1000;
    private const int FewSubscribers = 100;
    private const int Storm = 10_000;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);
    private static readonly Selector Mine = new("unix", $"path:{Environment.ProcessPath}");

    public static async Task RunAsync(BenchContext context)
    {
        await using var mesh = await Mesh.StartAsync(context);
        using var admin = mesh.Admin();
        var agent = await mesh.AgentIdAsync(context.Cancellation);
        if (!WorkloadApiAddress.TryParse(mesh.Layout.AgentSocket, out var address, out var problem))
        {
            throw new BenchException(problem);
        }

        await admin.CreateEntryAsync(Entry(agent, "/bench/me", Mine), context.Cancellation);
        await UntilServedAsync(address, context);

        await FetchAsync(address, context);
        await GrowAsync(mesh, admin, agent, address, context);
        await RestartAsync(mesh, address, context);
        await StormAsync(mesh, admin, agent, context);
    }

    private static async Task FetchAsync(WorkloadApiAddress address, BenchContext context)
    {
        var latencies = new List<double>();
        for (var i = 0; i < context.Count(Fetches); i++)
        {
            var began = Stopwatch.GetTimestamp();
            await FirstAsync(address, context);
            latencies.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        }

        var table = new TextTable("connect, be attested, get the first SVID", "fetches", "p50 ms", "p99 ms", "highest", "fetches/s");
        var one = new Samples(latencies);
        table.Add("one after the other", Number(one.Count, "0"), Number(one.Percentile(0.5), "0.00"), Number(one.Percentile(0.99), "0.00"), Number(one.Highest, "0.0"), Number(1000 / latencies.Average(), "0"));

        var start = Stopwatch.GetTimestamp();
        var left = context.Count(FetchesAtOnce);
        var calls = await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(async () =>
        {
            var own = new List<double>();
            while (Interlocked.Decrement(ref left) >= 0)
            {
                var began = Stopwatch.GetTimestamp();
                await FirstAsync(address, context);
                own.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
            }

            return own;
        })));
        var many = new Samples(calls.SelectMany(own => own));
        table.Add($"{Callers} callers at once", Number(many.Count, "0"), Number(many.Percentile(0.5), "0.00"), Number(many.Percentile(0.99), "0.00"), Number(many.Highest, "0.0"), Number(many.Count / Stopwatch.GetElapsedTime(start).TotalSeconds, "0"));
        table.WriteTo(context.Out);
    }

    private static async Task GrowAsync(Mesh mesh, AdminClient admin, SpiffeId agent, WorkloadApiAddress address, BenchContext context)
    {
        var (entries, subscribers) = (context.Count(Entries), context.Count(Subscribers));
        var rest = context.Span(20);
        var table = new TextTable("the agent holds", "RSS MiB", "PSS MiB", "KiB more for each");
        await using var streams = new Streams(address, context);
        await Task.Delay(rest, context.Cancellation);
        var (before, _) = Tell("a few entries", null, 0);

        await streams.OpenAsync(FewSubscribers);
        await Task.Delay(rest, context.Cancellation);
        (before, _) = Tell($"{FewSubscribers} subscribers", before, FewSubscribers);

        await admin.ApplyAsync("bench", [.. Enumerable.Range(0, entries).Select(i => Entry(agent, $"/bench/many/{i}", new Selector("unix", $"uid:{1_000_000 + i}")))], ApplyMode.Carefully, context.Cancellation);
        await UntilAsync(mesh, "signet_agent_entries", count => count >= entries, context);
        await Task.Delay(rest, context.Cancellation);
        (before, _) = Tell($"{entries} entries beside them", before, entries);

        await streams.OpenAsync(subscribers);
        await Task.Delay(rest, context.Cancellation);
        Tell($"{subscribers} subscribers more", before, subscribers);
        table.WriteTo(context.Out);

        (double Pss, int Count) Tell(string what, double? earlier, int count)
        {
            var memory = ProcessFacts.Memory(mesh.Agent.Pid);
            table.Add(what, Number(memory.Rss, "0.0"), Number(memory.Pss, "0.0"), earlier is { } was ? Number((memory.Pss - was) * 1024 / count, "0.0") : "-");
            return (memory.Pss, count);
        }
    }

    private static async Task RestartAsync(Mesh mesh, WorkloadApiAddress address, BenchContext context)
    {
        await mesh.StopServerAsync();
        await mesh.RestartAgentAsync();
        var began = Stopwatch.GetTimestamp();
        await UntilServedAsync(address, context);
        var table = new TextTable("restart without a server, all from the sealed cache", "seconds");
        table.Add("start of the process until a workload that tries again and again has its SVID", Number(Stopwatch.GetElapsedTime(began).TotalSeconds, "0.00"));
        table.WriteTo(context.Out);
        await mesh.StartServerAsync(context.Cancellation);
    }

    private static async Task StormAsync(Mesh mesh, AdminClient admin, SpiffeId agent, BenchContext context)
    {
        var count = context.Count(Storm);
        await admin.ApplyAsync("bench", [], ApplyMode.EvenDeleteMost, context.Cancellation);
        await mesh.RestartAgentAsync("cache: {svids: 20000, bytes: 1GiB}");
        await UntilAsync(mesh, "signet_agent_entries", entries => entries >= 0 && entries < count, context);
        var table = new TextTable($"{count} SVIDs", "took", "agent CPU s", "server CPU s", "calls", "agent RSS MiB");

        await MeasureAsync("made for new entries", "");
        await MeasureAsync("replaced, as their entries say something else", "second");
        table.WriteTo(context.Out);

        async Task MeasureAsync(string what, string hint)
        {
            var (began, calls, renewed) = (Stopwatch.GetTimestamp(), await ReadAsync(mesh, "signet_agent_signing_calls_total", context), await ReadAsync(mesh, "signet_agent_svids_renewed_total", context));
            var (own, server) = (ProcessFacts.CpuSeconds(mesh.Agent.Pid), ProcessFacts.CpuSeconds(mesh.Server.Pid));
            await admin.ApplyAsync("bench", [.. Enumerable.Range(0, count).Select(i => Entry(agent, $"/bench/storm/{i}", new Selector("unix", $"uid:{1_000_000 + i}")) with { Hint = hint })], ApplyMode.Carefully, context.Cancellation);
            await UntilAsync(mesh, "signet_agent_svids_renewed_total", now => now - renewed >= count, context);
            await UntilAsync(mesh, "signet_agent_svids", now => now >= count, context);
            table.Add(
                what,
                Number(Stopwatch.GetElapsedTime(began).TotalSeconds, "0.0") + " s",
                Number(ProcessFacts.CpuSeconds(mesh.Agent.Pid) - own, "0.0"),
                Number(ProcessFacts.CpuSeconds(mesh.Server.Pid) - server, "0.0"),
                Number(await ReadAsync(mesh, "signet_agent_signing_calls_total", context) - calls, "0"),
                Number(ProcessFacts.Memory(mesh.Agent.Pid).Rss, "0.0"));
        }
    }

    private static async Task FirstAsync(WorkloadApiAddress address, BenchContext context)
    {
        using var channel = WorkloadApi.Connect(address, context.Time);
        using var call = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509SVID(new X509SVIDRequest(), WorkloadApi.Options(context.Cancellation));
        if (!await call.ResponseStream.MoveNext(context.Cancellation))
        {
            throw new BenchException("the agent ended the stream without an SVID");
        }
    }

    private static async Task UntilServedAsync(WorkloadApiAddress address, BenchContext context)
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                await FirstAsync(address, context);
                return;
            }
            catch (RpcException) when (Stopwatch.GetElapsedTime(began) < Patience && !context.Cancellation.IsCancellationRequested)
            {
                await Task.Delay(10, context.Cancellation);
            }
        }
    }

    private static async Task<double> UntilAsync(Mesh mesh, string metric, Func<double, bool> holds, BenchContext context)
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            if (await ReadAsync(mesh, metric, context) is var value && holds(value))
            {
                return value;
            }

            if (Stopwatch.GetElapsedTime(began) > Patience)
            {
                throw new BenchException($"{metric} stayed at {value} for {Patience.TotalMinutes} minutes");
            }

            await Task.Delay(50, context.Cancellation);
        }
    }

    /// <summary>A metric of the agent; -1 while it cannot be read.</summary>
    private static async Task<double> ReadAsync(Mesh mesh, string metric, BenchContext context)
    {
        using var http = new HttpClient();
        try
        {
            var text = await http.GetStringAsync(new Uri($"http://127.0.0.1:{mesh.Layout.AgentMetricsPort.ToString(CultureInfo.InvariantCulture)}/metrics"), context.Cancellation);
            var line = text.Split('\n').FirstOrDefault(line => line.StartsWith(metric, StringComparison.Ordinal) && line[metric.Length] is ' ' or '{');
            return line is null ? 0 : double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
        }
        catch (HttpRequestException)
        {
            return -1;
        }
    }

    private static RegistrationEntry Entry(SpiffeId agent, string path, Selector selector) => new()
    {
        Id = "",
        SpiffeId = SpiffeId.Of(agent.TrustDomain, path),
        ParentId = agent,
        Selectors = [selector],
    };

    /// <summary>Workload API streams that are held open, each on a connection of its own, and read.</summary>
    private sealed class Streams(WorkloadApiAddress address, BenchContext context) : IAsyncDisposable
    {
        private readonly List<(GrpcChannel Channel, AsyncServerStreamingCall<X509SVIDResponse> Call)> _open = [];
        private readonly List<Task> _reading = [];

        public async Task OpenAsync(int count)
        {
            for (var i = 0; i < count; i++)
            {
                var channel = WorkloadApi.Connect(address, context.Time);
                var call = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509SVID(new X509SVIDRequest(), WorkloadApi.Options(context.Cancellation));
                _open.Add((channel, call));
                if (!await call.ResponseStream.MoveNext(context.Cancellation))
                {
                    throw new BenchException("the agent ended the stream of a subscriber");
                }

                _reading.Add(ReadOnAsync(call));
            }
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var (channel, call) in _open)
            {
                call.Dispose();
                channel.Dispose();
            }

            await Task.WhenAll(_reading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        private async Task ReadOnAsync(AsyncServerStreamingCall<X509SVIDResponse> call)
        {
            while (await call.ResponseStream.MoveNext(context.Cancellation))
            {
            }
        }
    }
}
