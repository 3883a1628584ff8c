using System.Net.Http.Headers;
using Grpc.Core;
using Signet.Client;
using Signet.Client.Http;
using Signet.Client.Tls;
using Signet.FunctionalTests.Agent;
using Signet.FunctionalTests.AspNetCore;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Testing;

namespace Signet.FunctionalTests.Client;

/// <summary>The package as a stranger uses it, with a real agent and server.</summary>
public sealed class WithAgentTests(EmptyDomain world) : IClassFixture<EmptyDomain>
{
    private static readonly TimeProvider Clock = TimeProvider.System;

    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task A_client_fetches_everything_that_the_Workload_API_has()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, Clock);
        var identity = await source.WaitAsync(_patience);

        using var client = new WorkloadApiClient(domain.WorkloadApi, Clock);
        Assert.Equal(identity.Default.Leaf, (await client.FetchX509Async(_patience)).Default.Leaf);
        Assert.Equal(identity.Bundles.Find(TestTrustDomain.Name)!.Authorities, (await client.FetchX509BundlesAsync(_patience)).Find(TestTrustDomain.Name)!.Authorities);
        Assert.Single((await client.FetchJwtBundlesAsync(_patience))[TestTrustDomain.Name].Authorities);
        var token = Assert.Single(await client.FetchJwtAsync(["orders"], null, _patience));
        var valid = await client.ValidateJwtAsync("orders", token.Token, _patience);
        Assert.Equal(identity.Default.Id, valid.Id);
        Assert.Equal("orders", valid.Claims.GetProperty("aud")[0].GetString());
        Assert.DoesNotContain(token.Token, token.ToString(), StringComparison.Ordinal);

        await using var bundles = new X509BundleSource(domain.WorkloadApi, Clock);
        await Eventually.IsTrueAsync(() => bundles.Current.Find(TestTrustDomain.Name) is not null && bundles.Problem is null, "the bundle");
    }

    [Fact]
    public async Task A_program_with_several_identities_presents_the_one_it_names_or_none()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        await using var another = await world.RegisterAsync("/second");
        await using var first = new X509Source(domain.WorkloadApi, Clock);
        var all = await first.WaitAsync(_patience);
        await Eventually.IsTrueAsync(() => first.Current is { Svids.Count: 2 }, "both");
        var other = first.Current!.Svids[1].Id;

        await using var second = new X509Source(domain.WorkloadApi, SvidPick.ById(other), Clock);
        Assert.Equal(other, (await second.WaitAsync(_patience)).Default.Id);
        await Eventually.IsTrueAsync(() => second.Current is { Svids.Count: 2 }, "the other one after it");
        Assert.Equal(all.Default.Id, second.Current!.Svids[1].Id);
        await using var neither = new X509Source(domain.WorkloadApi, SvidPick.ByHint("internal"), Clock);
        await Eventually.IsTrueAsync(() => neither.Problem?.Contains("no SVID with hint \"internal\"; it gives spiffe://example.org/", StringComparison.Ordinal) == true, "the reason");
        Assert.Null(neither.Current);
    }

    [Fact]
    public async Task A_token_goes_to_one_origin_and_no_request_goes_without()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        using var client = new WorkloadApiClient(domain.WorkloadApi, Clock);
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        await using var source = new X509Source(domain.WorkloadApi, Clock);
        await source.WaitAsync(_patience);
        await using var tokens = new JwtSource(client, Clock, () => 0.5);
        using var wire = new Recorder();
        using var http = new HttpClient(new JwtBearerHandler(tokens, "orders", new Uri("https://orders.example:8443/api")) { InnerHandler = wire });
        using var answer = await http.GetAsync(new Uri("https://orders.example:8443/one"), _patience);
        using var again = await http.GetAsync(new Uri("https://orders.example:8443/two"), _patience);
        Assert.Equal(["Bearer", "Bearer"], wire.Shown.Select(shown => shown?.Scheme));
        Assert.Equal(wire.Shown[0], wire.Shown[1]);
        Assert.Equal("/web", (await client.ValidateJwtAsync("orders", wire.Shown[0]!.Parameter!, _patience)).Id.Path);

        foreach (var elsewhere in new[] { "http://orders.example:8443/", "https://orders.example/", "https://orders.example.evil:8443/" })
        {
            Assert.Contains("no other origin", (await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync(new Uri(elsewhere), _patience))).Message, StringComparison.Ordinal);
        }

        using var request = new HttpRequestMessage(HttpMethod.Get, "https://orders.example:8443/");
        Assert.Throws<NotSupportedException>(() => http.Send(request, _patience));
        using var stranger = new HttpClient(new JwtBearerHandler(tokens, "orders", new Uri("http://127.0.0.1:1"), SpiffeId.Of(TestTrustDomain.Name, "/other")) { InnerHandler = wire });
        Assert.Contains("no token for orders", (await Assert.ThrowsAsync<HttpRequestException>(() => stranger.GetAsync(new Uri("http://127.0.0.1:1/"), _patience))).Message, StringComparison.Ordinal);
        Assert.Equal(2, wire.Shown.Count);
        foreach (var open in new[] { "http://orders.example", "http://localhost:8080", "http://10.0.0.1", "ftp://127.0.0.1" })
        {
            Assert.Throws<ArgumentException>(() => new JwtBearerHandler(tokens, "orders", new Uri(open)));
        }
    }

    [Fact]
    public async Task A_stream_tells_of_each_change_and_one_of_a_process_without_identity_is_refused()
    {
        var domain = world.Domain;
        using var client = new WorkloadApiClient(domain.WorkloadApi, Clock);
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        Assert.Equal(StatusCode.PermissionDenied, (await Assert.ThrowsAsync<RpcException>(() => client.FetchX509Async(_patience))).StatusCode);

        await using var web = await world.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, Clock);
        await source.WaitAsync(_patience);
        Registered? second = null;
        var counts = new List<int>();
        await foreach (var identity in client.WatchX509Async(_patience))
        {
            counts.Add(identity.Svids.Count);
            if (counts.Count == 1)
            {
                second = await world.RegisterAsync("/second");
            }
            else if (identity.Svids.Count == 2)
            {
                break;
            }
        }

        Assert.Equal(1, counts[0]);
        await second!.DisposeAsync();
    }

    [Fact]
    public async Task Tokens_are_kept_renewed_at_half_their_life_and_given_while_the_agent_is_away()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        await using (var identity = new X509Source(domain.WorkloadApi, Clock))
        {
            await identity.WaitAsync(_patience);
        }

        var time = new ManualTimeProvider(Clock.GetUtcNow());
        using var client = new WorkloadApiClient(domain.WorkloadApi, Clock);
        await using var tokens = new JwtSource(client, time, () => 0.5);
        var both = await Task.WhenAll(tokens.GetAsync("orders", _patience), tokens.GetAsync("orders", _patience));
        Assert.Same(both[0], both[1]);
        Assert.Same(both[0], await tokens.GetAsync("orders", _patience));
        Assert.NotEqual(both[0].Token, (await tokens.GetAsync("billing", _patience)).Token);
        Assert.NotEqual(both[0].Token, (await tokens.GetAsync(["orders", "billing"], null, _patience)).Token);

        time.Advance(TimeSpan.FromMinutes(3));
        var second = await tokens.GetAsync("orders", _patience);
        Assert.NotSame(both[0], second);

        await domain.StopAgentAsync();
        time.Advance(TimeSpan.FromMinutes(1.9));
        Assert.Equal(second, await tokens.GetAsync("orders", _patience));
        time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => tokens.GetAsync("orders", _patience))).StatusCode);
        await domain.StartAgentAsync();
        await tokens.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => tokens.GetAsync("orders", _patience));
    }

    [Fact]
    public async Task Another_caller_that_gives_up_takes_nobodys_token_away()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        await using (var identity = new X509Source(domain.WorkloadApi, Clock))
        {
            await identity.WaitAsync(_patience);
        }

        using var client = new WorkloadApiClient(domain.WorkloadApi, Clock);
        await using var tokens = new JwtSource(client, Clock, () => 0.5);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => tokens.GetAsync("orders", new CancellationToken(canceled: true)));
        Assert.Equal("/web", (await tokens.GetAsync("orders", _patience)).Id.Path);
    }

    [Fact]
    public async Task An_HttpClient_that_is_kept_open_rotates_with_its_agent_and_no_request_fails()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, Clock);
        await source.WaitAsync(_patience);
        await using var app = await MutualTlsApp.StartAsync(source, Authorizer.Exactly(SpiffeId.Of(TestTrustDomain.Name, "/web")));
        using var http = new HttpClient(new MutualTlsHandler(new MutualTls(source, Authorizer.MemberOf(TestTrustDomain.Name), Clock)));
        var connections = new HashSet<string>();
        using var admin = domain.Admin();
        for (var rotation = 1; rotation <= 3; rotation++)
        {
            // Another lifetime makes another certificate; requests go on meanwhile.
            var before = source.Current!.Default.Leaf;
            await admin.UpdateEntryAsync(new Entry { Id = web.Entry.Id, X509SvidTtl = 1800 + rotation }, new EntryMask { X509SvidTtl = true }, _patience);
            await Eventually.IsTrueAsync(
                async () =>
                {
                    connections.Add((await http.GetStringAsync(app.Address, _patience)).Split('|')[3]);
                    return source.Current!.Default.Leaf != before && connections.Count >= rotation;
                },
                $"rotation {rotation}, on a connection of its own");
        }
    }

    /// <summary>Remembers what requests show, and answers.</summary>
    private sealed class Recorder : HttpMessageHandler
    {
        public List<AuthenticationHeaderValue?> Shown { get; } = [];

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Shown.Add(request.Headers.Authorization);
            return Task.FromResult(new HttpResponseMessage());
        }
    }
}
