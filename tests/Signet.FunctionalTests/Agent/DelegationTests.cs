using System.Diagnostics;
using Grpc.Core;
using Signet.Identity.Registration;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Agent.Debug;
using Signet.Rpc.Wire.Spire.Agent.DelegatedIdentity;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent;

/// <summary>The agent's admin socket: identities of others for those that may act for them, and the agent at this moment.</summary>
public sealed class DelegationTests(AgentDomain world) : IClassFixture<AgentDomain>, IDisposable
{
    private static readonly Selector Billing = new("unix", "uid:4000000");

    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(5)).Token;
    private readonly GrpcChannel _channel = GrpcChannel.ForUnixSocket(world.Domain.AgentAdminSocket, TimeProvider.System);

    [Fact]
    public async Task A_delegate_gets_the_SVIDs_and_keys_of_a_workload_by_its_selectors()
    {
        using var call = Api.SubscribeToX509SVIDs(new SubscribeToX509SVIDsRequest { Selectors = { Billing.ToWire() } }, Options);
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        var svid = Assert.Single(call.ResponseStream.Current.X509Svids);
        Assert.Equal("/billing", svid.X509Svid.Id.Path);
        Assert.True(Certificate.TryParse(svid.X509Svid.CertChain[0].Memory, out var leaf, out _));
        Assert.True(KeyPair.TryImportPkcs8(svid.X509SvidKey.ToByteArray(), out var key, out _));
        Assert.Equal(leaf.SubjectPublicKeyInfo.ToArray(), KeyPair.ExportPublicKey(key));
    }

    [Fact]
    public async Task A_workload_without_identity_is_an_empty_message_and_its_identity_comes_when_there_is_one()
    {
        var late = new Selector("unix", "uid:4000009");
        using var call = Api.SubscribeToX509SVIDs(new SubscribeToX509SVIDsRequest { Selectors = { late.ToWire() } }, Options);
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        Assert.Empty(call.ResponseStream.Current.X509Svids);
        var entry = await world.Domain.RegisterAsync("/late", late);
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        Assert.Equal("/late", Assert.Single(call.ResponseStream.Current.X509Svids).X509Svid.Id.Path);
        using var admin = world.Domain.Admin();
        await admin.DeleteEntryAsync(entry.Id, _patience);
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        Assert.Empty(call.ResponseStream.Current.X509Svids);
    }

    [Fact]
    public async Task A_process_is_attested_and_a_stream_for_it_ends_with_it()
    {
        using var process = Process.Start(new ProcessStartInfo("sleep", "60"))!;
        using var call = Api.SubscribeToX509SVIDs(new SubscribeToX509SVIDsRequest { Pid = process.Id }, Options);
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        Assert.Equal("/web", Assert.Single(call.ResponseStream.Current.X509Svids).X509Svid.Id.Path);
        var tokens = await Api.FetchJWTSVIDsAsync(new FetchJWTSVIDsRequest { Audience = { "a" }, Pid = process.Id }, Options).ResponseAsync;
        Assert.Equal("/web", Assert.Single(tokens.Svids).Id.Path);

        process.Kill();
        await process.WaitForExitAsync(_patience);
        await CodeAsync(StatusCode.NotFound, Api.FetchJWTSVIDsAsync(new FetchJWTSVIDsRequest { Audience = { "a" }, Pid = process.Id }, Options).ResponseAsync);
        await world.Domain.RegisterAsync("/wakes-the-stream", new Selector("unix", "uid:4000010"));
        await CodeAsync(StatusCode.NotFound, call.ResponseStream.MoveNext(_patience));
    }

    [Fact]
    public async Task Tokens_and_bundles_are_handed_out_too()
    {
        var tokens = await Api.FetchJWTSVIDsAsync(new FetchJWTSVIDsRequest { Audience = { "shop" }, Selectors = { Billing.ToWire() } }, Options).ResponseAsync;
        Assert.Equal("/billing", Assert.Single(tokens.Svids).Id.Path);
        Assert.Equal("spiffe://example.org/billing", (await world.Domain.Client.ValidateJwtAsync("shop", tokens.Svids[0].Token, _patience)).Id.Uri);
        using var x509 = Api.SubscribeToX509Bundles(new SubscribeToX509BundlesRequest(), Options);
        Assert.True(await x509.ResponseStream.MoveNext(_patience));
        Assert.Equal(["spiffe://example.org"], x509.ResponseStream.Current.CaCertificates.Keys);
        using var jwt = Api.SubscribeToJWTBundles(new SubscribeToJWTBundlesRequest(), Options);
        Assert.True(await jwt.ResponseStream.MoveNext(_patience));
        Assert.Contains("\"keys\"", jwt.ResponseStream.Current.Bundles["spiffe://example.org"].ToStringUtf8(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Mistakes_have_the_codes_that_they_have_with_SPIRE()
    {
        await CodeAsync(StatusCode.InvalidArgument, First(new SubscribeToX509SVIDsRequest()));
        await CodeAsync(StatusCode.InvalidArgument, First(new SubscribeToX509SVIDsRequest { Pid = 1, Selectors = { Billing.ToWire() } }));
        await CodeAsync(StatusCode.InvalidArgument, First(new SubscribeToX509SVIDsRequest { Selectors = { new Signet.Rpc.Wire.Spire.Types.Selector { Type = "", Value = "x" } } }));
        await CodeAsync(StatusCode.NotFound, First(new SubscribeToX509SVIDsRequest { Pid = int.MaxValue }));
        await CodeAsync(StatusCode.NotFound, First(new SubscribeToX509SVIDsRequest { Pid = -1 }));
        await CodeAsync(StatusCode.InvalidArgument, Api.FetchJWTSVIDsAsync(new FetchJWTSVIDsRequest { Selectors = { Billing.ToWire() } }, Options).ResponseAsync);
        await CodeAsync(StatusCode.PermissionDenied, Api.FetchJWTSVIDsAsync(new FetchJWTSVIDsRequest { Audience = { "a" }, Selectors = { new Selector("unix", "uid:4000077").ToWire() } }, Options).ResponseAsync);
    }

    [Fact]
    public async Task Whoever_is_not_named_is_refused_and_the_socket_is_its_owners()
    {
        await using var domain = await TestTrustDomain.StartAsync(configureAgent: config => config with { AdminSocket = Path.Combine(Path.GetDirectoryName(config.Socket)!, "agent-admin.sock") });
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(domain.AgentAdminSocket));
        await domain.RegisterAsync("/web");
        await AgentDomain.AnswersAsync(domain, StatusCode.OK);
        using var channel = GrpcChannel.ForUnixSocket(domain.AgentAdminSocket, TimeProvider.System);
        var api = new DelegatedIdentity.DelegatedIdentityClient(channel);
        await CodeAsync(StatusCode.PermissionDenied, api.SubscribeToX509SVIDs(new SubscribeToX509SVIDsRequest { Selectors = { Billing.ToWire() } }, Options).ResponseStream.MoveNext(_patience));
        await CodeAsync(StatusCode.PermissionDenied, api.SubscribeToX509Bundles(new SubscribeToX509BundlesRequest(), Options).ResponseStream.MoveNext(_patience));
        await CodeAsync(StatusCode.PermissionDenied, api.SubscribeToJWTBundles(new SubscribeToJWTBundlesRequest(), Options).ResponseStream.MoveNext(_patience));
        await CodeAsync(StatusCode.PermissionDenied, api.FetchJWTSVIDsAsync(new FetchJWTSVIDsRequest { Audience = { "a" }, Selectors = { Billing.ToWire() } }, Options).ResponseAsync);
    }

    [Fact]
    public async Task Entries_of_administrators_and_servers_below_are_lent_to_nobody()
    {
        using var admin = world.Domain.Admin();
        var selector = new Selector("unix", "uid:4000011");
        await admin.CreateEntryAsync(
            new RegistrationEntry { Id = "", SpiffeId = Identity.Spiffe.SpiffeId.Of(TestTrustDomain.Name, "/boss"), ParentId = world.Domain.AgentId, Selectors = [selector], Admin = true }, _patience);
        await world.Domain.RegisterAsync("/employee", selector);
        var request = new FetchJWTSVIDsRequest { Audience = { "a" }, Selectors = { selector.ToWire() } };
        await Eventually.IsTrueAsync(
            async () =>
            {
                try
                {
                    return (await Api.FetchJWTSVIDsAsync(request, Options).ResponseAsync).Svids.Select(svid => svid.Id.Path).SequenceEqual(["/employee"]);
                }
                catch (RpcException e) when (e.StatusCode == StatusCode.PermissionDenied)
                {
                    return false;
                }
            },
            "the entry that came last, and it alone");
    }

    [Fact]
    public async Task The_agent_tells_what_it_is()
    {
        var info = await new Signet.Rpc.Wire.Spire.Agent.Debug.Debug.DebugClient(_channel).GetInfoAsync(new GetInfoRequest(), Options).ResponseAsync;
        Assert.StartsWith("/spire/agent/", info.SvidChain[0].Id.Path, StringComparison.Ordinal);
        Assert.True(info.CachedX509SvidsCount >= 2 && info.LastSyncSuccess > 0 && info.SvidChain[0].ExpiresAt > info.LastSyncSuccess);
    }

    public void Dispose() => _channel.Dispose();

    private DelegatedIdentity.DelegatedIdentityClient Api => new(_channel);

    private CallOptions Options => new(CancellationToken: _patience);

    private Task First(SubscribeToX509SVIDsRequest request) => Api.SubscribeToX509SVIDs(request, Options).ResponseStream.MoveNext(_patience);

    private static async Task CodeAsync(StatusCode code, Task call) => Assert.Equal(code, (await Assert.ThrowsAsync<RpcException>(() => call)).StatusCode);
}
