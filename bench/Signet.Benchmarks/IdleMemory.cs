using Signet.Benchmarks.Machines;
using Signet.Benchmarks.Peers;
using Signet.Cli.Demo;
using static Signet.Benchmarks.Samples;

namespace Signet.Benchmarks;

/// <summary>What each role takes when nothing happens, and what connections add that have been used once and rest.</summary>
internal static class IdleMemory
{
    private const int Connections = 1000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static async Task RunAsync(BenchContext context)
    {
        await using var field = await Field.StartAsync(context, SignetSessions.Shared, SignetSessions.Resumed);
        var rest = context.Span(15);
        await Task.Delay(rest, context.Cancellation);

        var table = new TextTable("PSS, MiB", "server", "agent");
        table.Add("signet, 3 entries", Pss(field.Mesh.Server), Pss(field.Mesh.Agent));
        table.WriteTo(context.Out);

        var proxies = new TextTable("PSS of a proxy, MiB", "outbound, at rest", $"with {Connections} connections", "inbound, at rest", $"with {Connections} connections", "both");
        foreach (var pair in field.Signets.Concat<ProxyPair>(field.Peers))
        {
            var before = pair.Memory();
            await using var held = await field.Tools.HoldAsync(pair.TcpPort, Connections, Patience, context.Cancellation);
            await Task.Delay(rest, context.Cancellation);
            var after = pair.Memory();
            proxies.Add(pair.Name, Number(before.Outbound, "0.0"), Number(after.Outbound, "0.0"), Number(before.Inbound, "0.0"), Number(after.Inbound, "0.0"), Number(after.Outbound + after.Inbound, "0.0"));
        }

        proxies.WriteTo(context.Out);
        context.Out.WriteLine();
        context.Out.WriteLine($"Each taken after {rest.TotalSeconds:0} s of rest. PSS shares pages among the processes that map them. Every connection has carried one request and one answer.");
    }

    private static string Pss(DemoProcess process) => Number(ProcessFacts.Memory(process.Pid).Pss, "0.0");
}
