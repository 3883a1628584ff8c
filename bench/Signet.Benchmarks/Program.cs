using System.Runtime.InteropServices;
using Grpc.Core;
using Signet.Benchmarks;
using Signet.Cli.Demo;

var benchmarks = new Dictionary<string, Func<BenchContext, Task>>(StringComparer.Ordinal)
{
    ["signing"] = Signing.RunAsync,
    ["memory"] = IdleMemory.RunAsync,
    ["propagation"] = Propagation.RunAsync,
    ["fleet"] = Fleet.RunAsync,
    ["agent"] = NodeAgent.RunAsync,
    ["policy"] = context => PolicyBenchmark.Run(context.Out) == 0 ? Task.CompletedTask : throw new BenchException("the policy benchmark's two readings disagree"),
    ["policy-scale"] = PolicyScale.RunAsync,
    ["framing"] = Http2Streams.RunAsync,
    ["tcp"] = Proxies.TcpAsync,
    ["connections"] = Proxies.ConnectionsAsync,
    ["bulk"] = Proxies.BulkAsync,
    ["http"] = Proxies.HttpAsync,
    ["http2"] = Proxies.Http2Async,
    ["grpc"] = Proxies.GrpcAsync,
    ["streams"] = IdleStreams.RunAsync,
    ["latency"] = Proxies.LatencyAsync,
};
var flags = args.Where(arg => arg.StartsWith("--", StringComparison.Ordinal)).ToHashSet(StringComparer.Ordinal);
var names = args.Where(arg => !flags.Contains(arg) && arg != "all").DefaultIfEmpty("all").ToArray();
if (args.Contains("all") || names is ["all"])
{
    names = [.. benchmarks.Keys];
}

var unknown = names.Where(name => !benchmarks.ContainsKey(name)).Concat(flags.Where(flag => flag is not ("--write" or "--quick"))).ToArray();
if (unknown.Length > 0 || flags.Count > 1)
{
    Console.Error.WriteLine(unknown.Length > 0 ? $"error: {unknown[0]} is not known here" : "error: a --quick run measures too little to be kept; leave out --write or --quick");
    Console.Error.WriteLine($"hint: Signet.Benchmarks [{string.Join('|', benchmarks.Keys)}|all]... [--write|--quick]");
    return 2;
}

// Ctrl-C ends the measurement, and with it every process that it started.
using var stop = new CancellationTokenSource();
void Stop(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}

using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
try
{
    foreach (var name in names)
    {
        await Report.MakeAsync(name, benchmarks[name], isQuick: flags.Contains("--quick"), isKept: flags.Contains("--write"), args, stop.Token);
    }

    return 0;
}
catch (Exception) when (stop.IsCancellationRequested)
{
    Console.Error.WriteLine("interrupted; everything that was started has been stopped");
    return 130;
}
catch (Exception e) when (e is BenchException or DemoException or RpcException or TimeoutException)
{
    Console.Error.WriteLine($"error: {e.Message}");
    return 1;
}
