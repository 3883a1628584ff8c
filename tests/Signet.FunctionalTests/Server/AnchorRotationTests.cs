using Grpc.Core;
using Signet.Cli.Clients;
using Signet.Client;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Authority;
using Signet.Rpc.Wire.Spiffe;
using Signet.Testing;
using Stage = Signet.Rpc.Wire.Authority.RotationStatus.Types.Stage;

namespace Signet.FunctionalTests.Server;

public sealed class AnchorRotationTests
{
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(1);

    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task The_anchor_is_replaced_everywhere_without_anybody_being_restarted()
    {
        await using var domain = await StartAsync();
        await domain.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var before = await source.WaitAsync(_patience);
        var old = Assert.Single(Own(before).Authorities);

        using var operators = domain.Admin();
        var client = operators.Authorities;
        Assert.Equal(Stage.None, (await client.StatusAsync(_patience)).Stage);
        await client.StartAsync(dryRun: false, _patience);
        await Eventually.IsTrueAsync(() => Own(source.Current!).Authorities.Count == 2, "both anchors at the workload");
        await ReachesAsync(client, Stage.Replacing);
        await ReachesAsync(client, Stage.Done);

        await Eventually.IsTrueAsync(() => Own(source.Current!).Authorities.Count == 1, "one anchor at the workload");
        Assert.DoesNotContain(old, Own(source.Current!).Authorities);
        Assert.True(SvidVerifier.Verify(source.Current!.Default.Chain, source.Current.Bundles, CertificateUsage.Server, DateTimeOffset.UtcNow).IsTrusted);

        // The agent still speaks with its server, and a new entry comes through.
        await domain.RegisterAsync("/second");
        await Eventually.IsTrueAsync(() => source.Current!.Svids.Count == 2, "an entry made afterwards");
        await domain.StopAgentAsync();
        await domain.StartAgentAsync();
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent after a restart");
    }

    [Fact]
    public async Task Under_load_with_an_agent_away_no_handshake_fails_and_nothing_is_signed_before_it_is_back()
    {
        await using var domain = await StartAsync();
        await domain.RegisterAsync("/web");
        using var admin = domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(5), alias: null, _patience);
        var other = await domain.StartOtherAgentAsync("away", token.Token);
        await Eventually.IsTrueAsync(async () => (await admin.AgentsAsync(_patience)).Count == 2, "the other agent");
        using var operators = domain.Admin();
        var client = operators.Authorities;
        await Eventually.IsTrueAsync(async () => (await client.StartAsync(dryRun: true, _patience)).LaggardCount == 0, "both agents up to date");
        await other.DisposeAsync();

        await using var service = new X509Source(domain.WorkloadApi, TimeProvider.System);
        await using var caller = new X509Source(domain.WorkloadApi, TimeProvider.System);
        await service.WaitAsync(_patience);
        await caller.WaitAsync(_patience);
        var load = new MutualTlsLoad(service, caller, perSecond: 200);
        await using (load)
        {
            await Eventually.IsTrueAsync(() => load.Held > 20, "connections before");
            var issuer = service.Current!.Default.Issuer!;
            await client.StartAsync(dryRun: false, _patience);
            await Eventually.IsTrueAsync(() => Own(service.Current!).Authorities.Count == 2 && Own(caller.Current!).Authorities.Count == 2, "both anchors at both workloads");

            var held = load.Held;
            var status = await client.StatusAsync(_patience);
            var passed = DateTimeOffset.FromUnixTimeSeconds(status.StageSince) + (2 * Settling);
            await Eventually.IsTrueAsync(() => DateTimeOffset.UtcNow > passed && load.Held > held, "twice the time that a stage lasts at least");
            status = await client.StatusAsync(_patience);
            Assert.Equal(Stage.Announced, status.Stage);
            Assert.Equal(token.AgentId.Uri, Assert.Single(status.Laggards).Who);
            Assert.Equal(issuer, service.Current!.Default.Issuer);

            other = await domain.StartOtherAgentAsync("away");
            await ReachesAsync(client, Stage.Replacing);
            await ReachesAsync(client, Stage.Done);
            held = load.Held;
            await Eventually.IsTrueAsync(() => load.Held > held + 20, "connections afterwards");
            Assert.NotEqual(issuer, service.Current!.Default.Issuer);
        }

        Assert.Empty(load.Failures);
        Assert.Single(Own(service.Current!).Authorities);
        await other.DisposeAsync();
    }

    [Fact]
    public async Task A_forced_stage_goes_on_without_the_laggard_and_a_reason_is_required()
    {
        await using var domain = await StartAsync();
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        await domain.StopAgentAsync();
        using var operators = domain.Admin();
        var client = operators.Authorities;
        var status = await client.StartAsync(dryRun: false, _patience);
        Assert.Equal(1U, status.LaggardCount);
        Assert.Equal(StatusCode.FailedPrecondition, (await Assert.ThrowsAsync<RpcException>(() => client.StartAsync(dryRun: false, _patience))).StatusCode);
        Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(() => client.ForceAsync(" ", _patience))).StatusCode);
        Assert.Equal("the node burnt down", (await client.ForceAsync("the node burnt down", _patience)).ForcedBecause);
        await ReachesAsync(client, Stage.Replacing);
        var audited = await operators.Audit.TailAsync(100, follow: false, _patience).ToListAsync(_patience);
        Assert.Contains(audited, record => ((string?)record["action"])?.EndsWith("/Force", StringComparison.Ordinal) == true && record.ToJsonString().Contains("reason: the node burnt down", StringComparison.Ordinal));

        // The agent's certificate counts until it expires or somebody says that it does not.
        Assert.NotEqual(0U, (await client.StatusAsync(_patience)).LaggardCount);
        await client.ForceAsync("the node burnt down", _patience);
        await ReachesAsync(client, Stage.Done);
    }

    [Fact]
    public async Task An_aborted_rotation_takes_the_new_anchor_back_and_a_dry_run_changes_nothing()
    {
        await using var domain = await StartAsync();
        await Eventually.IsTrueAsync(() => domain.AgentView.Revision > 0, "an agent that has joined");
        using var operators = domain.Admin();
        var client = operators.Authorities;
        var before = await client.StatusAsync(_patience);
        var dry = await client.StartAsync(dryRun: true, _patience);
        Assert.Equal(Stage.Announced, dry.Stage);
        Assert.Equal(before, await client.StatusAsync(_patience));

        await domain.StopAgentAsync();
        Assert.Equal(2, (await client.StartAsync(dryRun: false, _patience)).Anchors.Count);
        var aborted = await client.AbortAsync(_patience);
        Assert.Equal(Stage.Aborted, aborted.Stage);
        Assert.Equal(before.Anchors, aborted.Anchors);
        Assert.Equal(StatusCode.FailedPrecondition, (await Assert.ThrowsAsync<RpcException>(() => client.AbortAsync(_patience))).StatusCode);
    }

    [Fact]
    public async Task A_rotation_outlives_its_server()
    {
        await using var domain = await StartAsync();
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        using var operators = domain.Admin();
        var client = operators.Authorities;
        var announced = await client.StartAsync(dryRun: false, _patience);
        await domain.StopServerAsync();
        await domain.StartServerAsync();
        using var others = domain.Admin();
        var again = others.Authorities;
        Assert.Equal(announced.Anchors, (await again.StatusAsync(_patience)).Anchors);
        await ReachesAsync(again, Stage.Done);
        Assert.Single((await again.StatusAsync(_patience)).Anchors);
    }

    [Fact]
    public async Task Foreign_clients_and_foreign_agents_count_by_what_can_be_seen_of_them()
    {
        await using var domain = await StartAsync();
        await domain.RegisterAsync("/web");
        await using (var source = new X509Source(domain.WorkloadApi, TimeProvider.System))
        {
            await source.WaitAsync(_patience);
        }

        using var channel = WorkloadApi.Connect(domain.WorkloadApi, TimeProvider.System);
        using var call = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509SVID(new X509SVIDRequest(), WorkloadApi.Options(_patience));
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        using var operators = domain.Admin();
        var client = operators.Authorities;
        using var foreign = await ForeignAgent.JoinAsync(domain, _patience);
        await operators.CreateEntryAsync(
            new RegistrationEntry { Id = "", SpiffeId = SpiffeId.Of(TestTrustDomain.Name, "/foreign"), ParentId = foreign.Id, Selectors = [TestTrustDomain.Myself] }, _patience);
        await foreign.SynchroniseAsync(_patience);
        var before = foreign.Issuers;

        // A Signet agent beside it acknowledges; this one is only seen to fetch, and a single time proves nothing.
        await client.StartAsync(dryRun: false, _patience);
        await foreign.SynchroniseAsync(_patience);
        await Eventually.IsTrueAsync(async () => (await client.StatusAsync(_patience)).LaggardCount == 1, "the foreign agent alone to be waited for");
        var status = await client.StatusAsync(_patience);
        Assert.Equal((Stage.Announced, foreign.Id.Uri, 0U), (status.Stage, Assert.Single(status.Laggards).Who, status.FetchedCount));
        await foreign.SynchroniseAsync(_patience);
        status = await client.StatusAsync(_patience);
        Assert.Equal((0U, 1U, 2U), (status.LaggardCount, status.FetchedCount, status.AgentCount));

        // It replaces what the bundle marks as tainted, as SPIRE's does, and nobody forces anything.
        await ReachesAsync(client, Stage.Replacing);
        Assert.Equal(before, foreign.Issuers);
        await Eventually.IsTrueAsync(async () => (await client.StatusAsync(_patience)).Laggards.Any(laggard => laggard.Who == foreign.Id.Uri), "the foreign agent's certificates to be waited for");
        await ReachesAsync(client, Stage.Done, () => foreign.SynchroniseAsync(_patience));
        Assert.Empty(foreign.Issuers.Intersect(before));
        Assert.Equal(2, foreign.Issuers.Count);
    }

    private static Task<TestTrustDomain> StartAsync() =>
        TestTrustDomain.StartAsync(configure: config => config with { Authority = config.Authority with { AnchorSettling = Settling } });

    /// <summary>A whole stage may pass in the meantime, on a machine that does other things too; what it waits for is told when it does not come.</summary>
    private async Task ReachesAsync(AuthorityClient client, Stage stage, Func<Task>? meanwhile = null)
    {
        RotationStatus status;
        while ((status = await client.StatusAsync(_patience)).Stage < stage)
        {
            await (meanwhile?.Invoke() ?? Task.CompletedTask);
            await Task.Delay(TimeSpan.FromMilliseconds(100), _patience).ContinueWith(
                delay => Assert.True(delay.IsCompletedSuccessfully, $"never came to {stage}: {status}"), TaskScheduler.Default);
        }
    }

    private static X509Bundle Own(X509Context context) => context.Bundles.Find(TestTrustDomain.Name)!;
}
