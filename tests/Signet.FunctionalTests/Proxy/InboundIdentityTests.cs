using System.Security.Authentication;
using Signet.Client;
using Signet.Identity.X509;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Testing;

namespace Signet.FunctionalTests.Proxy;

public sealed class InboundIdentityTests
{
    private const string Get = "GET /a?b HTTP/1.1\r\nHost: orders\r\n\r\n";
    private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;

    [Theory]
    [InlineData(SslProtocols.Tls13, "TLSv1.3")]
    [InlineData(SslProtocols.Tls12, "TLSv1.2")]
    public async Task Takes_a_request_from_a_peer_with_an_SVID_and_says_who_it_is(SslProtocols version, string name)
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        var svid = world.Authority.Svid("/ns/default/sa/web");
        await using var client = await Wire.TlsAsync(world.Inbound, svid, ["istio-http/1.1", "istio", "http/1.1"], version);

        Assert.Equal((200, "hello"), await client.AskAsync(Get) is var answer ? (answer.Status, answer.Body) : default);

        Assert.Equal("http/1.1", client.Tls.NegotiatedApplicationProtocol.ToString());
        Assert.True(app.Heads.TryDequeue(out var head));
        Assert.Equal(
            $"By=spiffe://example.org/ns/default/sa/orders;Hash={svid.Leaf.Fingerprint};Subject=\"O=Signet\";URI=spiffe://example.org/ns/default/sa/web",
            App.Field(head, "x-forwarded-client-cert"));
        var line = await world.LoggedAsync(line => line.TryGetProperty("request", out _), "the request");
        Assert.Equal("example.org/ns/default/sa/web", line.GetProperty("source").GetProperty("principal").GetString());
        Assert.Equal(svid.Leaf.SerialHex, line.GetProperty("source").GetProperty("serial").GetString());
        Assert.Equal(name, line.GetProperty("tls").GetProperty("version").GetString());
        Assert.StartsWith("TLS_", line.GetProperty("tls").GetProperty("cipher").GetString(), StringComparison.Ordinal);
        Assert.Equal("allow", line.GetProperty("verdict").GetString());
        Assert.Equal(200, line.GetProperty("response").GetProperty("code").GetInt32());
    }

    [Fact]
    [Proves(RefusalReason.PlaintextRefused)]
    public async Task Switches_between_refusing_and_taking_plaintext_when_the_policy_file_changes()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);

        Assert.Equal("", await AskPlainAsync(world));
        Assert.Equal("peer-authentication", (await world.RefusedAsync(RefusalReason.PlaintextRefused)).GetProperty("stage").GetString());
        Assert.Equal(0, app.Count);

        world.SetPolicy(ProxyWorld.Permissive);
        await Eventually.IsTrueAsync(async () => (await AskPlainAsync(world)).StartsWith("HTTP/1.1 200", StringComparison.Ordinal), "plaintext is taken");
        Assert.Equal("", App.Field(app.Heads.First(), "x-forwarded-client-cert"));

        world.SetPolicy(ProxyWorld.Strict);
        await Eventually.IsTrueAsync(async () => await AskPlainAsync(world) == "", "plaintext is refused again");
    }

    [Fact]
    [Proves(RefusalReason.PeerAuthorityUnknown)]
    public async Task Refuses_a_certificate_of_another_authority_in_the_same_trust_domain() =>
        await RefusesAsync(RefusalReason.PeerAuthorityUnknown, _ => new TestAuthority(Now).Svid("/ns/default/sa/web"));

    [Fact]
    [Proves(RefusalReason.PeerTrustDomainUnknown)]
    public async Task Refuses_a_certificate_of_a_trust_domain_without_a_bundle() =>
        await RefusesAsync(RefusalReason.PeerTrustDomainUnknown, _ => new TestAuthority(Now, "elsewhere.example").Svid("/ns/default/sa/web"));

    [Fact]
    [Proves(RefusalReason.PeerCertificateExpired)]
    public async Task Refuses_an_expired_certificate() =>
        await RefusesAsync(RefusalReason.PeerCertificateExpired, authority => authority.Svid("/ns/default/sa/web", Now.AddHours(-2), Now.AddMinutes(-5)));

    [Fact]
    [Proves(RefusalReason.PeerCertificateNotYetValid)]
    public async Task Refuses_a_certificate_whose_time_has_not_come() =>
        await RefusesAsync(RefusalReason.PeerCertificateNotYetValid, authority => authority.Svid("/ns/default/sa/web", Now.AddHours(1), Now.AddHours(2)));

    [Fact]
    [Proves(RefusalReason.PeerCertificateInvalid)]
    public async Task Refuses_a_chain_that_is_longer_than_its_authority_allows() =>
        await RefusesAsync(RefusalReason.PeerCertificateInvalid, authority => authority.SvidBelowAnotherAuthority("/ns/default/sa/web"));

    [Fact]
    [Proves(RefusalReason.PeerNotAWorkload)]
    public async Task Refuses_a_certificate_without_a_SPIFFE_ID()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await RefusedAsync(world, app, RefusalReason.PeerNotAWorkload, async () =>
        {
            using var key = System.Security.Cryptography.ECDsa.Create();
            var request = new System.Security.Cryptography.X509Certificates.CertificateRequest("CN=web", key, System.Security.Cryptography.HashAlgorithmName.SHA256);
            using var certificate = request.CreateSelfSigned(Now.AddHours(-1), Now.AddHours(1));
            await using var plain = await Wire.PlainAsync(world.Inbound);
            await using var stream = new System.Net.Security.SslStream(plain.Stream);
            await stream.AuthenticateAsClientAsync(new System.Net.Security.SslClientAuthenticationOptions
            {
                TargetHost = "orders",
                ClientCertificateContext = System.Net.Security.SslStreamCertificateContext.Create(certificate, null, offline: true),
                RemoteCertificateValidationCallback = (_, _, _, _) => true,
            });
            await stream.ReadExactlyAsync(new byte[1]);
        });
    }

    [Fact]
    [Proves(RefusalReason.PeerCertificateMissing)]
    public async Task Refuses_a_client_without_a_certificate() => await RefusesAsync(RefusalReason.PeerCertificateMissing, _ => null);

    [Fact]
    public async Task Takes_a_peer_of_a_federated_trust_domain()
    {
        var other = new TestAuthority(Now, "elsewhere.example");
        var authority = new TestAuthority(Now);
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict, authority: authority, identity: authority.Context(authority.Svid("/ns/default/sa/orders"), other));
        await using var client = await Wire.TlsAsync(world.Inbound, other.Svid("/ns/default/sa/web"));

        Assert.Equal(200, (await client.AskAsync(Get)).Status);
    }

    [Theory]
    [InlineData(ProxyWorld.Strict)]
    [InlineData(ProxyWorld.Permissive)]
    [Proves(RefusalReason.WaitingForSvid)]
    public async Task Lets_nothing_in_before_the_first_SVID_and_says_so(string policy)
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, policy, withoutIdentity: true);

        Assert.Equal("", await AskPlainAsync(world));
        await world.RefusedAsync(RefusalReason.WaitingForSvid);
        Assert.Contains("WaitingForSvid", (await world.AdminAsync("/ready")).ToString(), StringComparison.Ordinal);
        Assert.Equal(0, app.Count);

        world.Identity.Publish(world.Authority.Context("/ns/default/sa/orders"));
        await using var client = await Wire.TlsAsync(world.Inbound, world.Authority.Svid("/ns/default/sa/web"), ["istio"]);
        Assert.Equal(200, (await client.AskAsync(Get)).Status);
    }

    [Fact]
    [Proves(RefusalReason.OwnSvidExpired)]
    public async Task Lets_nothing_in_after_the_own_SVID_has_expired()
    {
        var authority = new TestAuthority(Now);
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Permissive, authority: authority, identity: authority.Context(authority.Svid("/ns/default/sa/orders", Now.AddHours(-2), Now.AddMinutes(-1))));

        Assert.Equal("", await AskPlainAsync(world));
        await world.RefusedAsync(RefusalReason.OwnSvidExpired);
        Assert.Contains("OwnSvidExpired", (await world.AdminAsync("/ready")).ToString(), StringComparison.Ordinal);
        Assert.Equal(0, app.Count);
    }

    [Fact]
    [Proves(RefusalReason.DetectionTimeout)]
    public async Task Refuses_a_peer_that_says_nothing() => await RefusesBytesAsync(RefusalReason.DetectionTimeout, "");

    [Fact]
    [Proves(RefusalReason.MalformedClientHello)]
    public async Task Refuses_what_begins_like_TLS_and_breaks_its_rules() => await RefusesBytesAsync(RefusalReason.MalformedClientHello, "\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00");

    [Fact]
    public async Task Refuses_a_ClientHello_that_never_ends() => await RefusesBytesAsync(RefusalReason.MalformedClientHello, "\x16\x03\x01\x02\x00\x01\x00");

    [Fact]
    [Proves(RefusalReason.HandshakeFailed)]
    public async Task Refuses_a_client_that_offers_nothing_acceptable() =>
        await RefusesBytesAsync(RefusalReason.HandshakeFailed, UsableHello("\x00\x2f"));

    [Fact]
    [Proves(RefusalReason.HandshakeTimeout)]
    public async Task Refuses_a_client_that_stops_in_the_middle_of_the_handshake() =>
        await RefusesBytesAsync(RefusalReason.HandshakeTimeout, UsableHello("\xc0\x2b"));

    /// <summary>A TLS 1.2 ClientHello with one cipher suite, P-256 and ECDSA with SHA-256.</summary>
    private static string UsableHello(string suite)
    {
        const string extensions = "\x00\x0a\x00\x04\x00\x02\x00\x17" + "\x00\x0d\x00\x04\x00\x02\x04\x03" + "\x00\x0b\x00\x02\x01\x00";
        var body = "\x03\x03" + new string('r', 32) + "\x00" + "\x00\x02" + suite + "\x01\x00" + "\x00" + (char)extensions.Length + extensions;
        return "\x16\x03\x01\x00" + (char)(body.Length + 4) + "\x01\x00\x00" + (char)body.Length + body;
    }

    private static async Task<string> AskPlainAsync(ProxyWorld world)
    {
        try
        {
            await using var client = await Wire.PlainAsync(world.Inbound);
            await client.SendAsync(Get.Replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", StringComparison.Ordinal));
            return await client.ReadToEndAsync();
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
        {
            return "";
        }
    }

    private static async Task RefusesAsync(RefusalReason reason, Func<TestAuthority, X509Svid?> svid)
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, ProxyWorld.Strict);
        await RefusedAsync(world, app, reason, async () =>
        {
            await using var client = await Wire.TlsAsync(world.Inbound, svid(world.Authority));
            await client.AskAsync(Get);
        });
    }

    private static async Task RefusedAsync(ProxyWorld world, App app, RefusalReason reason, Func<Task> attempt)
    {
        Assert.True(await Record.ExceptionAsync(attempt) is IOException or AuthenticationException);
        var line = await world.RefusedAsync(reason);
        Assert.Equal(("deny", "handshake"), (line.GetProperty("verdict").GetString(), line.GetProperty("stage").GetString()));
        Assert.NotEmpty(line.GetProperty("reason").GetString()!);
        Assert.Equal(0, app.Count);
    }

    private static async Task RefusesBytesAsync(RefusalReason reason, string bytes)
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(
            app.EndPoint, ProxyWorld.Strict,
            change: config => config with { Timeouts = new ProxyTimeouts { Detection = TimeSpan.FromMilliseconds(300), Handshake = TimeSpan.FromMilliseconds(300) } });
        await using var client = await Wire.PlainAsync(world.Inbound);
        await client.SendAsync(bytes);

        Assert.DoesNotContain("HTTP", await client.ReadToEndAsync(), StringComparison.Ordinal);
        await world.RefusedAsync(reason);
        Assert.Equal(0, app.Count);
    }
}

