using System.Text.Json;
using Grpc.Core;
using Signet.Client;
using Signet.FunctionalTests.Proxy;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Proxy;
using Signet.Proxy.Config;
using Signet.Rpc.Wire.Spiffe;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent;

/// <summary>JWT-SVIDs from the server through the agent to those who show them and those who believe them.</summary>
public sealed class JwtTests(EmptyDomain world) : IClassFixture<EmptyDomain>
{
    private static readonly SpiffeId Web = SpiffeId.Of(TestTrustDomain.Name, "/web");

    private const string TakesTokens = ProxyWorld.Permissive + """
        ---
        apiVersion: security.istio.io/v1
        kind: RequestAuthentication
        metadata: {name: tokens, namespace: default}
        spec: {jwtRules: [{issuer: "spiffe://example.org", audiences: [pay]}]}
        ---
        apiVersion: security.istio.io/v1
        kind: AuthorizationPolicy
        metadata: {name: web, namespace: default}
        spec: {rules: [{from: [{source: {requestPrincipals: ["spiffe://example.org/*"]}}], when: [{key: "request.auth.claims[sub]", values: ["spiffe://example.org/web"]}]}]}
        """;

    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task A_workload_gets_a_token_that_the_agent_and_its_bundle_believe()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        var svid = Assert.Single(await FetchAsync(domain, ["billing", "orders"]));
        Assert.Equal(Web, svid.Id);
        Assert.InRange(svid.ExpiresAt, DateTimeOffset.UtcNow.AddMinutes(4), DateTimeOffset.UtcNow.AddMinutes(6));

        Assert.Equal(Web.Uri, (await domain.Client.ValidateJwtAsync("orders", svid.Token, _patience)).Id.Uri);
        Assert.Contains("not for \"other\"", (await Assert.ThrowsAsync<WorkloadApiException>(() => domain.Client.ValidateJwtAsync("other", svid.Token, _patience))).Message, StringComparison.Ordinal);
        Assert.Contains("signature", (await Assert.ThrowsAsync<WorkloadApiException>(() => domain.Client.ValidateJwtAsync("orders", svid.Token[..^8] + "AAAAAAAA", _patience))).Message, StringComparison.Ordinal);

        await using var bundles = new JwtBundleSource(domain.WorkloadApi, TimeProvider.System);
        await Eventually.IsTrueAsync(() => bundles.Find(TestTrustDomain.Name) is not null, "the keys");
        Assert.True(JwtSvidVerifier.Verify(svid.Token, bundles.Find, "billing", DateTimeOffset.UtcNow).IsTrusted);
        Assert.Null(bundles.Find(TrustDomain.Parse("other.org")));
    }

    [Fact]
    public async Task A_token_is_kept_for_its_audiences()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        var first = Assert.Single(await FetchAsync(domain, ["billing"]));
        Assert.Equal(first.Token, Assert.Single(await FetchAsync(domain, ["billing"])).Token);
        var other = Assert.Single(await FetchAsync(domain, ["orders"]));
        Assert.NotEqual(first.Token, other.Token);

        await domain.StopServerAsync();
        Assert.Equal(first.Token, Assert.Single(await FetchAsync(domain, ["billing"])).Token);
        await domain.StartServerAsync();
    }

    [Fact]
    public async Task Each_identity_has_its_token_and_one_can_be_asked_for()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        await using var second = await world.RegisterAsync("/second");
        await using var foreign = await world.RegisterAsync("/foreign", new Selector("unix", "uid:4000000"));
        Assert.Equal(["/web", "/second"], (await FetchAsync(domain, ["a"], want: 2)).Select(svid => svid.Id.Path));
        Assert.Equal("/second", Assert.Single(await FetchAsync(domain, ["a"], SpiffeId.Of(TestTrustDomain.Name, "/second"))).Id.Path);
        var denied = await Assert.ThrowsAsync<RpcException>(() => domain.Client.FetchJwtAsync(["a"], SpiffeId.Of(TestTrustDomain.Name, "/foreign"), _patience));
        Assert.Equal(StatusCode.PermissionDenied, denied.StatusCode);
    }

    [Fact]
    public async Task Mistakes_have_the_codes_that_the_standard_gives_them()
    {
        var domain = world.Domain;
        using var channel = WorkloadApi.Connect(domain.WorkloadApi, TimeProvider.System);
        var api = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel);
        await CodeAsync(StatusCode.PermissionDenied, () => api.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "a" } }, WorkloadApi.Options(_patience)).ResponseAsync);
        await CodeAsync(StatusCode.PermissionDenied, () => api.ValidateJWTSVIDAsync(new ValidateJWTSVIDRequest { Audience = "a", Svid = "a.b.c" }, WorkloadApi.Options(_patience)).ResponseAsync);
        await CodeAsync(StatusCode.PermissionDenied, () => api.FetchJWTBundles(new JWTBundlesRequest(), WorkloadApi.Options(_patience)).ResponseStream.MoveNext(_patience));

        await using var web = await world.RegisterAsync("/web");
        await FetchAsync(domain, ["a"]);
        await CodeAsync(StatusCode.InvalidArgument, () => api.FetchJWTSVIDAsync(new JWTSVIDRequest(), WorkloadApi.Options(_patience)).ResponseAsync);
        await CodeAsync(StatusCode.InvalidArgument, () => api.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "" } }, WorkloadApi.Options(_patience)).ResponseAsync);
        await CodeAsync(StatusCode.InvalidArgument, () => api.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "a" }, SpiffeId = "web" }, WorkloadApi.Options(_patience)).ResponseAsync);
        await CodeAsync(StatusCode.InvalidArgument, () => api.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "a" } }, new CallOptions(CancellationToken: _patience)).ResponseAsync);
        await CodeAsync(StatusCode.InvalidArgument, () => api.ValidateJWTSVIDAsync(new ValidateJWTSVIDRequest { Audience = "a" }, WorkloadApi.Options(_patience)).ResponseAsync);
        await CodeAsync(StatusCode.InvalidArgument, () => api.ValidateJWTSVIDAsync(new ValidateJWTSVIDRequest { Svid = "a.b.c" }, WorkloadApi.Options(_patience)).ResponseAsync);
        await CodeAsync(StatusCode.InvalidArgument, () => api.ValidateJWTSVIDAsync(new ValidateJWTSVIDRequest { Audience = "a", Svid = "a.b.c" }, WorkloadApi.Options(_patience)).ResponseAsync);

        static async Task CodeAsync(StatusCode code, Func<Task> call) => Assert.Equal(code, (await Assert.ThrowsAsync<RpcException>(call)).StatusCode);
    }

    [Fact]
    public async Task A_token_from_before_a_restart_of_server_and_agent_is_still_believed()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        var svid = Assert.Single(await FetchAsync(domain, ["a"]));
        await domain.StopAgentAsync();
        await domain.StopServerAsync();
        await domain.StartServerAsync();
        await domain.StartAgentAsync();
        await FetchAsync(domain, ["b"]);
        Assert.Equal(Web.Uri, (await domain.Client.ValidateJwtAsync("a", svid.Token, _patience)).Id.Uri);
    }

    [Fact]
    public async Task A_new_key_reaches_everybody_before_it_signs_and_the_old_ones_tokens_hold_until_they_expire()
    {
        var time = new ManualTimeProvider();
        await using var domain = await TestTrustDomain.StartAsync(authorityTtl: TimeSpan.FromMinutes(1), time: time);
        await domain.RegisterAsync("/web");
        await using var bundles = new JwtBundleSource(domain.WorkloadApi, time);
        var first = Assert.Single(await FetchAsync(domain, ["a"]));
        await Eventually.IsTrueAsync(() => Keys().Count == 1, "the first key", passing: time);
        var firstKey = Keys()[0];

        await Eventually.IsTrueAsync(() => Keys().Count == 2, "the second key, prepared", passing: time);
        Assert.Equal(Web.Uri, (await domain.Client.ValidateJwtAsync("a", first.Token, _patience)).Id.Uri);

        // Every token that is signed meanwhile is believed at once, by whichever key.
        var i = 0;
        await Eventually.IsTrueAsync(
            async () =>
            {
                var audience = $"{++i}";
                var svid = Assert.Single(await domain.Client.FetchJwtAsync([audience], null, _patience));
                Assert.True(JwtSvidVerifier.Verify(svid.Token, bundles.Find, audience, time.GetUtcNow()).IsTrusted);
                return KeyOf(svid.Token) != firstKey;
            },
            "a token by the second key",
            passing: time);
        await Eventually.IsTrueAsync(() => !Keys().Contains(firstKey), "the first key is gone with what it signed", passing: time);
        Assert.True(first.ExpiresAt <= time.GetUtcNow());

        IReadOnlyList<string> Keys() => [.. bundles.Find(TestTrustDomain.Name)?.Authorities.Select(authority => authority.KeyId) ?? []];

        static string? KeyOf(string token)
        {
            Assert.True(CompactJws.TryParse(token, out var jws, out _));
            using (jws)
            {
                return jws.HeaderText("kid");
            }
        }
    }

    [Fact]
    public async Task An_operator_mints_tokens_of_workloads_and_of_nobody_else()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        await FetchAsync(domain, ["a"]);
        using var admin = domain.Admin();
        var minted = await admin.MintTokenAsync(SpiffeId.Of(TestTrustDomain.Name, "/tool"), ["a"], TimeSpan.FromMinutes(1), _patience);
        Assert.Equal("spiffe://example.org/tool", (await domain.Client.ValidateJwtAsync("a", minted.Token, _patience)).Id.Uri);
        foreach (var id in new[] { "spiffe://other.org/tool", "spiffe://example.org", "spiffe://example.org/spire/server" })
        {
            Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(() => admin.MintTokenAsync(SpiffeId.Parse(id), ["a"], null, _patience))).StatusCode);
        }

        Assert.Equal(StatusCode.InvalidArgument, (await Assert.ThrowsAsync<RpcException>(() => admin.MintTokenAsync(Web, [], null, _patience))).StatusCode);
    }

    [Fact]
    [Proves(RefusalReason.TokenInvalid)]
    public async Task A_proxy_believes_the_JWT_SVIDs_of_its_trust_domain_with_the_keys_of_the_agent()
    {
        var domain = world.Domain;
        await using var web = await world.RegisterAsync("/web");
        var good = Assert.Single(await FetchAsync(domain, ["pay"])).Token;
        var elsewhere = Assert.Single(await FetchAsync(domain, ["elsewhere"])).Token;
        using var admin = domain.Admin();
        var other = (await admin.MintTokenAsync(SpiffeId.Of(TestTrustDomain.Name, "/other"), ["pay"], null, _patience)).Token;
        await using var stranger = await TestTrustDomain.StartAsync();
        using var strange = stranger.Admin();
        var forged = (await strange.MintTokenAsync(Web, ["pay"], null, _patience)).Token;

        await using var app = App.Http();
        await using var proxy = await ProxyWorld.InboundAsync(app.EndPoint, TakesTokens, change: config => config with { Identity = new IdentityConfig.Socket(domain.WorkloadApi) });
        await using var client = await Wire.PlainAsync(proxy.Inbound);
        await Eventually.IsTrueAsync(async () => (await client.AskAsync(Get(good))).Status == 200, "the keys have come");
        Assert.Equal(403, (await client.AskAsync(Get(null))).Status);
        Assert.Equal(403, (await client.AskAsync(Get(other))).Status);
        foreach (var (token, reason) in new[] { (elsewhere, "which no rule accepts"), (forged, "made the token's signature") })
        {
            await using var again = await Wire.PlainAsync(proxy.Inbound);
            Assert.Equal(401, (await again.AskAsync(Get(token))).Status);
            await proxy.LoggedAsync(line => line.GetRawText().Contains(reason.Replace("'", "\\u0027", StringComparison.Ordinal), StringComparison.Ordinal) || line.GetRawText().Contains(reason, StringComparison.Ordinal), reason);
        }
    }

    [Fact]
    public async Task A_proxy_without_a_Workload_API_believes_no_JWT_SVID()
    {
        await using var app = App.Http();
        await using var world = await ProxyWorld.InboundAsync(app.EndPoint, TakesTokens);
        await using var client = await Wire.PlainAsync(world.Inbound);
        using var key = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        var token = JwtSvid.Sign(Web, ["pay"], DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddMinutes(5), "k", key);
        Assert.Equal(401, (await client.AskAsync(Get(token))).Status);
        await world.LoggedAsync(line => line.GetRawText().Contains("are not available", StringComparison.Ordinal), "no keys");
    }

    private static string Get(string? token) => $"GET / HTTP/1.1\r\nHost: orders\r\n{(token is null ? "" : $"Authorization: Bearer {token}\r\n")}\r\n";

    /// <summary>Asks until the agent has heard of what was just registered.</summary>
    private async Task<IReadOnlyList<FetchedJwt>> FetchAsync(TestTrustDomain domain, string[] audiences, SpiffeId? id = null, int want = 1)
    {
        IReadOnlyList<FetchedJwt> fetched = [];
        await Eventually.IsTrueAsync(
            async () =>
            {
                try
                {
                    fetched = await domain.Client.FetchJwtAsync(audiences, id, _patience);
                    return fetched.Count == want;
                }
                catch (RpcException e) when (e.StatusCode is StatusCode.PermissionDenied or StatusCode.Unavailable)
                {
                    return false;
                }
            },
            "a token");
        return fetched;
    }
}
