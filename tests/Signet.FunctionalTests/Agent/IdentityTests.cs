using Grpc.Core;
using Signet.Client;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Spiffe;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent;

public sealed class IdentityTests
{
    private static readonly CancellationToken Patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task A_registered_workload_gets_an_SVID_that_holds_against_its_bundle()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var context = await source.WaitAsync(Patience);
        Assert.Equal("spiffe://example.org/web", context.Default.Id.Uri);
        Assert.Equal(2, context.Default.Chain.Count);
        var verdict = SvidVerifier.Verify(context.Default.Chain, context.Bundles, CertificateUsage.Server, DateTimeOffset.UtcNow);
        Assert.True(verdict.IsTrusted, verdict.Reason);
    }
}
