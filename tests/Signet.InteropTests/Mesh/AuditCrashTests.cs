using System.Collections.Concurrent;
using System.Diagnostics;
using Grpc.Core;
using Signet.Cli.Clients;
using Signet.Cli.Demo;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Testing;

namespace Signet.InteropTests.Mesh;

/// <summary>The audit trail of a server that ends as in a power cut.</summary>
public sealed class AuditCrashTests : IDisposable
{
    private readonly TestFolder _folder = new();

    [Fact]
    public async Task What_was_acknowledged_before_a_kill_is_there_and_in_the_trail_and_the_trail_holds()
    {
        var layout = new DemoLayout(_folder.Path);
        await using var mesh = new DemoMesh(layout, TimeProvider.System);
        await mesh.StartServerAsync(TimeSpan.FromMinutes(5), CancellationToken.None);
        var pid = mesh.Processes.Single().Pid;
        var acknowledged = new ConcurrentBag<string>();
        await using var restarted = new Processes();
        for (var round = 0; round < 3; round++)
        {
            var writers = Enumerable.Range(0, 4).Select(writer => WriteUntilCutOffAsync(layout, $"{round}-{writer}", acknowledged)).ToArray();
            var before = acknowledged.Count;
            await Eventually.IsTrueAsync(() => acknowledged.Count >= before + 20, "some entries");
            using (var server = Process.GetProcessById(pid))
            {
                server.Kill();
                await server.WaitForExitAsync();
            }

            await Task.WhenAll(writers);
            pid = restarted.Start(layout, $"server-{round}");
            using var admin = new AdminClient(layout.ServerSocket, TimeProvider.System);
            await Eventually.IsTrueAsync(() => AnswersAsync(admin), "the server that started again");
            Assert.Empty((await admin.Audit.VerifyAsync(null, CancellationToken.None)).Findings);
            var there = (await admin.EntriesAsync(null, null, CancellationToken.None)).Select(entry => entry.SpiffeId.Path).ToHashSet();
            Assert.All(acknowledged, path => Assert.Contains(path, there));
            var recorded = new HashSet<string>();
            await foreach (var record in admin.Audit.TailAsync(100_000, follow: false, CancellationToken.None))
            {
                recorded.UnionWith((record["objects"]?.AsArray() ?? []).Select(one => $"{one}").Where(one => one.EndsWith(": OK", StringComparison.Ordinal)).Select(one => one[(one.IndexOf(".signet/", StringComparison.Ordinal) + 7)..^4]));
            }

            Assert.All(acknowledged, path => Assert.Contains(path, recorded));
        }
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>Servers that were started again; they end with the test.</summary>
    private sealed class Processes : IAsyncDisposable
    {
        private readonly List<DemoProcess> _all = [];

        public int Start(DemoLayout layout, string name)
        {
            _all.Add(DemoProcess.Start("server", DemoLayout.OwnProgram, ["server", "run", "--config", layout.File("server.yaml")], layout.LogFile(name)));
            return _all[^1].Pid;
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var process in _all)
            {
                await process.DisposeAsync();
            }
        }
    }

    private static async Task WriteUntilCutOffAsync(DemoLayout layout, string name, ConcurrentBag<string> acknowledged)
    {
        using var admin = new AdminClient(layout.ServerSocket, TimeProvider.System);
        try
        {
            for (var i = 0; ; i++)
            {
                var path = $"/{name}-{i}";
                await admin.CreateEntryAsync(
                    new RegistrationEntry
                    {
                        Id = "",
                        SpiffeId = SpiffeId.Parse($"spiffe://{DemoLayout.TrustDomain}{path}"),
                        ParentId = SpiffeId.Parse($"spiffe://{DemoLayout.TrustDomain}/spire/agent/join_token/x"),
                        Selectors = [new Selector("unix", "uid:1")],
                    },
                    CancellationToken.None);
                acknowledged.Add(path);
            }
        }
        catch (RpcException)
        {
            // The server is gone, as it was meant to be.
        }
    }

    private static async Task<bool> AnswersAsync(AdminClient admin)
    {
        try
        {
            await admin.BundleAsync(CancellationToken.None);
            return true;
        }
        catch (RpcException)
        {
            return false;
        }
    }
}
