using BundleApi = Signet.Rpc.Wire.Spire.Server.Bundle.Bundle;
using EntryApi = Signet.Rpc.Wire.Spire.Server.Entry.Entry;
using Grpc.Core;
using Signet.Client.Tls;
using Signet.Hosting.Limits;
using Signet.Rpc;
using Signet.Rpc.Wire.Spire.Server.Bundle;
using Signet.Rpc.Wire.Spire.Server.Entry;
using Signet.Server.Limits;
using Signet.Testing;

namespace Signet.FunctionalTests.Server;

/// <summary>What callers may do at most, through the doors of a real server.</summary>
public sealed class ServerLimitTests
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task A_stranger_that_calls_too_fast_is_refused_with_the_limit_and_operators_are_not()
    {
        await using var domain = await StartAsync(new LimitsConfig { Strangers = new Rate(PerSecond: 1, Burst: 3) });
        using var channel = GrpcChannel.ForTls("127.0.0.1", domain.ServerEndPoint.Port, () => SvidTls.Client(null, "", (_, _) => true), TimeProvider.System);
        var bundles = new BundleApi.BundleClient(channel);
        var refused = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            for (var i = 0; i < 50; i++)
            {
                await bundles.GetBundleAsync(new GetBundleRequest(), cancellationToken: _patience);
            }
        });
        Assert.Equal(StatusCode.ResourceExhausted, refused.StatusCode);
        Assert.Contains("limits.strangers is reached: 1 a second, 3 at once", refused.Status.Detail);
        using var admin = domain.Admin();
        await admin.BundleAsync(_patience);
        Assert.Empty((await admin.Audit.VerifyAsync(null, _patience)).Findings);
    }

    [Fact]
    public async Task A_flood_of_refusals_leaves_the_trail_short_and_says_how_much_is_missing()
    {
        await using var domain = await StartAsync(new LimitsConfig());
        using var channel = GrpcChannel.ForTls("127.0.0.1", domain.ServerEndPoint.Port, () => SvidTls.Client(null, "", (_, _) => true), TimeProvider.System);
        var entries = new EntryApi.EntryClient(channel);
        for (var i = 0; i < 300; i++)
        {
            await Assert.ThrowsAsync<RpcException>(() => entries.ListEntriesAsync(new ListEntriesRequest(), cancellationToken: _patience).ResponseAsync);
        }

        using var admin = domain.Admin();
        await admin.CountEntriesAsync(null, null, _patience);
        var (kept, leftOut) = (0, 0L);
        await foreach (var record in admin.Audit.TailAsync(1000, follow: false, _patience))
        {
            kept += $"{record["verdict"]}" == "denied" ? 1 : 0;
            leftOut += (long?)record["leftOut"] ?? 0;
        }

        Assert.InRange(kept, 100, 299);
        Assert.Equal(300, kept + leftOut);
    }

    [Fact]
    public async Task A_request_beyond_the_size_that_was_set_is_refused()
    {
        await using var domain = await StartAsync(new LimitsConfig { RequestSize = 64 * 1024 });
        using var channel = GrpcChannel.ForUnixSocket(domain.ServerSocket, TimeProvider.System);
        var refused = await Assert.ThrowsAsync<RpcException>(
            () => new EntryApi.EntryClient(channel).GetEntryAsync(new GetEntryRequest { Id = new string('x', 100_000) }, cancellationToken: _patience).ResponseAsync);
        Assert.Equal(StatusCode.ResourceExhausted, refused.StatusCode);
    }

    private static Task<TestTrustDomain> StartAsync(LimitsConfig limits) => TestTrustDomain.StartAsync(hasAgent: false, configure: config => config with { Limits = limits });
}
