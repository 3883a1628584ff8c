using System.Net.Sockets;
using Grpc.Core;
using Signet.Agent.Identities;
using Signet.Client;
using Signet.Hosting.Files;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Spiffe;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent;

public sealed class IdentityTests(EmptyDomain world) : IClassFixture<EmptyDomain>
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task A_registered_workload_gets_an_SVID_that_holds_against_its_bundle()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var context = await source.WaitAsync(_patience);
        Assert.Equal("spiffe://example.org/web", context.Default.Id.Uri);
        Assert.Equal(2, context.Default.Chain.Count);
        var verdict = SvidVerifier.Verify(context.Default.Chain, context.Bundles, CertificateUsage.Server, DateTimeOffset.UtcNow);
        Assert.True(verdict.IsTrusted, verdict.Reason);
    }

    [Fact]
    public async Task A_new_entry_is_pushed_to_a_workload_that_already_listens()
    {
        var domain = world.Domain;
        await using var one = await world.RegisterAsync("/first");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        await source.WaitAsync(_patience);
        await using var second = await world.RegisterAsync("/second");
        await Eventually.IsTrueAsync(() => source.Current?.Svids.Count == 2, "two SVIDs");
        Assert.Equal(["/first", "/second"], source.Current!.Svids.Select(svid => svid.Id.Path));
    }

    [Fact]
    public async Task W05_W11_A_deleted_entry_takes_the_identity_away()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        await source.WaitAsync(_patience);
        await web.DeleteAsync();
        await Eventually.IsTrueAsync(() => source.Current is null, "no identity");
        Assert.Contains("no identity issued", source.Problem);
    }

    [Fact]
    public async Task W03_A_restarted_agent_needs_no_new_token_and_its_clients_come_back_by_themselves()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var before = await source.WaitAsync(_patience);
        await domain.StopAgentAsync();
        Assert.Equal(before, source.Current);
        await domain.StartAgentAsync();
        Assert.NotNull(source.Current);
        await using var second = await world.RegisterAsync("/second");
        await Eventually.IsTrueAsync(() => source.Current!.Svids.Count == 2, "what the restarted agent pushes");
        Assert.Equal(before.Default.Leaf, source.Current!.Default.Leaf);
    }

    [Fact]
    public async Task With_the_server_down_the_agent_goes_on_serving_and_afterwards_catches_up()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        await using var first = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var before = await first.WaitAsync(_patience);
        await domain.StopServerAsync();

        await using var late = new X509Source(domain.WorkloadApi, TimeProvider.System);
        Assert.Equal(before.Default.Leaf, (await late.WaitAsync(_patience)).Default.Leaf);

        await domain.StartServerAsync();
        await using var second = await world.RegisterAsync("/second");
        await Eventually.IsTrueAsync(() => late.Current!.Svids.Count == 2, "the entry made after the restart");
    }

    [Fact]
    public async Task An_agent_that_restarts_while_its_server_is_down_serves_from_its_disk_to_whom_it_may_and_nothing_that_was_tampered_with()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        await using var other = await world.RegisterAsync("/other", new Signet.Identity.Registration.Selector("unix", "uid:4294967294"));
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var before = await source.WaitAsync(_patience);
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Length == 2, "both entries");
        await domain.StopServerAsync();
        await domain.StopAgentAsync();
        await domain.StartAgentAsync();
        await using (var late = new X509Source(domain.WorkloadApi, TimeProvider.System))
        {
            Assert.Equal([before.Default.Leaf], (await late.WaitAsync(_patience)).Svids.Select(svid => svid.Leaf));
        }

        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "an agent that is ready with what it has");

        await domain.StopAgentAsync();
        var file = Path.Combine(domain.Folder, "agent", "cache", "entries.sealed");
        var bytes = await File.ReadAllBytesAsync(file);
        bytes[^1] ^= 1;
        await File.WriteAllBytesAsync(file, bytes);
        await domain.StartAgentAsync();
        await UnavailableAsync(domain);
        await Eventually.IsTrueAsync(() => source.Problem?.Contains("not heard from its server", StringComparison.Ordinal) == true, "an attempt of the source");
        Assert.Equal(before, source.Current);
        await domain.StartServerAsync();
        await Eventually.IsTrueAsync(() => source.Current!.Default.Leaf != before.Default.Leaf, "a new SVID once the server is back");
    }

    [Fact]
    public async Task An_agent_that_keeps_nothing_on_its_disk_waits_for_its_server()
    {
        await using var domain = await TestTrustDomain.StartAsync(configureAgent: config => config with { Cache = new CacheConfig { Disk = false } });
        await domain.RegisterAsync("/web");
        await using (var source = new X509Source(domain.WorkloadApi, TimeProvider.System))
        {
            await source.WaitAsync(_patience);
        }

        Assert.False(Directory.Exists(Path.Combine(domain.Folder, "agent", "cache")));
        await domain.StopServerAsync();
        await domain.StopAgentAsync();
        await domain.StartAgentAsync();
        await UnavailableAsync(domain);
    }

    [Fact]
    public async Task A_join_token_works_once()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
        await domain.StopAgentAsync();
        Directory.Delete(Path.Combine(domain.Folder, "agent"), recursive: true);
        await domain.StartAgentAsync(token.Token);
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent that joined with the token");

        await domain.StopAgentAsync();
        Directory.Delete(Path.Combine(domain.Folder, "agent"), recursive: true);
        await domain.StartAgentAsync(token.Token);
        await Eventually.IsTrueAsync(
            () => domain.AgentHost.Readiness.Conditions.Any(condition => condition.State.Reason.Contains("join token is unknown, used or expired", StringComparison.Ordinal)),
            "the refusal of the used token");
    }

    [Fact]
    public async Task Garbage_on_the_agents_socket_and_on_the_servers_ports_harms_nobody()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        var garbage = new byte[4096];
        for (var round = 0; round < 50; round++)
        {
            new Random(round).NextBytes(garbage);
            await SendAsync(new UnixDomainSocketEndPoint(domain.AgentSocket), garbage);
            await SendAsync(new UnixDomainSocketEndPoint(domain.ServerSocket), garbage);
            await SendAsync(domain.ServerEndPoint, garbage);
        }

        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        Assert.NotNull(await source.WaitAsync(_patience));
    }

    [Fact]
    public async Task A_second_agent_on_the_same_socket_says_that_it_is_taken()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        var failure = await Assert.ThrowsAnyAsync<PlaceException>(() => domain.StartAgentAsync());
        Assert.Contains("is taken by a running process", failure.Message);
    }

    [Fact]
    public async Task Keys_on_the_disk_can_be_read_by_their_owner_only()
    {
        var domain = world.Domain;
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent's own key");
        var keys = Directory.EnumerateFiles(domain.Folder, "*.pem", SearchOption.AllDirectories)
            .Where(file => File.ReadAllText(file).Contains("PRIVATE KEY", StringComparison.Ordinal))
            .ToArray();
        Assert.True(keys.Length >= 3, "anchor, issuing authority and agent");
        Assert.All(keys, key => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(key)));
    }

    private async Task UnavailableAsync(TestTrustDomain domain)
    {
        using var channel = WorkloadApi.Connect(domain.WorkloadApi, TimeProvider.System);
        using var call = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509SVID(new X509SVIDRequest(), WorkloadApi.Options(_patience));
        var answer = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(_patience));
        Assert.Equal(StatusCode.Unavailable, answer.StatusCode);
    }

    private static async Task SendAsync(System.Net.EndPoint endPoint, byte[] bytes)
    {
        using var socket = endPoint is UnixDomainSocketEndPoint
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(endPoint);
            await socket.SendAsync(bytes);
        }
        catch (SocketException)
        {
            // The other side may hang up in the middle of it.
        }
    }
}
