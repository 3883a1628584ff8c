using Signet.Benchmarks.Peers;

namespace Signet.Benchmarks;

/// <summary>
/// Proxies side by side: every round measures every contestant, so that what the machine does meanwhile befalls all of them alike, and
/// ratios are taken within a round.
/// </summary>
/// <param name="unit">What is counted per second.</param>
/// <param name="work">What processor time is divided by.</param>
/// <param name="check">What was looked at in the answers.</param>
internal sealed class Contest(string unit, Func<LoadResult, double> perSecond, string work, Func<LoadResult, double> amount, string check = "Bodies compared byte for byte.")
{
    private const int Rounds = 5;

    /// <summary>Ratios nearer to 1 than this are not called a difference.</summary>
    private const double Margin = 0.05;

    private const int BarLength = 40;

    private readonly List<Contestant> _all = [];

    public static Contest OfRequests(string unit = "requests/s") => new(unit, load => load.RequestsPerSecond, "10k", load => load.Requests / 10_000d);

    public static Contest OfStreams(string unit) => new(unit, load => load.RequestsPerSecond, "10k", load => load.Requests / 10_000d, "Statuses and their number checked, bodies not.");

    public static Contest OfBytes() => new("MB/s", load => load.MegabytesPerSecond, "GB", load => load.Gigabytes);

    public void Add(string name, ProxyPair? pair, int port, LoadShape shape) => _all.Add(new Contestant(name, pair, port, shape));

    public async Task RunAsync(LoadTools tools, BenchContext context)
    {
        foreach (var one in _all)
        {
            await MeasureAsync(one, tools, context.Span(one.Pair is SignetPair ? 20 : 1), context.Cancellation);
        }

        for (var round = 0; round < (context.IsQuick ? 2 : Rounds); round++)
        {
            foreach (var one in _all)
            {
                one.Runs.Add(await MeasureAsync(one, tools, context.Span(one.Pair is null ? 1.5 : 4), context.Cancellation));
            }
        }
    }

    public void WriteTo(TextWriter output)
    {
        var most = _all.Max(one => one.Cpu.Median is var cpu && double.IsNaN(cpu) ? 0 : cpu);
        var table = new TextTable("median [range]", unit, "p50 ms", "p99 ms", $"CPU s/{work} out", $"CPU s/{work} in", "errors", $"CPU of both, full bar {Samples.Number(most, "0.00")}");
        foreach (var one in _all)
        {
            var hasCpu = one.Pair is not null;
            table.Add(
                one.Name,
                one.Of(run => perSecond(run.Load)).WithRange("0"),
                one.Of(run => run.Load.P50Milliseconds).WithRange("0.0"),
                one.Of(run => run.Load.P99Milliseconds).WithRange("0"),
                hasCpu ? one.Of(run => run.Outbound).WithRange() : "-",
                hasCpu ? one.Of(run => run.Inbound).WithRange() : "-",
                Samples.Number(one.Runs.Sum(run => run.Load.Errors), "0"),
                hasCpu ? new string('#', (int)Math.Round(one.Cpu.Median / most * BarLength)).PadRight(BarLength) : new string(' ', BarLength));
        }

        table.WriteTo(output);
        foreach (var signet in _all.Where(one => one.Pair is SignetPair))
        {
            WriteRatios(signet, output);
        }

        output.WriteLine();
        output.WriteLine($"{_all[0].Runs.Count} rounds, every row in each. {check}");
    }

    /// <summary>Every peer, the one that takes least processor time first: that is the one to beat.</summary>
    private void WriteRatios(Contestant signet, TextWriter output)
    {
        var table = new TextTable($"{signet.Name} against", "throughput", "CPU of both", "");
        foreach (var peer in _all.Where(one => one.Pair is ForeignPair).OrderBy(one => one.Cpu.Median))
        {
            Samples Ratio(Func<Run, double> value) => new(signet.Runs.Zip(peer.Runs, (mine, theirs) => value(mine) / value(theirs)));
            var cpu = Ratio(run => run.Outbound + run.Inbound);
            table.Add(peer.Name, Ratio(run => perSecond(run.Load)).WithRange(), cpu.WithRange(), Say(cpu));
        }

        table.WriteTo(output);
    }

    private static string Say(Samples ratios) =>
        ratios.Lowest > 1 && ratios.Median > 1 + Margin ? "Signet uses more"
        : ratios.Highest < 1 && ratios.Median < 1 - Margin ? "Signet uses less"
        : "no difference shown";

    private async Task<Run> MeasureAsync(Contestant one, LoadTools tools, TimeSpan span, CancellationToken cancellationToken)
    {
        var before = one.Pair?.CpuSeconds() ?? (0, 0);
        var load = await tools.RunAsync(one.Port, one.Shape, span, cancellationToken);
        var after = one.Pair?.CpuSeconds() ?? (0, 0);
        return amount(load) > 0
            ? new Run(load, (after.Item1 - before.Item1) / amount(load), (after.Item2 - before.Item2) / amount(load))
            : throw new BenchException($"{one.Name}: nothing was answered, {load.Errors} failed");
    }

    /// <param name="Outbound">Processor seconds per unit of work of the outbound proxy.</param>
    /// <param name="Inbound">The same of the inbound one.</param>
    private sealed record Run(LoadResult Load, double Outbound, double Inbound);

    private sealed record Contestant(string Name, ProxyPair? Pair, int Port, LoadShape Shape)
    {
        public List<Run> Runs { get; } = [];

        public Samples Cpu => Pair is null ? new([]) : Of(run => run.Outbound + run.Inbound);

        public Samples Of(Func<Run, double> value) => new(Runs.Select(value));
    }
}
