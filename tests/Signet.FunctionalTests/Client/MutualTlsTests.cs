using System.Net.Security;
using System.Security.Authentication;
using Signet.Client;
using Signet.Client.Tls;
using Signet.Identity.Spiffe;
using Signet.Testing;

namespace Signet.FunctionalTests.Client;

public sealed class MutualTlsTests
{
    private static readonly TimeProvider Clock = TimeProvider.System;

    private readonly TestAuthority _authority = new(Clock.GetUtcNow());
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(1)).Token;

    [Fact]
    public async Task Each_side_learns_who_the_other_is_and_until_when()
    {
        var (web, orders) = (_authority.Svid("/web"), _authority.Svid("/orders"));
        var (client, server) = await ShakeAsync(Tls(new TestIdentity(_authority.Context(web))), Tls(new TestIdentity(_authority.Context(orders))));
        await using (client)
        await using (server)
        {
            Assert.Equal(orders.Id, client.Peer.Id);
            Assert.Equal(web.Id, server.Peer.Id);
            Assert.Equal(web.NotAfter, server.Peer.ExpiresAt);
            await client.WriteAsync("hello"u8.ToArray(), _patience);
            var buffer = new byte[5];
            await server.ReadExactlyAsync(buffer, _patience);
            Assert.Equal("hello"u8.ToArray(), buffer);
        }
    }

    [Fact]
    public async Task A_handshake_after_a_rotation_shows_the_new_certificate_and_believes_the_new_bundle()
    {
        var (web, orders) = (new TestIdentity(_authority.Context("/web")), new TestIdentity(_authority.Context("/orders")));
        var (clientTls, serverTls) = (Tls(web), Tls(orders));
        await CloseAsync(await ShakeAsync(clientTls, serverTls));

        var next = new TestAuthority(Clock.GetUtcNow());
        var renewed = next.Svid("/orders");
        orders.Publish(next.Context(renewed));
        var refused = await Assert.ThrowsAsync<MutualTlsException>(() => ShakeAsync(clientTls, serverTls));
        Assert.Equal(MutualTlsProblem.PeerNotTrusted, refused.Problem);

        web.Publish(next.Context("/web"));
        var (client, server) = await ShakeAsync(clientTls, serverTls);
        Assert.Equal(renewed.Leaf.Der.ToArray(), client.RemoteCertificate!.GetRawCertData());
        await CloseAsync((client, server));
    }

    [Fact]
    public async Task A_stream_of_ones_own_follows_rotations_by_the_selection_of_its_options()
    {
        var orders = new TestIdentity(_authority.Context("/orders"));
        var (tls, web) = (Tls(orders), Tls(new TestIdentity(_authority.Context("/web"))));
        for (var i = 0; i < 2; i++)
        {
            var (near, far) = await Pipe.OpenAsync(_patience);
            await using var server = new SslStream(far);
            var accepting = server.AuthenticateAsServerAsync(tls.SelectServerOptions, null, _patience);
            await using var client = await web.ConnectAsync(near, "", _patience);
            await accepting;
            Assert.Equal(orders.Current!.Default.Leaf.Der.ToArray(), client.RemoteCertificate!.GetRawCertData());
            orders.Publish(_authority.Context("/orders"));
        }
    }

    [Fact]
    public void A_certificate_is_made_ready_for_TLS_once_and_not_per_handshake()
    {
        var source = new TestIdentity(_authority.Context("/web"));
        var tls = Tls(source);
        var first = tls.ServerOptions().ServerCertificateContext;
        Assert.Same(first, tls.ServerOptions().ServerCertificateContext);
        Assert.Same(first, tls.ClientOptions("").ClientCertificateContext);

        // The same SVID with another bundle is still the same SVID.
        source.Publish(source.Current! with { Bundles = Signet.Identity.X509.TrustBundles.Empty });
        Assert.Same(first, tls.ServerOptions().ServerCertificateContext);
        source.Publish(_authority.Context("/web"));
        Assert.NotSame(first, tls.ServerOptions().ServerCertificateContext);
    }

    [Fact]
    public async Task A_peer_that_may_not_go_on_is_refused_with_the_reason()
    {
        var web = Tls(new TestIdentity(_authority.Context("/web")));
        var orders = new TestIdentity(_authority.Context("/orders"));
        var onlyBilling = new MutualTls(orders, Authorizer.Exactly(SpiffeId.Parse("spiffe://example.org/billing")), Clock);
        var refused = await Assert.ThrowsAsync<MutualTlsException>(() => ShakeAsync(web, onlyBilling));
        Assert.Equal(MutualTlsProblem.PeerNotAuthorized, refused.Problem);
        Assert.Contains("spiffe://example.org/web", refused.Message, StringComparison.Ordinal);

        var toBilling = new MutualTls(new TestIdentity(_authority.Context("/web")), Authorizer.Exactly(SpiffeId.Parse("spiffe://example.org/billing")), Clock);
        Assert.Equal(MutualTlsProblem.PeerNotAuthorized, (await Assert.ThrowsAsync<MutualTlsException>(() => ShakeAsync(toBilling, Tls(orders)))).Problem);
    }

    [Fact]
    public async Task A_peer_of_another_authority_without_a_certificate_or_with_an_expired_one_is_refused()
    {
        var orders = Tls(new TestIdentity(_authority.Context("/orders")));
        var stranger = Tls(new TestIdentity(new TestAuthority(Clock.GetUtcNow()).Context(new TestAuthority(Clock.GetUtcNow()).Svid("/web"), _authority)));
        Assert.Equal(MutualTlsProblem.PeerNotTrusted, (await Assert.ThrowsAsync<MutualTlsException>(() => ShakeAsync(stranger, orders))).Problem);

        var late = _authority.Svid("/web", Clock.GetUtcNow().AddHours(-2), Clock.GetUtcNow().AddHours(-1));
        var (near, far) = await Pipe.OpenAsync(_patience);
        await using var old = new SslStream(near);
        var asking = old.AuthenticateAsClientAsync(SvidTls.Client(new TlsCredential(late), "", (_, _) => true), _patience);
        Assert.Contains("expired", (await Assert.ThrowsAsync<MutualTlsException>(() => orders.AcceptAsync(far, _patience))).Message, StringComparison.Ordinal);
        await asking.ContinueWith(_ => { }, TaskScheduler.Default);

        (near, far) = await Pipe.OpenAsync(_patience);
        await using var nobody = new SslStream(near);
        asking = nobody.AuthenticateAsClientAsync(SvidTls.Client(null, "", (_, _) => true), _patience);
        Assert.Contains("no certificate", (await Assert.ThrowsAsync<MutualTlsException>(() => orders.AcceptAsync(far, _patience))).Message, StringComparison.Ordinal);
        await asking.ContinueWith(_ => { }, TaskScheduler.Default);
    }

    [Fact]
    public void Without_an_identity_or_with_an_expired_one_nothing_begins()
    {
        Assert.Equal(MutualTlsProblem.NoIdentity, Assert.Throws<MutualTlsException>(() => Tls(new TestIdentity()).ServerOptions()).Problem);
        var late = _authority.Svid("/web", Clock.GetUtcNow().AddHours(-2), Clock.GetUtcNow().AddHours(-1));
        Assert.Equal(MutualTlsProblem.IdentityExpired, Assert.Throws<MutualTlsException>(() => Tls(new TestIdentity(_authority.Context(late))).ClientOptions("")).Problem);
    }

    [Fact]
    public async Task A_connection_closes_when_a_certificate_of_it_expires()
    {
        var time = new ManualTimeProvider(Clock.GetUtcNow());
        var shortLived = _authority.Svid("/web", notAfter: Clock.GetUtcNow().AddMinutes(2));
        var (client, server) = await ShakeAsync(
            new MutualTls(new TestIdentity(_authority.Context(shortLived)), Authorizer.Any, time), new MutualTls(new TestIdentity(_authority.Context("/orders")), Authorizer.Any, time));
        Assert.Equal(shortLived.NotAfter, server.ExpiresAt);
        var reading = server.ReadAsync(new byte[1], _patience).AsTask();
        time.Advance(TimeSpan.FromSeconds(100));
        Assert.False(reading.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(30));
        await reading.ContinueWith(read => Assert.True(read.IsFaulted || read.Result == 0), TaskScheduler.Default);
        await CloseAsync((client, server));
    }

    [Fact]
    public async Task What_is_not_TLS_is_no_connection()
    {
        var (near, far) = await Pipe.OpenAsync(_patience);
        await near.WriteAsync("GET / HTTP/1.1\r\n\r\n"u8.ToArray(), _patience);
        await Assert.ThrowsAsync<AuthenticationException>(() => Tls(new TestIdentity(_authority.Context("/orders"))).AcceptAsync(far, _patience));
        await near.DisposeAsync();
    }

    private static MutualTls Tls(IX509Source source) => new(source, Authorizer.Any, Clock);

    /// <summary>Throws what the side that refused threw.</summary>
    private async Task<(MutualTlsStream Client, MutualTlsStream Server)> ShakeAsync(MutualTls client, MutualTls server)
    {
        var (near, far) = await Pipe.OpenAsync(_patience);
        var (connecting, accepting) = (client.ConnectAsync(near, "orders", _patience), server.AcceptAsync(far, _patience));
        await Task.WhenAll(connecting, accepting).ContinueWith(_ => { }, TaskScheduler.Default);
        foreach (var side in new[] { connecting, accepting })
        {
            if (side.Exception?.InnerException is MutualTlsException refused)
            {
                throw refused;
            }
        }

        return (await connecting, await accepting);
    }

    private static async Task CloseAsync((MutualTlsStream Client, MutualTlsStream Server) both)
    {
        await both.Client.DisposeAsync();
        await both.Server.DisposeAsync();
    }
}
