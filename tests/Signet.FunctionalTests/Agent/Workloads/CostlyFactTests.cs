using System.Security.Cryptography;
using Signet.Client;
using Signet.Identity.Registration;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent.Workloads;

public sealed class CostlyFactTests
{
    [Fact]
    public async Task An_entry_that_is_the_first_to_ask_for_a_programs_digest_reaches_a_workload_that_already_listens()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/first");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        await source.WaitAsync(patience.Token);
        await using var program = File.OpenRead("/proc/self/exe");
        await domain.RegisterAsync("/second", new Selector("unix", $"sha256:{Convert.ToHexStringLower(await SHA256.HashDataAsync(program, patience.Token))}"));
        await domain.RegisterAsync("/third", new Selector("unix", $"sha256:{new string('0', 64)}"));
        await Eventually.IsTrueAsync(() => source.Current?.Svids.Count == 2, "two SVIDs");
        Assert.Equal(["/first", "/second"], source.Current!.Svids.Select(svid => svid.Id.Path));
    }
}
