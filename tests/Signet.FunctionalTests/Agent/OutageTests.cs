using Grpc.Core;
using Signet.Agent;
using Signet.Client;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Spiffe;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent;

/// <summary>A server, an agent and its workloads through an outage, on virtual time.</summary>
public sealed class OutageTests
{
    private static readonly TimeSpan Target = TimeSpan.FromHours(8);
    private static readonly TimeSpan Step = TimeSpan.FromMinutes(5);

    private readonly ManualTimeProvider _time = new();
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task Servers_down_for_six_hours_an_agent_restarted_twice_and_a_clock_that_jumps_leave_no_gap_and_need_nobody()
    {
        await using var domain = await TestTrustDomain.StartAsync(
            svidTtl: TimeSpan.FromHours(12), authorityTtl: TimeSpan.FromDays(7), configureAgent: config => config with { AvailabilityTarget = Target }, time: _time);
        await domain.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, _time);
        await UntilAsync(() => source.Current is not null, "the first SVID");
        var first = await FetchAsync(domain);

        // 1. The worst moment: everything was about to be renewed.
        _time.Advance(first.NotAfter - Target - TimeSpan.FromHours(0.5) - _time.GetUtcNow());
        await domain.StopServerAsync();
        for (var passed = TimeSpan.Zero; passed < TimeSpan.FromHours(6); passed += Step)
        {
            _time.Advance(Step);
            if (passed == TimeSpan.FromHours(2) || passed == TimeSpan.FromHours(4))
            {
                await domain.StopAgentAsync();
                await domain.StartAgentAsync();
            }

            Assert.Equal(first, await FetchAsync(domain));
            Assert.True(source.Current!.Default.NotAfter > _time.GetUtcNow(), "a stream that was open before");
        }

        // 2. The server is back: everything is renewed, nobody did anything.
        await domain.StartServerAsync();
        await UntilAsync(async () => await FetchAsync(domain) != first, "a new SVID");
        await UntilAsync(() => source.Current!.Default.NotAfter > first.NotAfter, "a new SVID on the stream");
        await UntilAsync(() => domain.AgentHost.ValidUntil > first.NotAfter && domain.AgentHost.Readiness.IsReady, "an agent that is renewed itself");

        // 3. The clock jumps by hours, and then again past the moment of renewal.
        var second = await FetchAsync(domain);
        _time.Jump(_time.GetUtcNow().AddHours(3));
        Assert.Equal(second, await FetchAsync(domain));
        _time.Jump(_time.GetUtcNow().AddHours(2));
        Assert.Equal(second, await FetchAsync(domain));
        var jumped = _time.GetUtcNow();
        await UntilAsync(async () => await FetchAsync(domain) != second, "a new SVID after the jump");
        Assert.InRange(_time.GetUtcNow() - jumped, TimeSpan.Zero, TimeSpan.FromMinutes(1));
        await domain.RegisterAsync("/second");
        await UntilAsync(() => source.Current!.Svids.Count == 2, "what the server pushes");
    }

    /// <summary>What a workload gets that asks now: it must hold against the bundle that comes with it.</summary>
    private async Task<Certificate> FetchAsync(TestTrustDomain domain)
    {
        using var channel = WorkloadApi.Connect(domain.WorkloadApi, TimeProvider.System);
        using var call = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509SVID(new X509SVIDRequest(), WorkloadApi.Options(_patience));
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        var svid = call.ResponseStream.Current.Svids[0];
        Assert.True(CertificateList.TryParse(svid.X509Svid.Memory, out var chain, out var problem), problem);
        Assert.True(CertificateList.TryParse(svid.Bundle.Memory, out var anchors, out problem), problem);
        var verdict = SvidVerifier.Verify(chain, TrustBundles.Of(X509Bundle.Create(domain.TrustDomain, anchors)), CertificateUsage.Server, _time.GetUtcNow());
        Assert.True(verdict.IsTrusted, verdict.Reason);
        return chain[0];
    }

    private Task UntilAsync(Func<bool> condition, string what) => Eventually.IsTrueAsync(condition, what, passing: _time);

    private Task UntilAsync(Func<Task<bool>> condition, string what) => Eventually.IsTrueAsync(condition, what, passing: _time);
}
