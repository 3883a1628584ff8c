using System.Diagnostics;
using Signet.Cli.Demo;
using Signet.Identity.Registration;
using Signet.InteropTests.Rpc;
using Signet.Testing;

namespace Signet.InteropTests.Packages;

/// <summary>The samples do what their page says.</summary>
public sealed class SampleTests
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task The_shop_orders_under_its_identity_and_under_another_it_may_look_and_not_order()
    {
        var (orders, shop) = (ProgramOf("Orders"), ProgramOf("Shop"));
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/orders", new Selector("unix", $"path:{orders}"));
        var thief = await domain.RegisterAsync("/thief", new Selector("unix", $"path:{shop}"));
        await HeldAsync(domain, "/orders", "/thief");
        var port = DemoPorts.Take(1)[0];
        using var serving = Start(domain, orders, $"{port}");
        try
        {
            await Eventually.IsTrueAsync(() => Peer.ListensAsync(port), "orders");
            Assert.StartsWith("I am spiffe://example.org/orders, you are spiffe://example.org/thief\n403 ", await RunAsync(domain, shop, "1", $"{port}"), StringComparison.Ordinal);

            using var admin = domain.Admin();
            await admin.DeleteEntryAsync(thief.Id, _patience);
            await domain.RegisterAsync("/shop", new Selector("unix", $"path:{shop}"));
            await HeldAsync(domain, "/orders", "/shop");
            Assert.Equal(
                "I am spiffe://example.org/orders, you are spiffe://example.org/shop\n200 ordered for spiffe://example.org/shop\n", await RunAsync(domain, shop, "1", $"{port}"));
        }
        finally
        {
            Peer.Kill(serving);
        }
    }

    /// <summary>Waits until the agent has exactly these to hand out, so that a program that asks need not ask twice.</summary>
    private static Task HeldAsync(TestTrustDomain domain, params string[] paths) =>
        Eventually.IsTrueAsync(() => domain.AgentView.Entries.Select(entry => entry.SpiffeId.Path).Order(StringComparer.Ordinal).SequenceEqual(paths), "the entries at the agent");

    private static Process Start(TestTrustDomain domain, string program, params string[] arguments) =>
        Peer.Start("/usr/bin/env", domain.Folder, [$"SPIFFE_ENDPOINT_SOCKET={domain.WorkloadApi}", program, .. arguments]);

    private static Task<string> RunAsync(TestTrustDomain domain, string program, params string[] arguments) =>
        Peer.RunAsync("/usr/bin/env", domain.Folder, [$"SPIFFE_ENDPOINT_SOCKET={domain.WorkloadApi}", program, .. arguments]);

    // Built as these tests are: …/bin/CONFIGURATION/FRAMEWORK/.
    private static string ProgramOf(string sample)
    {
        var own = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/'));
        return Path.Combine(Peer.Repository, "samples", sample, "bin", own.Parent!.Name, own.Name, sample);
    }
}
