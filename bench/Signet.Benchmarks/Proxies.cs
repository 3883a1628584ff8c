using Signet.Benchmarks.Peers;
using static Signet.Benchmarks.Samples;

namespace Signet.Benchmarks;

/// <summary>
/// Through two proxies, Signet's and nginx's side by side: every round measures every target, so that what the machine does meanwhile
/// befalls all of them alike, and ratios are taken within a round.
/// </summary>
internal static class Proxies
{
    private const int Rounds = 5;
    private const int KeptConnections = 64;
    private const int NewConnections = 16;

    /// <summary>Ratios nearer to 1 than this are not called a difference.</summary>
    private const double Margin = 0.05;

    public static async Task RunAsync(BenchContext context)
    {
        await using var mesh = await Mesh.StartAsync(context);
        await using var tools = await LoadTools.StartAsync(mesh.Layout.Home, context.Cancellation);
        await using var signet = await SignetPair.StartAsync(mesh, tools.BackendPort, context);
        await using var nginx = await NginxPair.StartAsync(mesh, tools.BackendPort, context);

        Target[] kept =
        [
            new("no proxy", null, tools.BackendPort, LoadShape.Keep),
            new("signet tcp", signet, signet.TcpPort, LoadShape.Keep),
            new("nginx stream", nginx, nginx.TcpPort, LoadShape.Keep),
            new("signet http", signet, signet.HttpPort, LoadShape.Keep),
            new("nginx http", nginx, nginx.HttpPort, LoadShape.Keep),
        ];
        Target[] opened =
        [
            new("no proxy", null, tools.BackendPort, LoadShape.New),
            new("signet tcp, tunnel", signet, signet.TcpPort, LoadShape.New),
            new("nginx stream, full", nginx, nginx.TcpPort, LoadShape.New),
            new("nginx stream, resumed", nginx, nginx.ResumingPort, LoadShape.New),
        ];

        await WarmUpAsync([.. kept, .. opened], tools, context);
        var handshakes = await signet.HandshakesAsync(context.Cancellation);
        for (var round = 0; round < (context.IsQuick ? 2 : Rounds); round++)
        {
            foreach (var target in kept.Concat(opened))
            {
                target.Runs.Add(await MeasureAsync(target, tools, context.Span(target.Pair is null ? 1.5 : 4), context.Cancellation));
            }
        }

        context.Out.WriteLine();
        context.Out.WriteLine($"Requests on {KeptConnections} kept connections");
        Show(kept, "requests/s", context.Out);
        Compare("signet tcp / nginx stream", kept[1], kept[2], "requests/s", context.Out);
        Compare("signet http / nginx http", kept[3], kept[4], "requests/s", context.Out);

        context.Out.WriteLine();
        context.Out.WriteLine($"New connections, {NewConnections} at once, each with one request; nginx makes one mutual-TLS handshake for each, Signet a stream in a tunnel that is open already");
        Show(opened, "connections/s", context.Out);
        Compare("signet tcp (tunnel) / nginx stream, full", opened[1], opened[2], "connections/s", context.Out);
        Compare("signet tcp (tunnel) / nginx stream, resumed", opened[1], opened[3], "connections/s", context.Out);

        context.Out.WriteLine();
        await ShowChecksAsync(kept[3].Runs.Count, opened[1], handshakes, signet, nginx, context);
    }

    private static async Task WarmUpAsync(IEnumerable<Target> targets, LoadTools tools, BenchContext context)
    {
        foreach (var target in targets)
        {
            await MeasureAsync(target, tools, context.Span(target.Pair is SignetPair ? 12 : 1), context.Cancellation);
        }
    }

    private static async Task<Run> MeasureAsync(Target target, LoadTools tools, TimeSpan span, CancellationToken cancellationToken)
    {
        var before = target.Pair?.CpuSeconds() ?? (0, 0);
        var connections = target.Shape == LoadShape.Keep ? KeptConnections : NewConnections;
        var load = await tools.RunAsync(target.Port, connections, span, target.Shape, cancellationToken);
        var after = target.Pair?.CpuSeconds() ?? (0, 0);
        return load.Requests > 0
            ? new Run(load, after.Item1 - before.Item1, after.Item2 - before.Item2)
            : throw new BenchException($"{target.Name}: no request was answered, {load.Errors} failed");
    }

    private static void Show(IEnumerable<Target> targets, string unit, TextWriter output)
    {
        var table = new TextTable("median [range]", unit, "p50 ms", "p99 ms", "CPU s/10k out", "CPU s/10k in", "errors");
        foreach (var target in targets)
        {
            var cpu = target.Pair is not null;
            table.Add(
                target.Name,
                target.Of(run => run.Load.PerSecond).WithRange("0"),
                target.Of(run => run.Load.P50Milliseconds).WithRange("0.0"),
                target.Of(run => run.Load.P99Milliseconds).WithRange("0"),
                cpu ? target.Of(run => run.OutboundPer10k).WithRange() : "-",
                cpu ? target.Of(run => run.InboundPer10k).WithRange() : "-",
                Number(target.Runs.Sum(run => run.Load.Errors), "0"));
        }

        table.WriteTo(output);
    }

    private static void Compare(string name, Target signet, Target peer, string unit, TextWriter output)
    {
        Samples Ratio(Func<Run, double> value) => new(signet.Runs.Zip(peer.Runs, (mine, theirs) => value(mine) / value(theirs)));
        var (speed, cpu) = (Ratio(run => run.Load.PerSecond), Ratio(run => run.OutboundPer10k + run.InboundPer10k));
        var table = new TextTable(name, "ratio", "");
        table.Add(unit, speed.WithRange(), Say(speed, "Signet does more", "Signet does less"));
        table.Add("CPU of both proxies", cpu.WithRange(), Say(cpu, "Signet uses more", "Signet uses less"));
        table.WriteTo(output);
    }

    private static string Say(Samples ratios, string above, string below) =>
        ratios.Lowest > 1 && ratios.Median > 1 + Margin ? above
        : ratios.Highest < 1 && ratios.Median < 1 - Margin ? below
        : "no difference shown";

    private static async Task ShowChecksAsync(int rounds, Target opened, double handshakesBefore, SignetPair signet, NginxPair nginx, BenchContext context)
    {
        var handshakes = await signet.HandshakesAsync(context.Cancellation) - handshakesBefore;
        var asked = opened.Runs.Sum(run => run.Load.Requests);
        await Task.Delay(TimeSpan.FromSeconds(1.5), context.Cancellation); // nginx writes its log once a second
        var (resuming, full) = nginx.ResumedShares();
        context.Out.WriteLine($"{rounds} rounds, every target in each. Bodies compared byte for byte. Closed loop on cores that all processes share: latencies are those of saturation.");
        context.Out.WriteLine($"Signet's inbound proxy completed {handshakes:0} handshakes in the rounds, for {asked} new connections and the kept ones of each run; {await signet.DroppedLinesAsync(context.Cancellation):0} access log lines were dropped.");
        context.Out.WriteLine($"nginx resumed {resuming:0%} of the handshakes in the resuming rows and {full:0%} in the full ones.");
    }

    private sealed record Run(LoadResult Load, double OutboundSeconds, double InboundSeconds)
    {
        public double OutboundPer10k => OutboundSeconds / Load.Requests * 10_000;

        public double InboundPer10k => InboundSeconds / Load.Requests * 10_000;
    }

    private sealed record Target(string Name, ProxyPair? Pair, int Port, LoadShape Shape)
    {
        public List<Run> Runs { get; } = [];

        public Samples Of(Func<Run, double> value) => new(Runs.Select(value));
    }
}
