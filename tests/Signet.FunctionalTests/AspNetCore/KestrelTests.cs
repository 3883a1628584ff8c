using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Grpc.Core;
using Microsoft.AspNetCore.Authorization;
using Signet.AspNetCore;
using Signet.Client;
using Signet.Client.Http;
using Signet.Client.Tls;
using Signet.Identity.Spiffe;
using Signet.Rpc;
using Signet.Rpc.Wire.Health;
using Signet.Testing;

namespace Signet.FunctionalTests.AspNetCore;

public sealed class KestrelTests
{
    private static readonly TrustDomain Home = TrustDomain.Parse("example.org");

    private readonly TestAuthority _authority = new(TimeProvider.System.GetUtcNow());
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(1)).Token;

    [Theory]
    [InlineData("1.1", "HTTP/1.1")]
    [InlineData("2.0", "HTTP/2")]
    public async Task The_principal_is_the_peer(string version, string protocol)
    {
        await using var app = await MutualTlsApp.StartAsync(Identity("/orders"), Authorizer.Any);
        using var client = Client(Identity("/ns/shop/sa/web"));
        var answer = await AskAsync(client, new HttpRequestMessage(HttpMethod.Get, app.Address) { Version = Version.Parse(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact });
        Assert.StartsWith($"spiffe://example.org/ns/shop/sa/web|example.org|{protocol}|", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Policies_ask_for_an_identity_a_trust_domain_or_a_path()
    {
        var web = SpiffeId.Parse("spiffe://example.org/ns/shop/sa/web");
        await using var app = await MutualTlsApp.StartAsync(Identity("/orders"), Authorizer.Any, new Dictionary<string, Action<AuthorizationPolicyBuilder>>
        {
            ["web"] = policy => policy.RequireSpiffeId(web),
            ["home"] = policy => policy.RequireTrustDomain(Home),
            ["shop"] = policy => policy.RequirePathPrefix(Home, "/ns/shop"),
            ["both"] = policy => policy.RequirePathPrefix(Home, "/ns/shop").RequireSpiffeId(SpiffeId.Parse("spiffe://example.org/ns/shop/sa/till")),
            ["abroad"] = policy => policy.RequireTrustDomain(TrustDomain.Parse("other.org")),
        });
        using var client = Client(Identity(web.Path));
        var given = new Dictionary<string, HttpStatusCode>();
        foreach (var path in new[] { "web", "home", "shop", "both", "abroad" })
        {
            given[path] = (await client.GetAsync(new Uri(app.Address, path), _patience)).StatusCode;
        }

        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.Forbidden, HttpStatusCode.Forbidden], given.Values);
        using var other = Client(Identity("/ns/shopping"));
        Assert.Equal(HttpStatusCode.Forbidden, (await other.GetAsync(new Uri(app.Address, "shop"), _patience)).StatusCode);
    }

    [Fact]
    public async Task A_connection_whose_certificate_expired_is_nobodys_any_more()
    {
        var time = new ManualTimeProvider(TimeProvider.System.GetUtcNow());
        await using var app = await MutualTlsApp.StartAsync(
            Identity("/orders"), Authorizer.Any, new Dictionary<string, Action<AuthorizationPolicyBuilder>> { ["home"] = policy => policy.RequireTrustDomain(Home) }, time);
        using var client = Client(Identity("/web"));
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(new Uri(app.Address, "home"), _patience)).StatusCode);
        time.Advance(TimeSpan.FromHours(2));
        Assert.Equal(HttpStatusCode.Unauthorized, (await client.GetAsync(new Uri(app.Address, "home"), _patience)).StatusCode);
    }

    [Fact]
    public async Task A_connection_is_closed_when_the_peers_certificate_expires()
    {
        await using var app = await MutualTlsApp.StartAsync(Identity("/orders"), Authorizer.Any);
        using var socket = new TcpClient();
        await socket.ConnectAsync(app.Address.Host, app.Address.Port, _patience);
        await using var stream = new SslStream(socket.GetStream());
        var shortLived = new TlsCredential(_authority.Svid("/web", notAfter: TimeProvider.System.GetUtcNow().AddSeconds(4)));
        await stream.AuthenticateAsClientAsync(SvidTls.Client(shortLived, "", (_, _) => true), _patience);
        await stream.WriteAsync("GET / HTTP/1.1\r\nHost: orders\r\n\r\n"u8.ToArray(), _patience);
        Assert.True(await stream.ReadAsync(new byte[4096], _patience) > 0);
        await ReadToTheEndAsync(stream).WaitAsync(_patience);

        async Task ReadToTheEndAsync(Stream from)
        {
            try
            {
                while (await from.ReadAsync(new byte[4096], _patience) > 0)
                {
                }
            }
            catch (IOException)
            {
                // Closed without a farewell.
            }
        }
    }

    [Fact]
    public async Task Who_the_endpoint_does_not_allow_never_gets_to_send_a_request()
    {
        await using var app = await MutualTlsApp.StartAsync(Identity("/orders"), Authorizer.Exactly(SpiffeId.Parse("spiffe://example.org/web")));
        using var web = Client(Identity("/web"));
        Assert.StartsWith("spiffe://example.org/web|", await web.GetStringAsync(app.Address, _patience), StringComparison.Ordinal);
        using var other = Client(Identity("/other"));
        await Assert.ThrowsAsync<HttpRequestException>(() => other.GetStringAsync(app.Address, _patience));
    }

    [Fact]
    public async Task Without_an_identity_nothing_is_served_and_with_one_it_is()
    {
        var orders = new TestIdentity();
        await using var app = await MutualTlsApp.StartAsync(orders, Authorizer.Any);
        using var client = Client(Identity("/web"));
        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(app.Address, _patience));
        orders.Publish(_authority.Context("/orders"));
        Assert.StartsWith("spiffe://example.org/web|", await client.GetStringAsync(app.Address, _patience), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_refuses_a_server_that_it_does_not_want_and_says_why()
    {
        await using var app = await MutualTlsApp.StartAsync(Identity("/impostor"), Authorizer.Any);
        using var client = new HttpClient(new MutualTlsHandler(new MutualTls(Identity("/web"), Authorizer.Exactly(SpiffeId.Parse("spiffe://example.org/orders")), TimeProvider.System)));
        var refused = Assert.IsType<MutualTlsException>((await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(app.Address, _patience))).InnerException);
        Assert.Equal(MutualTlsProblem.PeerNotAuthorized, refused.Problem);
        Assert.Contains("spiffe://example.org/impostor", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_is_sent_in_clear()
    {
        using var client = Client(Identity("/web"));
        Assert.Contains("only https", (await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(new Uri("http://127.0.0.1:1/"), _patience))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task After_a_rotation_requests_go_over_a_new_connection_and_those_under_way_end_on_the_old_one(string version)
    {
        var web = new TestIdentity(_authority.Context("/web"));
        await using var app = await MutualTlsApp.StartAsync(Identity("/orders"), Authorizer.Any);
        using var client = Client(web);
        var first = await client.GetStringAsync(app.Address, _patience);
        Assert.Equal(first, await client.GetStringAsync(app.Address, _patience));

        using var slow = new HttpRequestMessage(HttpMethod.Get, new Uri(app.Address, "slow")) { Version = Version.Parse(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var answer = await client.SendAsync(slow, HttpCompletionOption.ResponseHeadersRead, _patience);
        var read = await answer.Content.ReadAsStreamAsync(_patience);
        Assert.Equal('a', read.ReadByte());

        web.Publish(_authority.Context("/web"));
        Assert.NotEqual(first, await client.GetStringAsync(app.Address, _patience));
        app.SecondHalf.SetResult();
        Assert.Equal('b', read.ReadByte());
        Assert.Equal(-1, read.ReadByte());
    }

    [Fact]
    public async Task A_gRPC_channel_presents_the_newest_identity_on_each_connection_and_refuses_a_server_that_it_does_not_want()
    {
        var seen = new ConcurrentQueue<string>();
        var orders = Authorizer.Where("anybody, remembered", id =>
        {
            seen.Enqueue(id.Path);
            return true;
        });
        await using var app = await MutualTlsApp.StartAsync(Identity("/orders"), orders);
        var isCut = false;
        await using var path = Meddler.Records(new IPEndPoint(IPAddress.Loopback, app.Address.Port), (_, _, record) => Task.FromResult<byte[]?>(Volatile.Read(ref isCut) ? null : record));
        var web = new TestIdentity(_authority.Context("/web"));
        using var channel = Channel(SpiffeId.Of(Home, "/orders"));
        await CheckAsync(channel);
        web.Publish(_authority.Context("/web-renamed"));
        await CheckAsync(channel);
        Assert.Equal(["/web"], seen);

        Volatile.Write(ref isCut, true);
        await Assert.ThrowsAsync<RpcException>(() => CheckAsync(channel));
        Volatile.Write(ref isCut, false);
        await CheckAsync(channel);
        Assert.Equal(["/web", "/web-renamed"], seen.Distinct());

        using var wrong = Channel(SpiffeId.Of(Home, "/billing"));
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => CheckAsync(wrong))).StatusCode);

        GrpcChannel Channel(SpiffeId server)
        {
            var tls = new MutualTls(web, Authorizer.Exactly(server), TimeProvider.System);
            return GrpcChannel.ForTls("127.0.0.1", path.EndPoint.Port, () => tls.ClientOptions(""), TimeProvider.System);
        }

        async Task CheckAsync(GrpcChannel over) => await new Health.HealthClient(over).CheckAsync(new HealthCheckRequest(), cancellationToken: _patience);
    }

    [Fact]
    public async Task A_withdrawn_identity_makes_no_requests_until_there_is_another()
    {
        var web = new TestIdentity(_authority.Context("/web"));
        await using var app = await MutualTlsApp.StartAsync(Identity("/orders"), Authorizer.Any);
        using var client = Client(web);
        await client.GetStringAsync(app.Address, _patience);
        web.Publish(null);
        var refused = Assert.IsType<MutualTlsException>((await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(app.Address, _patience))).InnerException);
        Assert.Equal(MutualTlsProblem.NoIdentity, refused.Problem);
        web.Publish(_authority.Context("/web"));
        await client.GetStringAsync(app.Address, _patience);
    }

    [Fact]
    public async Task Requests_under_load_do_not_notice_rotations_of_either_side()
    {
        var (web, orders) = (new TestIdentity(_authority.Context("/web")), new TestIdentity(_authority.Context("/orders")));
        await using var app = await MutualTlsApp.StartAsync(orders, Authorizer.Any);
        using var client = Client(web);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(_patience);
        var served = 0;
        var load = Enumerable.Range(0, 4).Select(i => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, app.Address) { Version = i % 2 == 0 ? HttpVersion.Version11 : HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
                await AskAsync(client, request);
                Interlocked.Increment(ref served);
            }
        })).ToArray();
        for (var i = 0; i < 20; i++)
        {
            var before = Volatile.Read(ref served);
            await Eventually.IsTrueAsync(() => Volatile.Read(ref served) > before + 20 || load.Any(task => task.IsFaulted), "more requests");
            (i % 2 == 0 ? web : orders).Publish(_authority.Context(i % 2 == 0 ? "/web" : "/orders"));
        }

        await stop.CancelAsync();
        await Task.WhenAll(load);
    }

    private TestIdentity Identity(string path) => new(_authority.Context(path));

    private static HttpClient Client(IX509Source source) => new(new MutualTlsHandler(new MutualTls(source, Authorizer.Any, TimeProvider.System)));

    private async Task<string> AskAsync(HttpClient client, HttpRequestMessage request)
    {
        using var response = await client.SendAsync(request, _patience);
        return await response.EnsureSuccessStatusCode().Content.ReadAsStringAsync(_patience);
    }
}
