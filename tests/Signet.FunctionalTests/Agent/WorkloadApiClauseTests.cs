using System.Text.Json;
using Grpc.Core;
using Signet.Client;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire.Reflection;
using Signet.Rpc.Wire.Spiffe;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent;

/// <summary>
/// SPIFFE_Workload_API.md (W) and SPIFFE_Workload_Endpoint.md (E), a clause a test. What clients owe stands, by the clauses' names too, in <c>IdentityTests</c>
/// (W03, W05, W11), <c>X509BundleTests</c> (W07) and <c>WorkloadApiAddressTests</c> (E05, E06).
/// </summary>
public sealed class WorkloadApiClauseTests(AgentDomain world) : IClassFixture<AgentDomain>, IDisposable
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(5)).Token;
    private readonly GrpcChannel _channel = world.Connect();

    [Fact]
    public async Task W01_W08_Both_profiles_are_served_and_an_SVID_is_a_chain_from_its_leaf_and_a_plain_key()
    {
        var svid = Assert.Single((await FirstAsync(Api.FetchX509SVID(new X509SVIDRequest(), Options))).Svids);
        Assert.True(CertificateList.TryParse(svid.X509Svid.Memory, out var chain, out var problem), problem);
        Assert.Equal([svid.SpiffeId], chain[0].UriNames);
        Assert.True(chain.Count == 2 && chain[0].IssuerName.Equals(chain[1].SubjectName));
        Assert.True(KeyPair.TryImportPkcs8(svid.X509SvidKey.ToByteArray(), out var key, out problem), problem);
        Assert.Equal(chain[0].SubjectPublicKeyInfo.ToArray(), KeyPair.ExportPublicKey(key));
        Assert.NotEmpty((await FirstAsync(Api.FetchX509Bundles(new X509BundlesRequest(), Options))).Bundles);
        Assert.NotEmpty((await Api.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "a" } }, Options).ResponseAsync).Svids);
        Assert.NotEmpty((await FirstAsync(Api.FetchJWTBundles(new JWTBundlesRequest(), Options))).Bundles);
    }

    [Fact]
    public void W02_E09_The_API_has_its_methods_and_no_more() => Assert.Equal(
        ["FetchJWTBundles", "FetchJWTSVID", "FetchWITBundles", "FetchWITSVID", "FetchX509Bundles", "FetchX509SVID", "ValidateJWTSVID"],
        SpiffeWorkloadAPI.Descriptor.Methods.Select(method => method.Name).Order(StringComparer.Ordinal));

    [Fact]
    public async Task W04_W09_W11_W19_The_first_message_comes_at_once_each_is_the_whole_hints_are_unique_and_what_goes_is_gone_from_the_next()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        var first = await RegisterAsync(domain, "/first", "internal");
        await AgentDomain.AnswersAsync(domain, StatusCode.OK);
        using var channel = WorkloadApi.Connect(domain.WorkloadApi, TimeProvider.System);
        var api = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel);
        using var svids = api.FetchX509SVID(new X509SVIDRequest(), Options);
        using var bundles = api.FetchX509Bundles(new X509BundlesRequest(), Options);
        using var keys = api.FetchJWTBundles(new JWTBundlesRequest(), Options);
        Assert.Equal(["/first internal"], await NextAsync(svids));
        Assert.True(await bundles.ResponseStream.MoveNext(_patience) && await keys.ResponseStream.MoveNext(_patience));

        var second = await RegisterAsync(domain, "/second", "internal");
        Assert.Equal(["/first internal", "/second "], await NextAsync(svids));
        var tokens = await api.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "a" } }, Options).ResponseAsync;
        Assert.Equal(["internal", ""], tokens.Svids.Select(token => token.Hint));

        using var admin = domain.Admin();
        await admin.DeleteEntryAsync(first.Id, _patience);
        Assert.Equal(["/second internal"], await NextAsync(svids));
        await admin.DeleteEntryAsync(second.Id, _patience);
        await CodeAsync(StatusCode.PermissionDenied, svids.ResponseStream.MoveNext(_patience));
        await CodeAsync(StatusCode.PermissionDenied, bundles.ResponseStream.MoveNext(_patience));
        await CodeAsync(StatusCode.PermissionDenied, keys.ResponseStream.MoveNext(_patience));

        await CodeAsync(StatusCode.InvalidArgument, RegisterAsync(domain, "/third", new string('x', 1025)));
    }

    [Fact]
    public async Task W06_E08_An_empty_or_wrong_mandatory_field_is_an_invalid_argument()
    {
        await CodeAsync(StatusCode.InvalidArgument, Api.FetchJWTSVIDAsync(new JWTSVIDRequest(), Options).ResponseAsync);
        await CodeAsync(StatusCode.InvalidArgument, Api.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "" } }, Options).ResponseAsync);
        await CodeAsync(StatusCode.InvalidArgument, Api.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "a" }, SpiffeId = "https://x" }, Options).ResponseAsync);
        await CodeAsync(StatusCode.InvalidArgument, Api.ValidateJWTSVIDAsync(new ValidateJWTSVIDRequest { Svid = "x" }, Options).ResponseAsync);
        await CodeAsync(StatusCode.InvalidArgument, Api.ValidateJWTSVIDAsync(new ValidateJWTSVIDRequest { Audience = "a" }, Options).ResponseAsync);
    }

    [Fact]
    public async Task W10_E08_Whoever_has_no_identity_is_denied_everything()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/other", new Selector("unix", "uid:4000000"));
        await AgentDomain.AnswersAsync(domain, StatusCode.PermissionDenied);
        using var channel = WorkloadApi.Connect(domain.WorkloadApi, TimeProvider.System);
        var api = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel);
        await EachMethodAsync(StatusCode.PermissionDenied, api, Options);
        var refusal = await Assert.ThrowsAsync<RpcException>(() => api.FetchX509SVID(new X509SVIDRequest(), Options).ResponseStream.MoveNext(_patience));
        Assert.Equal("no identity issued", refusal.Status.Detail);
    }

    [Fact]
    public async Task W12_W13_W15_Bundles_hold_the_own_trust_domain_and_nothing_of_another_kind()
    {
        var x509 = await FirstAsync(Api.FetchX509Bundles(new X509BundlesRequest(), Options));
        Assert.Equal(["spiffe://example.org"], x509.Bundles.Keys);
        Assert.True(CertificateList.TryParse(x509.Bundles["spiffe://example.org"].Memory, out var authorities, out _));
        Assert.All(authorities, authority => Assert.True(authority.IsAuthority));
        var svid = await FirstAsync(Api.FetchX509SVID(new X509SVIDRequest(), Options));
        Assert.Equal(x509.Bundles["spiffe://example.org"], svid.Svids[0].Bundle);
        Assert.Empty(svid.FederatedBundles);

        var jwt = await FirstAsync(Api.FetchJWTBundles(new JWTBundlesRequest(), Options));
        var keys = JsonDocument.Parse(jwt.Bundles["spiffe://example.org"].ToStringUtf8()).RootElement.GetProperty("keys").EnumerateArray().ToList();
        Assert.NotEmpty(keys);
        Assert.All(keys, key => Assert.True(key.GetProperty("use").GetString() == "jwt-svid" && !key.TryGetProperty("x5c", out _)));
    }

    [Fact]
    public async Task W14_A_token_is_for_its_audiences_and_without_an_ID_there_is_one_of_each_identity()
    {
        var selector = TestTrustDomain.Myself;
        var entry = await world.Domain.RegisterAsync("/w14", selector);
        await Eventually.IsTrueAsync(async () => (await Api.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "a", "b" } }, Options).ResponseAsync).Svids.Count == 2, "both");
        var both = (await Api.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "a", "b" } }, Options).ResponseAsync).Svids;
        Assert.Equal(["spiffe://example.org/web", "spiffe://example.org/w14"], both.Select(svid => svid.SpiffeId));
        Assert.True(CompactJws.TryParse(both[1].Svid, out var jws, out _));
        jws.Dispose();
        var claims = JsonDocument.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(both[1].Svid.Split('.')[1])).RootElement;
        Assert.Equal(["a", "b"], claims.GetProperty("aud").EnumerateArray().Select(audience => audience.GetString()));
        Assert.Equal("spiffe://example.org/w14", claims.GetProperty("sub").GetString());
        using var admin = world.Domain.Admin();
        await admin.DeleteEntryAsync(entry.Id, _patience);
        await Eventually.IsTrueAsync(async () => (await Api.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "a", "b" } }, Options).ResponseAsync).Svids.Count == 1, "the end of the entry");
    }

    [Fact]
    public async Task W16_W17_A_token_is_judged_by_its_own_trust_domains_bundle_and_one_without_is_not_believed()
    {
        var token = (await Api.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "a" } }, Options).ResponseAsync).Svids[0].Svid;
        var valid = await Api.ValidateJWTSVIDAsync(new ValidateJWTSVIDRequest { Audience = "a", Svid = token }, Options).ResponseAsync;
        Assert.Equal(("spiffe://example.org/web", "spiffe://example.org/web"), (valid.SpiffeId, valid.Claims.Fields["sub"].StringValue));
        await CodeAsync(StatusCode.InvalidArgument, Validate("b", token));
        await CodeAsync(StatusCode.InvalidArgument, Validate("a", token[..^8] + "AAAAAAAA"));

        using var key = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        var now = DateTimeOffset.UtcNow;
        foreach (var id in new[] { "spiffe://example.org/web", "spiffe://other.org/web" })
        {
            await CodeAsync(StatusCode.InvalidArgument, Validate("a", JwtSvid.Sign(SpiffeId.Parse(id), ["a"], now, now.AddMinutes(5), "k", key)));
        }

        Task Validate(string audience, string svid) => Api.ValidateJWTSVIDAsync(new ValidateJWTSVIDRequest { Audience = audience, Svid = svid }, Options).ResponseAsync;
    }

    [Fact]
    public async Task W18_What_is_not_turned_on_is_unimplemented()
    {
        await CodeAsync(StatusCode.Unimplemented, Api.FetchWITSVID(new WITSVIDRequest(), Options).ResponseStream.MoveNext(_patience));
        await CodeAsync(StatusCode.Unimplemented, Api.FetchWITBundles(new WITBundlesRequest(), Options).ResponseStream.MoveNext(_patience));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("TRUE")]
    [InlineData("1")]
    public async Task E03_Without_the_header_exactly_as_it_must_be_every_request_is_an_invalid_argument(string? value)
    {
        var headers = value is null ? new Metadata() : new Metadata { { "workload.spiffe.io", value } };
        var options = new CallOptions(headers, CancellationToken: _patience);
        await EachMethodAsync(StatusCode.InvalidArgument, Api, options);
        await CodeAsync(StatusCode.InvalidArgument, Api.FetchWITSVID(new WITSVIDRequest(), options).ResponseStream.MoveNext(_patience));
        await CodeAsync(StatusCode.InvalidArgument, Api.FetchWITBundles(new WITBundlesRequest(), options).ResponseStream.MoveNext(_patience));
    }

    [Fact]
    public async Task E01_E02_E04_E07_The_endpoint_is_a_local_socket_for_everybody_and_asks_for_neither_TLS_nor_a_credential()
    {
        Assert.Equal(Signet.Hosting.Files.UnixSocketPath.EverybodyConnects, File.GetUnixFileMode(world.Domain.AgentSocket));
        Assert.NotEmpty((await FirstAsync(Api.FetchX509SVID(new X509SVIDRequest(), Options))).Svids);
    }

    [Fact]
    public async Task E08_Before_the_server_was_heard_everything_is_unavailable()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        await domain.StopAgentAsync();
        await domain.StopServerAsync();
        Directory.Delete(Path.Combine(domain.Folder, "agent"), recursive: true);
        await domain.StartAgentAsync("a-token-that-leads-nowhere");
        using var channel = WorkloadApi.Connect(domain.WorkloadApi, TimeProvider.System);
        await EachMethodAsync(StatusCode.Unavailable, new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel), Options);
        await domain.StartServerAsync();
    }

    [Fact]
    public async Task E09_Reflection_tells_that_the_Workload_API_is_there()
    {
        using var call = new ServerReflection.ServerReflectionClient(_channel).ServerReflectionInfo(new CallOptions(CancellationToken: _patience));
        await call.RequestStream.WriteAsync(new ServerReflectionRequest { ListServices = "*" }, _patience);
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        var services = call.ResponseStream.Current.ListServicesResponse.Service.Select(service => service.Name).ToList();
        Assert.Contains("SpiffeWorkloadAPI", services);
        Assert.Contains("envoy.service.secret.v3.SecretDiscoveryService", services);
        Assert.DoesNotContain("spire.api.agent.delegatedidentity.v1.DelegatedIdentity", services);
    }

    public void Dispose() => _channel.Dispose();

    private SpiffeWorkloadAPI.SpiffeWorkloadAPIClient Api => new(_channel);

    private CallOptions Options => WorkloadApi.Options(_patience);

    private async Task EachMethodAsync(StatusCode code, SpiffeWorkloadAPI.SpiffeWorkloadAPIClient api, CallOptions options)
    {
        await CodeAsync(code, api.FetchX509SVID(new X509SVIDRequest(), options).ResponseStream.MoveNext(_patience));
        await CodeAsync(code, api.FetchX509Bundles(new X509BundlesRequest(), options).ResponseStream.MoveNext(_patience));
        await CodeAsync(code, api.FetchJWTSVIDAsync(new JWTSVIDRequest { Audience = { "a" } }, options).ResponseAsync);
        await CodeAsync(code, api.FetchJWTBundles(new JWTBundlesRequest(), options).ResponseStream.MoveNext(_patience));
        await CodeAsync(code, api.ValidateJWTSVIDAsync(new ValidateJWTSVIDRequest { Audience = "a", Svid = "a.b.c" }, options).ResponseAsync);
    }

    private async Task<T> FirstAsync<T>(AsyncServerStreamingCall<T> call)
    {
        using (call)
        {
            Assert.True(await call.ResponseStream.MoveNext(_patience));
            return call.ResponseStream.Current;
        }
    }

    private async Task<string[]> NextAsync(AsyncServerStreamingCall<X509SVIDResponse> call)
    {
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        return [.. call.ResponseStream.Current.Svids.Select(svid => $"{SpiffeId.Parse(svid.SpiffeId).Path} {svid.Hint}")];
    }

    private static async Task<RegistrationEntry> RegisterAsync(TestTrustDomain domain, string path, string hint)
    {
        using var admin = domain.Admin();
        return await admin.CreateEntryAsync(
            new RegistrationEntry { Id = "", SpiffeId = SpiffeId.Of(domain.TrustDomain, path), ParentId = domain.AgentId, Selectors = [TestTrustDomain.Myself], Hint = hint }, CancellationToken.None);
    }

    private static async Task CodeAsync(StatusCode code, Task call) => Assert.Equal(code, (await Assert.ThrowsAsync<RpcException>(() => call)).StatusCode);
}
