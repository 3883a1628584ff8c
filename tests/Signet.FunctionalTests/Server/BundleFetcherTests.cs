using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Signet.Client.Tls;
using Signet.Identity.Jose;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Federation;
using Signet.Testing;
using Signet.Testing.Rpc;

namespace Signet.FunctionalTests.Server;

/// <summary>SPIFFE_Federation.md §5.2 on the reader's side, over real sockets: who is believed, and what no endpoint can do to a server.</summary>
public sealed class BundleFetcherTests
{
    private static readonly TrustDomain Other = TrustDomain.Parse("other.example");

    private readonly RpcTestCertificates _web = RpcTestCertificates.Create();
    private readonly TestAuthority _authority = new(DateTimeOffset.UtcNow, Other.Name);
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    private string Good => SpiffeBundle.Of(X509Bundle.Create(Other, [_authority.Anchor], 5, TimeSpan.FromMinutes(2)), JwtBundle.Empty(Other)).ToJson();

    [Fact]
    public async Task F06_F15_An_endpoint_of_the_web_profile_is_believed_by_its_certificate_for_its_host()
    {
        await using var endpoint = new TestBundleEndpoint(Web(), TestBundleEndpoint.Always("200 OK", Good));
        var fetched = await FetchWebAsync(endpoint);
        Assert.Equal("", fetched.Problem);
        Assert.Equal((5ul, TimeSpan.FromMinutes(2)), (fetched.Bundle!.Sequence!.Value, fetched.Bundle.RefreshHint!.Value));
        Assert.Equal(_authority.Anchor, Assert.Single(fetched.Bundle.X509.Authorities));
    }

    [Fact]
    public async Task F15_A_certificate_of_another_authority_or_for_another_host_is_not_believed()
    {
        await using var endpoint = new TestBundleEndpoint(Web(), TestBundleEndpoint.Always("200 OK", Good));
        var stranger = new BundleFetcher(_ => null, [RpcTestCertificates.Create().Authority], TimeProvider.System);
        Assert.Contains("certificate", (await stranger.FetchAsync(WebRelationship("localhost", endpoint.Port), _patience)).Problem);
        await using var elsewhere = new TestBundleEndpoint(Web(), TestBundleEndpoint.Always("200 OK", Good), "127.0.0.2");
        Assert.Contains("certificate", (await FetchAsync(WebFetcher(), WebRelationship("127.0.0.2", elsewhere.Port))).Problem);
        Assert.Equal(0, endpoint.Requests + elsewhere.Requests);
    }

    [Fact]
    public async Task F15_The_machines_own_roots_do_not_believe_a_private_authority()
    {
        await using var endpoint = new TestBundleEndpoint(Web(), TestBundleEndpoint.Always("200 OK", Good));
        Assert.Null((await new BundleFetcher(_ => null, webRoots: null, TimeProvider.System).FetchAsync(WebRelationship("localhost", endpoint.Port), _patience)).Bundle);
    }

    [Fact]
    public async Task F06_F18_An_endpoint_of_the_SPIFFE_profile_is_believed_by_exactly_its_ID()
    {
        await using var endpoint = new TestBundleEndpoint(Spiffe(_authority.Svid("/spire/server")), TestBundleEndpoint.Always("200 OK", Good));
        var fetched = await FetchSpiffeAsync(endpoint, "spiffe://other.example/spire/server", _authority.Bundle);
        Assert.Equal("", fetched.Problem);
        Assert.NotNull(fetched.Bundle);
        var refused = await FetchSpiffeAsync(endpoint, "spiffe://other.example/spire/server2", _authority.Bundle);
        Assert.Equal("it presented spiffe://other.example/spire/server, but spiffe://other.example/spire/server2 was expected", refused.Problem);
    }

    [Fact]
    public async Task F18_A_certificate_that_is_no_SVID_of_the_bundle_is_not_believed()
    {
        var impostor = new TestAuthority(DateTimeOffset.UtcNow, Other.Name);
        await using var endpoint = new TestBundleEndpoint(Spiffe(impostor.Svid("/spire/server")), TestBundleEndpoint.Always("200 OK", Good));
        Assert.Contains("its certificate is refused", (await FetchSpiffeAsync(endpoint, "spiffe://other.example/spire/server", _authority.Bundle)).Problem);

        await using var web = new TestBundleEndpoint(Web(), TestBundleEndpoint.Always("200 OK", Good));
        Assert.Contains("its certificate is refused", (await FetchSpiffeAsync(web, "spiffe://other.example/spire/server", _authority.Bundle)).Problem);
        Assert.Equal(0, endpoint.Requests + web.Requests);
    }

    [Fact]
    public async Task F17_An_endpoint_of_a_third_trust_domain_is_believed_by_that_ones_bundle_and_no_other()
    {
        var third = new TestAuthority(DateTimeOffset.UtcNow, "third.example");
        await using var endpoint = new TestBundleEndpoint(Spiffe(third.Svid("/bundles")), TestBundleEndpoint.Always("200 OK", Good));
        Assert.NotNull((await FetchSpiffeAsync(endpoint, "spiffe://third.example/bundles", third.Bundle, _authority.Bundle)).Bundle);

        // The bundle that is fetched has no say in whom its endpoint must be.
        var refused = await FetchSpiffeAsync(endpoint, "spiffe://third.example/bundles", _authority.Bundle);
        Assert.True(refused is { Bundle: null, LacksTrust: true });
        Assert.Contains("can't be recognised without a bundle of third.example", refused.Problem);
    }

    [Fact]
    public async Task F16_Redirects_are_followed_under_the_same_rules_and_not_remembered()
    {
        await using var target = new TestBundleEndpoint(Spiffe(_authority.Svid("/spire/server")), TestBundleEndpoint.Always("200 OK", Good));
        await using var endpoint = new TestBundleEndpoint(
            Spiffe(_authority.Svid("/spire/server")), TestBundleEndpoint.Always("307 Temporary Redirect", "", $"location: https://127.0.0.1:{target.Port}/elsewhere"));
        Assert.NotNull((await FetchSpiffeAsync(endpoint, "spiffe://other.example/spire/server", _authority.Bundle)).Bundle);
        Assert.NotNull((await FetchSpiffeAsync(endpoint, "spiffe://other.example/spire/server", _authority.Bundle)).Bundle);
        Assert.Equal((2, 2), (endpoint.Requests, target.Requests));
    }

    [Fact]
    public async Task F16_A_redirect_to_somebody_else_is_not_believed()
    {
        await using var target = new TestBundleEndpoint(Spiffe(_authority.Svid("/web")), TestBundleEndpoint.Always("200 OK", Good));
        await using var endpoint = new TestBundleEndpoint(
            Spiffe(_authority.Svid("/spire/server")), TestBundleEndpoint.Always("302 Found", "", $"location: https://127.0.0.1:{target.Port}/"));
        var refused = await FetchSpiffeAsync(endpoint, "spiffe://other.example/spire/server", _authority.Bundle);
        Assert.Contains("it presented spiffe://other.example/web", refused.Problem);
        Assert.Equal(0, target.Requests);
    }

    [Theory]
    [InlineData("http://127.0.0.1/bundle", "not https")]
    [InlineData("https://me@127.0.0.1/bundle", "user name")]
    [InlineData("file:///etc/passwd", "not https")]
    public async Task F13_A_redirect_to_what_is_no_endpoint_URL_is_refused(string location, string problem)
    {
        await using var endpoint = new TestBundleEndpoint(Web(), TestBundleEndpoint.Always("302 Found", "", $"location: {location}"));
        Assert.Contains(problem, (await FetchWebAsync(endpoint)).Problem);
    }

    [Fact]
    public async Task Redirects_in_a_circle_end()
    {
        await using var endpoint = new TestBundleEndpoint(Web(), TestBundleEndpoint.Always("302 Found", "", "location: /bundle"));
        Assert.Contains($"more than {BundleFetcher.MaxRedirects} redirects", (await FetchWebAsync(endpoint)).Problem);
        Assert.Equal(BundleFetcher.MaxRedirects + 1, endpoint.Requests);
    }

    [Fact]
    public async Task A_hundred_megabytes_are_not_read()
    {
        long written = 0;
        await using var endpoint = new TestBundleEndpoint(Web(), async (_, stream) =>
        {
            await stream.WriteAsync("HTTP/1.1 200 OK\r\n\r\n"u8.ToArray());
            var chunk = new byte[64 * 1024];
            while (written < 100 * 1024 * 1024)
            {
                await stream.WriteAsync(chunk);
                written += chunk.Length;
            }
        });
        Assert.Contains($"more than {BundleFetcher.MaxBytes} bytes", (await FetchWebAsync(endpoint)).Problem);
        Assert.True(written < 50 * 1024 * 1024, $"{written} bytes were written before the reader was gone");

        await using var announced = new TestBundleEndpoint(Web(), (_, stream) => stream.WriteAsync("HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n"u8.ToArray()).AsTask());
        Assert.Contains($"more than {BundleFetcher.MaxBytes} bytes", (await FetchWebAsync(announced)).Problem);
    }

    [Fact]
    public async Task An_endpoint_that_hangs_is_left_after_its_time()
    {
        var time = new ManualTimeProvider(DateTimeOffset.UtcNow);
        await using var endpoint = new TestBundleEndpoint(Web(), (_, stream) => stream.WriteAsync("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"u8.ToArray()).AsTask());
        var fetching = new BundleFetcher(_ => null, [_web.Authority], time).FetchAsync(WebRelationship("localhost", endpoint.Port), _patience);
        await Eventually.IsTrueAsync(() => endpoint.Requests == 1, "the request");
        Assert.False(fetching.IsCompleted);
        time.Advance(BundleFetcher.Timeout);
        Assert.Contains("did not answer within 30 s", (await fetching).Problem);
    }

    [Theory]
    [InlineData("500 Internal Server Error", "{}", "it answered 500")]
    [InlineData("404 Not Found", "{}", "it answered 404")]
    [InlineData("200 OK", "<html>", "not JSON")]
    [InlineData("200 OK", "", "not JSON")]
    [InlineData("200 OK", "{}", "keys")]
    public async Task F12_What_is_no_bundle_is_refused(string status, string body, string problem)
    {
        await using var endpoint = new TestBundleEndpoint(Web(), TestBundleEndpoint.Always(status, body));
        var fetched = await FetchWebAsync(endpoint);
        Assert.Null(fetched.Bundle);
        Assert.Contains(problem, fetched.Problem);
    }

    [Fact]
    public async Task F12_What_is_not_UTF8_is_refused()
    {
        await using var endpoint = new TestBundleEndpoint(Web(), (_, stream) => stream.WriteAsync((byte[])[.. "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"u8, 0xff, 0xfe]).AsTask());
        Assert.Contains("not UTF-8", (await FetchWebAsync(endpoint)).Problem);
    }

    [Fact]
    public async Task An_endpoint_that_hangs_up_or_is_not_there_is_a_problem()
    {
        int port;
        await using (var endpoint = new TestBundleEndpoint(Web(), (_, stream) => throw new IOException("hangs up")))
        {
            port = endpoint.Port;
            Assert.NotEmpty((await FetchWebAsync(endpoint)).Problem);
        }

        Assert.Contains("refused", (await FetchAsync(WebFetcher(), WebRelationship("localhost", port))).Problem, StringComparison.OrdinalIgnoreCase);
    }

    private static SslServerAuthenticationOptions Spiffe(X509Svid svid) => SvidTls.Server(new TlsCredential(svid), clientCertificate: false, (_, _) => true);

    private SslServerAuthenticationOptions Web() => new() { ServerCertificateContext = SslStreamCertificateContext.Create(_web.Server, null, offline: true) };

    private BundleFetcher WebFetcher() => new(_ => null, [_web.Authority], TimeProvider.System);

    private Task<FetchedBundle> FetchWebAsync(TestBundleEndpoint endpoint) => FetchAsync(WebFetcher(), WebRelationship("localhost", endpoint.Port));

    private Task<FetchedBundle> FetchSpiffeAsync(TestBundleEndpoint endpoint, string id, params X509Bundle[] kept) => FetchAsync(
        new BundleFetcher(trustDomain => kept.SingleOrDefault(bundle => bundle.TrustDomain == trustDomain), webRoots: null, TimeProvider.System),
        new FederationRelationship(Other, Url("127.0.0.1", endpoint.Port), new EndpointProfile.HttpsSpiffe(SpiffeId.Parse(id))));

    private Task<FetchedBundle> FetchAsync(BundleFetcher fetcher, FederationRelationship relationship) => fetcher.FetchAsync(relationship, _patience);

    private static FederationRelationship WebRelationship(string host, int port) => new(Other, Url(host, port), new EndpointProfile.HttpsWeb());

    private static BundleEndpointUrl Url(string host, int port) =>
        BundleEndpointUrl.TryParse($"https://{host}:{port}/bundle", out var url, out var problem) ? url : throw new InvalidOperationException(problem);
}
