using Signet.Benchmarks.Machines;
using Signet.Benchmarks.Peers;
using Signet.Cli.Demo;
using static Signet.Benchmarks.Samples;

namespace Signet.Benchmarks;

/// <summary>What each role takes when it has started and nothing happens.</summary>
internal static class IdleMemory
{
    public static async Task RunAsync(BenchContext context)
    {
        await using var mesh = await Mesh.StartAsync(context);
        await using var tools = await LoadTools.StartAsync(mesh.Layout.Home, context.Cancellation);
        await using var signet = await SignetPair.StartAsync(mesh, tools.BackendPort, context);
        await using var nginx = await NginxPair.StartAsync(mesh, tools.BackendPort, context);
        var rest = context.Span(15);
        await Task.Delay(rest, context.Cancellation);

        var table = new TextTable("MiB", "RSS", "PSS", "private");
        Add(table, "signet server", mesh.Server);
        Add(table, "signet agent, 3 entries", mesh.Agent);
        Add(table, "signet proxy, outbound", signet.Outbound);
        Add(table, "signet proxy, inbound", signet.Inbound);
        Add(table, "nginx, outbound, master and workers", nginx.Outbound);
        Add(table, "nginx, inbound, master and workers", nginx.Inbound);
        table.WriteTo(context.Out);
        context.Out.WriteLine();
        context.Out.WriteLine($"After {rest.TotalSeconds:0} s of rest, before any traffic. PSS shares pages among the processes that map them; RSS counts them in each, for nginx once per worker.");
    }

    private static void Add(TextTable table, string name, DemoProcess process)
    {
        var memory = ProcessFacts.Memory(process.Pid);
        table.Add(name, Number(memory.Rss, "0.0"), Number(memory.Pss, "0.0"), Number(memory.Private, "0.0"));
    }
}
