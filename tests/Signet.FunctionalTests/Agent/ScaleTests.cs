using System.Globalization;
using Grpc.Core;
using Signet.Cli.Clients;
using Signet.Cli.Demo;
using Signet.Client;
using Signet.Hosting;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc;
using Signet.Rpc.Wire.Spiffe;
using Signet.Server.Registration;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent;

/// <summary>More on one node than any node has.</summary>
public sealed class ScaleTests(ITestOutputHelper output)
{
    private const int Entries = 50_000;
    private const int Subscribers = 100;
    private const double MaxMegabytes = 200;

    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(8)).Token;

    [Fact(Explicit = true)]
    [Trait("Category", "Soak")]
    public async Task Fifty_thousand_entries_and_a_hundred_subscribers_take_less_than_200_MB_and_an_entry_that_comes_then_is_served()
    {
        using var folder = new TestFolder();
        var layout = new DemoLayout(folder.Path);
        await using var mesh = new DemoMesh(layout, TimeProvider.System);
        await mesh.StartServerAsync(TimeSpan.FromHours(1), _patience);
        await mesh.StartAgentAsync(_patience);
        using var admin = new AdminClient(layout.ServerSocket, TimeProvider.System);
        var agent = (await admin.EntriesAsync(SpiffeId.Parse(layout.Web.SpiffeId), parent: null, _patience))[0].ParentId;
        var pid = mesh.Processes.Single(process => process.Name == "agent").Pid;
        var myself = new Selector("unix", $"uid:{NativeUser.EffectiveId()}");
        await admin.CreateEntryAsync(Entry(agent, "/me", myself), _patience);
        Assert.True(WorkloadApiAddress.TryParse(layout.AgentSocket, out var address, out var problem), problem);
        var streams = new List<(GrpcChannel Channel, AsyncServerStreamingCall<X509SVIDResponse> Call)>();
        try
        {
            await using var source = new X509Source(address, TimeProvider.System);
            await source.WaitAsync(_patience);
            for (var i = 0; i < Subscribers; i++)
            {
                var channel = WorkloadApi.Connect(address, TimeProvider.System);
                streams.Add((channel, new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509SVID(new X509SVIDRequest(), WorkloadApi.Options(_patience))));
                Assert.True(await streams[^1].Call.ResponseStream.MoveNext(_patience));
            }

            await admin.ApplyAsync("scale", [.. Enumerable.Range(0, Entries).Select(i => Entry(agent, $"/many/{i}", new Selector("unix", $"uid:{1_000_000 + i}")))], ApplyMode.Carefully, _patience);
            await admin.CreateEntryAsync(Entry(agent, "/last", myself), _patience);
            foreach (var (_, call) in streams)
            {
                Assert.True(await call.ResponseStream.MoveNext(_patience));
                Assert.Equal(2, call.ResponseStream.Current.Svids.Count);
            }

            // Also while it read.
            output.WriteLine($"RSS {Megabytes(pid, "VmRSS"):0} MB, highest {Megabytes(pid, "VmHWM"):0} MB");
            Assert.InRange(Megabytes(pid, "VmHWM"), 1, MaxMegabytes);
        }
        finally
        {
            foreach (var (channel, call) in streams)
            {
                call.Dispose();
                channel.Dispose();
            }
        }
    }

    private static double Megabytes(int pid, string fact) => double.Parse(
        File.ReadLines($"/proc/{pid}/status").Single(line => line.StartsWith(fact + ":", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) * 1024 / 1e6;

    private static RegistrationEntry Entry(SpiffeId agent, string path, Selector selector) => new()
    {
        Id = "",
        SpiffeId = SpiffeId.Of(agent.TrustDomain, path),
        ParentId = agent,
        Selectors = [selector],
    };
}
