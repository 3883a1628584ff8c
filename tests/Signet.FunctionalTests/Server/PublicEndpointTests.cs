using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Signet.Client.Tls;
using Signet.Hosting.Files;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server;
using Signet.Server.Federation;
using Signet.Server.Http;
using Signet.Testing;
using Signet.Testing.Rpc;

namespace Signet.FunctionalTests.Server;

/// <summary>What a server publishes over HTTPS (SPIFFE_Federation.md §5 on the serving side; OpenID Connect Discovery).</summary>
public sealed class PublicEndpointTests : IDisposable
{
    private readonly TestFolder _folder = new();
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task F18_Without_a_certificate_of_the_web_it_presents_the_servers_own_SVID()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false, configure: config => config with { Http = Http(null), Federation = new FederationConfig { ServesBundle = true } });
        using var admin = domain.Admin();
        var bundle = await admin.BundleAsync(_patience);
        PeerVerdict? verdict = null;
        using var http = new HttpClient(new SocketsHttpHandler
        {
            SslOptions = SvidTls.Client(null, "", (presented, _) => (verdict = SvidVerifier.Verify(presented, TrustBundles.Of(bundle), CertificateUsage.Server, DateTimeOffset.UtcNow)).IsTrusted),
        });
        await http.GetStringAsync(Url(domain, "/bundle"), _patience);
        Assert.Equal("spiffe://example.org/spire/server", verdict!.Id!.Uri);
    }

    [Fact]
    public async Task F06_F14_With_a_certificate_of_the_web_it_presents_that_and_follows_its_files()
    {
        var (first, second) = (RpcTestCertificates.Create(), RpcTestCertificates.Create());
        var files = Write(first.Server);
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false, configure: config => config with { Http = Http(files), Federation = new FederationConfig { ServesBundle = true } });
        Assert.Equal(first.Server.Thumbprint, await PresentedAsync(domain));
        using (var http = Believing(first.Authority))
        {
            Assert.NotEmpty(await http.GetStringAsync(new Uri($"https://localhost:{domain.HttpEndPoint.Port}/bundle"), _patience));
        }

        Write(second.Server);
        await Eventually.IsTrueAsync(async () => await PresentedAsync(domain) == second.Server.Thumbprint, "the renewed certificate");
    }

    [Fact]
    public async Task A_certificate_that_does_not_hold_leaves_the_last_good_one_in_use()
    {
        var good = RpcTestCertificates.Create();
        var files = Write(good.Server);
        var log = new RememberedLog();
        await using var followed = new FollowedCertificate(files, TimeProvider.System, new RememberedLog.Provider(log));
        await File.WriteAllTextAsync(files.Certificate, RpcTestCertificates.Create().Server.ExportCertificatePem(), _patience);
        await Eventually.IsTrueAsync(() => log.WithId(2311).Count > 0, "the refusal");
        Assert.Equal(good.Server.Thumbprint, followed.Current.TargetCertificate.Thumbprint);
    }

    [Fact]
    public async Task A_server_does_not_start_with_a_certificate_that_is_not_its_keys()
    {
        var files = Write(RpcTestCertificates.Create().Server);
        await File.WriteAllTextAsync(files.Certificate, RpcTestCertificates.Create().Server.ExportCertificatePem(), _patience);
        var failure = await Assert.ThrowsAsync<PlaceException>(() => TestTrustDomain.StartAsync(hasAgent: false, configure: config => config with { Http = Http(files) }));
        Assert.Contains("is not that of the first certificate", failure.Message);
    }

    [Fact]
    public async Task Clouds_find_the_keys_of_tokens_by_their_issuer()
    {
        const string issuer = "https://oidc.example.org";
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false, configure: config => config with { Http = Http(null), JwtIssuer = issuer });
        using var http = Anybody();
        var discovery = JsonNode.Parse(await http.GetStringAsync(Url(domain, "/.well-known/openid-configuration"), _patience))!;
        Assert.Equal(issuer, (string)discovery["issuer"]!);
        Assert.Equal($"{issuer}/keys", (string)discovery["jwks_uri"]!);
        Assert.Equal(["id_token"], discovery["response_types_supported"]!.AsArray().Select(one => (string)one!));

        using var admin = domain.Admin();
        var minted = (await admin.MintTokenAsync(SpiffeId.Parse("spiffe://example.org/web"), ["sts.amazonaws.com"], null, _patience)).Token;
        Assert.True(CompactJws.TryParse(minted, out var token, out var problem), problem);
        using (token)
        {
            Assert.Equal(issuer, token.ClaimText("iss"));
            var key = JsonNode.Parse(await http.GetStringAsync(Url(domain, "/keys"), _patience))!["keys"]!.AsArray().Single(one => (string)one!["kid"]! == token.HeaderText("kid"))!;
            Assert.Equal(("sig", token.HeaderText("alg")), ((string)key["use"]!, (string)key["alg"]!));
        }

        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync(Url(domain, "/bundle"), _patience)).StatusCode);
    }

    [Fact]
    public async Task Tokens_have_no_issuer_unless_one_is_configured()
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false, configure: config => config with { Http = Http(null) });
        using var admin = domain.Admin();
        var minted = (await admin.MintTokenAsync(SpiffeId.Parse("spiffe://example.org/web"), ["a"], null, _patience)).Token;
        Assert.True(CompactJws.TryParse(minted, out var token, out _));
        using (token)
        {
            Assert.Null(token.ClaimText("iss"));
        }

        using var http = Anybody();
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync(Url(domain, "/keys"), _patience)).StatusCode);
    }

    [Theory]
    [InlineData(TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true)]
    [InlineData(TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, false)]
    [InlineData(TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, false)]
    public async Task F07_Only_suites_with_forward_secrecy_and_authenticated_encryption_are_spoken(TlsCipherSuite suite, bool isSpoken)
    {
        await using var domain = await TestTrustDomain.StartAsync(hasAgent: false, configure: config => config with { Http = Http(null), Federation = new FederationConfig { ServesBundle = true } });
        using var socket = new TcpClient();
        await socket.ConnectAsync(domain.HttpEndPoint, _patience);
        await using var tls = new SslStream(socket.GetStream());
#pragma warning disable CA1416 // These tests run on Linux.
        var shaking = tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                EnabledSslProtocols = SslProtocols.Tls12,
                CipherSuitesPolicy = new CipherSuitesPolicy([suite]),
                RemoteCertificateValidationCallback = (_, _, _, _) => true,
            },
            _patience);
#pragma warning restore CA1416
        await shaking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        Assert.Equal(isSpoken, shaking.IsCompletedSuccessfully);
    }

    private static HttpConfig Http(CertificateFiles? files) => new(new IPEndPoint(IPAddress.Loopback, 0), files);

    private static Uri Url(TestTrustDomain domain, string path) => new($"https://127.0.0.1:{domain.HttpEndPoint.Port}{path}");

    private static HttpClient Anybody() => new(new SocketsHttpHandler { SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, _, _, _) => true } });

    private static HttpClient Believing(X509Certificate2 authority) => new(new SocketsHttpHandler
    {
        SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, CustomTrustStore = { authority }, RevocationMode = X509RevocationMode.NoCheck },
        },
    });

    private CertificateFiles Write(X509Certificate2 certificate)
    {
        var files = new CertificateFiles(_folder.File("web.pem"), _folder.File("web.key"));
        File.WriteAllText(files.Key, certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        File.WriteAllText(files.Certificate, certificate.ExportCertificatePem());
        return files;
    }

    private async Task<string> PresentedAsync(TestTrustDomain domain)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(domain.HttpEndPoint, _patience);
        await using var tls = new SslStream(socket.GetStream(), false, (_, _, _, _) => true);
        await tls.AuthenticateAsClientAsync("localhost");
        return ((X509Certificate2)tls.RemoteCertificate!).Thumbprint;
    }
}
