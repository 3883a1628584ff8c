using Signet.Identity.X509;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

/// <summary>What a peer is told by TLS itself when it is not let in (RFC 8446 §6.2), and what the operator is told beside it.</summary>
public sealed class AlertTests
{
    private const int HandshakeFailure = 40;
    private const int BadCertificate = 42;
    private const int CertificateRevoked = 44;
    private const int CertificateExpired = 45;
    private const int UnknownAuthority = 48;
    private const int ProtocolVersion = 70;
    private const int CertificateRequired = 116;

    private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;

    [Theory]
    [InlineData("expired", OpenSslClient.Tls13, CertificateExpired, RefusalReason.PeerCertificateExpired)]
    [InlineData("expired", OpenSslClient.Tls12, CertificateExpired, RefusalReason.PeerCertificateExpired)]
    [InlineData("not yet", OpenSslClient.Tls13, BadCertificate, RefusalReason.PeerCertificateNotYetValid)]
    [InlineData("another authority", OpenSslClient.Tls13, UnknownAuthority, RefusalReason.PeerAuthorityUnknown)]
    [InlineData("another authority", OpenSslClient.Tls12, UnknownAuthority, RefusalReason.PeerAuthorityUnknown)]
    [InlineData("another domain", OpenSslClient.Tls13, UnknownAuthority, RefusalReason.PeerTrustDomainUnknown)]
    [InlineData("an authority", OpenSslClient.Tls13, BadCertificate, RefusalReason.PeerCertificateInvalid)]
    [InlineData("none", OpenSslClient.Tls13, CertificateRequired, RefusalReason.PeerCertificateMissing)]
    [InlineData("none", OpenSslClient.Tls12, HandshakeFailure, RefusalReason.PeerCertificateMissing)]
    public async Task Tells_the_peer_what_is_wrong_with_its_certificate(string which, int version, int alert, RefusalReason reason)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        using var client = await OpenSslClient.ConnectAsync(world.Inbound, SvidOf(world.Authority, which), version);
        Assert.Equal("", await client.EchoAsync("hello"));

        Assert.Equal(alert, client.Alert);
        Assert.Equal("handshake", (await world.RefusedAsync(reason)).GetProperty("stage").GetString());
        Assert.Equal(0, app.Count);
    }

    [Theory]
    [InlineData(OpenSslClient.Tls13)]
    [InlineData(OpenSslClient.Tls12)]
    [Proves(RefusalReason.PeerCertificateRevoked)]
    public async Task Tells_a_peer_that_its_certificate_was_revoked_and_no_other(int version)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        var (revoked, good) = (world.Authority.Svid("/ns/default/sa/web"), world.Authority.Svid("/ns/default/sa/web"));
        world.Identity.Publish(world.Revoking(revoked.Leaf));

        using (var client = await OpenSslClient.ConnectAsync(world.Inbound, revoked, version))
        {
            Assert.Equal("", await client.EchoAsync("hello"));
            Assert.Equal(CertificateRevoked, client.Alert);
        }

        Assert.Contains("was revoked", (await world.RefusedAsync(RefusalReason.PeerCertificateRevoked)).GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Equal(0, app.Count);
        using var other = await OpenSslClient.ConnectAsync(world.Inbound, good, version);
        Assert.Equal("hello", await other.EchoAsync("hello"));
    }

    [Theory]
    [InlineData(OpenSslClient.Tls11, TlsVersion.Tls12)]
    [InlineData(OpenSslClient.Tls12, TlsVersion.Tls13)]
    public async Task Refuses_a_version_below_the_floor_and_says_so(int version, TlsVersion floor)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, change: config => config with { Tls = new TlsConfig { MinVersion = floor } });
        using var client = await OpenSslClient.ConnectAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), version);

        Assert.False(client.IsConnected);
        Assert.Equal(ProtocolVersion, client.Alert);
        Assert.Contains("unsupported protocol", (await world.RefusedAsync(RefusalReason.HandshakeFailed)).GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Equal(0, app.Count);
    }

    [Fact]
    public async Task Takes_the_floor_itself()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp, change: config => config with { Tls = new TlsConfig { MinVersion = TlsVersion.Tls13 } });
        using var client = await OpenSslClient.ConnectAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), OpenSslClient.Tls13);

        Assert.Equal("hello", await client.EchoAsync("hello"));
    }

    [Theory]
    [InlineData("AES128-GCM-SHA256")]
    [InlineData("ECDHE-ECDSA-AES128-SHA")]
    public async Task Refuses_suites_without_forward_secrecy_or_authenticated_encryption(string suite)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        using var client = await OpenSslClient.ConnectAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), OpenSslClient.Tls12, suites: $"{suite}:@SECLEVEL=0");

        Assert.False(client.IsConnected);
        Assert.Equal(HandshakeFailure, client.Alert);
        Assert.Contains("no shared cipher", (await world.RefusedAsync(RefusalReason.HandshakeFailed)).GetProperty("reason").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("X25519", "x25519")]
    [InlineData("P-521:P-256", "secp256r1")]
    [InlineData("P-384", "secp384r1")]
    [InlineData("X25519MLKEM768:X25519", "X25519MLKEM768")]
    [InlineData("P-521", null)]
    public async Task Agrees_on_a_group_of_its_list_the_hybrid_where_there_is_one_and_on_none_outside(string offered, string? agreed)
    {
        Assert.SkipUnless(OpenSslClient.Knows(offered), $"this OpenSSL does not know all of {offered}; 3.5 is the first with the hybrid");
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        using var client = await OpenSslClient.ConnectAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), OpenSslClient.Tls13, groups: offered);

        Assert.Equal(agreed is not null, client.IsConnected);
        if (agreed is null)
        {
            Assert.Equal(HandshakeFailure, client.Alert);
        }
        else
        {
            Assert.Equal(agreed, client.Group, ignoreCase: true);
        }
    }

    [Fact]
    public async Task Refuses_a_second_handshake_on_a_connection()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        using var client = await OpenSslClient.ConnectAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), OpenSslClient.Tls12);
        Assert.Equal("hello", await client.EchoAsync("hello"));

        Assert.False(await client.RenegotiateAsync());

        Assert.Contains("no renegotiation", client.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(OpenSslClient.Tls13)]
    [InlineData(OpenSslClient.Tls12)]
    public async Task Breaks_a_connection_on_which_plaintext_appears(int version)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        using var client = await OpenSslClient.ConnectAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), version);
        Assert.Equal("hello", await client.EchoAsync("hello"));

        client.SendRaw("GET / HTTP/1.1\r\nHost: orders\r\n\r\n"u8);

        Assert.Equal("", await client.ReadAsync());
        await Eventually.IsTrueAsync(() => app.Broken.Count == 1, "the application sees a broken connection");
        Assert.NotEmpty((await world.LoggedAsync(line => line.GetProperty("protocol").GetString() == "tcp", "the connection")).GetProperty("reason").GetString()!);
    }

    [Fact]
    public async Task Breaks_a_connection_on_which_a_record_was_not_made_by_the_peer()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        using var client = await OpenSslClient.ConnectAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), OpenSslClient.Tls13);
        Assert.Equal("hello", await client.EchoAsync("hello"));

        client.SendRaw([23, 3, 3, 0, 32, .. new byte[32]]);

        Assert.Equal("", await client.ReadAsync());
        var line = await world.LoggedAsync(line => line.GetProperty("protocol").GetString() == "tcp", "the connection");
        Assert.Contains("bad record mac", line.GetProperty("reason").GetString(), StringComparison.Ordinal);
        await Eventually.IsTrueAsync(() => app.Broken.Count == 1, "the application sees a broken connection");
    }

    [Fact]
    public async Task Plaintext_instead_of_the_clients_answer_ends_the_handshake()
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, AppProtocol.Tcp);
        await using var meddler = Meddler.Records(world.Inbound, (toServer, number, record) => Task.FromResult<byte[]?>(toServer && number > 0 ? "GET / HTTP/1.1\r\n\r\n"u8.ToArray() : record));
        using var client = await OpenSslClient.ConnectAsync(meddler.EndPoint, world.Authority.Svid("/ns/default/sa/web"), OpenSslClient.Tls13);

        Assert.Equal("", await client.EchoAsync("hello"));
        Assert.NotEmpty((await world.RefusedAsync(RefusalReason.HandshakeFailed)).GetProperty("reason").GetString()!);
        Assert.Equal(0, app.Count);
    }

    [Theory]
    [InlineData(AppProtocol.Tcp, new[] { "istio-peer-exchange", "istio" }, "istio")]
    [InlineData(AppProtocol.Http, new[] { "istio-http/1.1", "istio", "http/1.1" }, "http/1.1")]
    [InlineData(AppProtocol.Http, new[] { "istio-http/1.1", "h2" }, "h2")]
    [InlineData(AppProtocol.Http2, new[] { "istio-h2", "istio", "h2" }, "h2")]
    [InlineData(AppProtocol.Http2, new[] { "http/1.1" }, "http/1.1")]
    [InlineData(AppProtocol.Auto, new[] { "istio-peer-exchange", "istio", "h2" }, "istio")]
    [InlineData(AppProtocol.Tcp, new[] { "h2", "http/1.1" }, null)]
    [InlineData(AppProtocol.Tcp, null, null)]
    public async Task Selects_only_what_it_will_speak_and_goes_on_without_a_name_otherwise(AppProtocol protocol, string[]? offered, string? selected)
    {
        await using var app = App.Echo();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict, protocol);
        using var client = await OpenSslClient.ConnectAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), alpn: offered);

        Assert.True(client.IsConnected);
        Assert.Equal(selected, client.Alpn);
    }

    private static X509Svid? SvidOf(TestAuthority authority, string which) => which switch
    {
        "expired" => authority.Svid("/ns/default/sa/web", Now.AddHours(-2), Now.AddMinutes(-5)),
        "not yet" => authority.Svid("/ns/default/sa/web", Now.AddHours(1), Now.AddHours(2)),
        "another authority" => new TestAuthority(Now).Svid("/ns/default/sa/web"),
        "another domain" => new TestAuthority(Now, "elsewhere.example").Svid("/ns/default/sa/web"),
        "an authority" => authority.SvidBelowAnotherAuthority("/ns/default/sa/web"),
        _ => null,
    };
}
