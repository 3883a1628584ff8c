using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Grpc.Core;
using Signet.Client;
using Signet.Client.Tls;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Secret;
using Signet.Rpc.Wire.Envoy.Tls;
using Signet.Rpc.Wire.Spire.Server.Bundle;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Server;
using Signet.Server.Federation;
using Signet.Server.Http;
using Signet.Testing;
using BundleApi = Signet.Rpc.Wire.Spire.Server.Bundle.Bundle;
using DeleteMode = Signet.Rpc.Wire.Spire.Server.Bundle.BatchDeleteFederatedBundleRequest.Types.Mode;
using FederationRelationship = Signet.Rpc.Wire.Spire.Types.FederationRelationship;
using TrustDomain = Signet.Identity.Spiffe.TrustDomain;
using WireBundle = Signet.Rpc.Wire.Spire.Types.Bundle;

namespace Signet.FunctionalTests.Server;

/// <summary>Two trust domains, each with a server and an agent, that know each other or do not.</summary>
public sealed class FederationTests : IAsyncLifetime
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;
    private TestTrustDomain _alpha = null!;
    private TestTrustDomain _beta = null!;

    public async ValueTask InitializeAsync()
    {
        _alpha = await TestTrustDomain.StartAsync(trustDomain: "alpha.example", configure: Publishing);
        _beta = await TestTrustDomain.StartAsync(trustDomain: "beta.example", configure: Publishing);
    }

    public async ValueTask DisposeAsync()
    {
        await _alpha.DisposeAsync();
        await _beta.DisposeAsync();
    }

    [Fact]
    public async Task Workloads_of_federated_trust_domains_accept_each_other_over_mutual_TLS()
    {
        await FederateAsync(_alpha, _beta);
        await FederateAsync(_beta, _alpha);
        await using var web = await WorkloadAsync(_alpha, "/web", federatesWith: _beta.TrustDomain);
        await using var store = await WorkloadAsync(_beta, "/store", federatesWith: _alpha.TrustDomain);
        var (server, client) = await ShakeHandsAsync(client: web, server: store);
        Assert.Equal(("spiffe://alpha.example/web", "spiffe://beta.example/store"), (server.Id?.Uri, client.Id?.Uri));
        (server, client) = await ShakeHandsAsync(client: store, server: web);
        Assert.Equal(("spiffe://beta.example/store", "spiffe://alpha.example/web"), (server.Id?.Uri, client.Id?.Uri));
    }

    [Fact]
    public async Task F21_Without_federatesWith_a_workload_refuses_the_other_trust_domain_although_its_server_knows_it()
    {
        await FederateAsync(_alpha, _beta);
        await FederateAsync(_beta, _alpha);
        await using var web = await WorkloadAsync(_alpha, "/web", federatesWith: null);
        await using var store = await WorkloadAsync(_beta, "/store", federatesWith: _alpha.TrustDomain);
        var (_, client) = await ShakeHandsAsync(client: web, server: store);
        Assert.Equal(PeerProblem.UntrustedDomain, client.Problem);
        var (server, _) = await ShakeHandsAsync(client: store, server: web);
        Assert.Equal(PeerProblem.UntrustedDomain, server.Problem);
    }

    [Fact]
    public async Task An_entry_cannot_federate_with_a_trust_domain_that_nobody_knows()
    {
        using var admin = _alpha.Admin();
        var refusal = await Assert.ThrowsAsync<RpcException>(() => RegisterAsync(_alpha, "/web", _beta.TrustDomain));
        Assert.Equal(StatusCode.InvalidArgument, refusal.StatusCode);
        Assert.Contains("there is no trust bundle of beta.example here", refusal.Status.Detail);
    }

    [Fact]
    public async Task A_federated_bundle_reaches_the_Workload_API_and_SDS_and_leaves_them_again()
    {
        await FederateAsync(_alpha, _beta);
        await RegisterAsync(_alpha, "/web", _beta.TrustDomain);
        await using var source = new X509Source(_alpha.WorkloadApi, TimeProvider.System);
        await source.WaitAsync(_patience);
        await Eventually.IsTrueAsync(() => source.Current!.Bundles.Find(_beta.TrustDomain) is not null, "the federated bundle");

        using var client = new WorkloadApiClient(_alpha.WorkloadApi, TimeProvider.System);
        var bundles = await client.FetchBundlesAsync(_patience);
        Assert.Equal(["alpha.example", "beta.example"], bundles.Select(bundle => bundle.TrustDomain.Name));
        Assert.All(bundles, bundle => Assert.True(bundle.X509.Authorities.Count == 1 && bundle.Jwt.Authorities.Count >= 1));
        Assert.Equal(["alpha.example", "beta.example"], (await FetchValidatorAsync("ALL")).Order(StringComparer.Ordinal));
        Assert.Contains("BEGIN CERTIFICATE", (await FetchSecretAsync("spiffe://beta.example")).ValidationContext.TrustedCa.InlineBytes.ToStringUtf8());

        using var admin = _alpha.Admin();
        await admin.DeleteRelationshipAsync(_beta.TrustDomain, _patience);
        await admin.DeleteBundleAsync(_beta.TrustDomain, DeleteMode.Dissociate, _patience);
        await Eventually.IsTrueAsync(() => source.Current!.Bundles.Find(_beta.TrustDomain) is null, "the end of the federated bundle");
        Assert.Equal(["alpha.example"], await FetchValidatorAsync("ALL"));
    }

    [Fact]
    public async Task A_token_of_a_federated_trust_domain_is_believed_and_one_of_a_stranger_is_not()
    {
        await FederateAsync(_alpha, _beta);
        await RegisterAsync(_beta, "/store", null);
        using var beta = _beta.Admin();
        var token = (await beta.MintTokenAsync(SpiffeId.Parse("spiffe://beta.example/store"), ["web"], null, _patience)).Token;
        var entry = await RegisterAsync(_alpha, "/web", null);
        await using var source = new X509Source(_alpha.WorkloadApi, TimeProvider.System);
        await source.WaitAsync(_patience);
        await Assert.ThrowsAsync<WorkloadApiException>(() => _alpha.Client.ValidateJwtAsync("web", token, _patience));

        using var admin = _alpha.Admin();
        await admin.DeleteEntryAsync(entry.Id, _patience);
        await RegisterAsync(_alpha, "/web", _beta.TrustDomain);
        await Eventually.IsTrueAsync(() => source.Current?.Bundles.Find(_beta.TrustDomain) is not null, "the federated bundle");
        Assert.Equal("spiffe://beta.example/store", (await _alpha.Client.ValidateJwtAsync("web", token, _patience)).Id.Uri);
    }

    [Fact]
    public async Task F19_A_restarted_server_still_knows_its_relationships_and_bundles()
    {
        await FederateAsync(_alpha, _beta);
        await _beta.StopServerAsync();
        await _alpha.StopServerAsync();
        await _alpha.StartServerAsync();
        using var admin = _alpha.Admin();
        Assert.Equal(_beta.TrustDomain, Assert.Single(await admin.RelationshipsAsync(_patience)).TrustDomain);
        Assert.Single((await admin.FederatedBundleAsync(_beta.TrustDomain, _patience)).X509.Authorities);
        await _beta.StartServerAsync();
    }

    [Fact]
    public async Task A_bundle_that_entries_need_is_deleted_only_as_the_operator_says()
    {
        using var admin = _alpha.Admin();
        await FederateAsync(_alpha, _beta);
        var entry = await RegisterAsync(_alpha, "/web", _beta.TrustDomain);
        var refusal = await Assert.ThrowsAsync<RpcException>(() => admin.DeleteBundleAsync(_beta.TrustDomain, DeleteMode.Restrict, _patience));
        Assert.Equal(StatusCode.FailedPrecondition, refusal.StatusCode);
        Assert.Contains("1 entries federate with beta.example", refusal.Status.Detail);

        await admin.DeleteBundleAsync(_beta.TrustDomain, DeleteMode.Dissociate, _patience);
        Assert.Empty((await admin.EntryAsync(entry.Id, _patience)).FederatesWith);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => admin.FederatedBundleAsync(_beta.TrustDomain, _patience))).StatusCode);

        using var beta = _beta.Admin();
        await admin.SetBundleAsync(await beta.OwnBundleAsync(_patience), _patience);
        var second = await RegisterAsync(_alpha, "/second", _beta.TrustDomain);
        await admin.DeleteBundleAsync(_beta.TrustDomain, DeleteMode.Delete, _patience);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => admin.EntryAsync(second.Id, _patience))).StatusCode);
        Assert.NotNull(await admin.EntryAsync(entry.Id, _patience));
    }

    [Fact]
    public async Task F11_F12_The_endpoint_asks_nobody_who_they_are_and_serves_the_newest_bundle_as_JSON()
    {
        using var http = Reader();
        foreach (var path in new[] { "/", "/bundle" })
        {
            using var response = await http.GetAsync(new Uri($"https://127.0.0.1:{_alpha.HttpEndPoint.Port}{path}"), _patience);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal("application/json; charset=utf-8", response.Content.Headers.ContentType!.ToString());
            Assert.True(SpiffeBundle.TryParse(_alpha.TrustDomain, await response.Content.ReadAsStringAsync(_patience), out var bundle, out var problem), problem);
            using var admin = _alpha.Admin();
            var own = await admin.OwnBundleAsync(_patience);
            Assert.Equal(own.As(bundle.Sequence, bundle.RefreshHint).X509, bundle.X509);
            Assert.Equal((own.Sequence, TimeSpan.FromMinutes(5)), (bundle.Sequence, bundle.RefreshHint!.Value));
            Assert.True(own.Sequence > 0);
        }

        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync(new Uri($"https://127.0.0.1:{_alpha.HttpEndPoint.Port}/elsewhere"), _patience)).StatusCode);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await http.PostAsync(new Uri($"https://127.0.0.1:{_alpha.HttpEndPoint.Port}/bundle"), null, _patience)).StatusCode);
    }

    [Fact]
    public async Task F20_A_refresh_that_fails_says_why_and_changes_nothing()
    {
        using var admin = _alpha.Admin();
        await FederateAsync(_alpha, _beta);
        var before = await admin.FederatedBundleAsync(_beta.TrustDomain, _patience);
        await admin.UpdateRelationshipAsync(
            new FederationRelationship { TrustDomain = "beta.example", HttpsSpiffe = new HTTPSSPIFFEProfile { EndpointSpiffeId = "spiffe://beta.example/somebody/else" } },
            new FederationRelationshipMask { BundleEndpointProfile = true },
            _patience);
        var refusal = await Assert.ThrowsAsync<RpcException>(() => admin.RefreshAsync(_beta.TrustDomain, _patience));
        Assert.Equal(StatusCode.FailedPrecondition, refusal.StatusCode);
        Assert.Contains("it presented spiffe://beta.example/spire/server, but spiffe://beta.example/somebody/else was expected", refusal.Status.Detail);
        Assert.Equal(before, await admin.FederatedBundleAsync(_beta.TrustDomain, _patience));
    }

    [Fact]
    public async Task Relationships_that_cannot_be_are_refused_with_a_reason()
    {
        using var admin = _alpha.Admin();
        await RefusedAsync(StatusCode.InvalidArgument, "own trust domain", new FederationRelationship { TrustDomain = "alpha.example", BundleEndpointUrl = "https://a.example/", HttpsWeb = new() });
        await RefusedAsync(StatusCode.InvalidArgument, "not https", new FederationRelationship { TrustDomain = "a.example", BundleEndpointUrl = "http://a.example/", HttpsWeb = new() });
        await RefusedAsync(StatusCode.InvalidArgument, "profile is missing", new FederationRelationship { TrustDomain = "a.example", BundleEndpointUrl = "https://a.example/" });
        await RefusedAsync(StatusCode.InvalidArgument, "endpoint_spiffe_id", new FederationRelationship { TrustDomain = "a.example", BundleEndpointUrl = "https://a.example/", HttpsSpiffe = new() });
        await RefusedAsync(
            StatusCode.InvalidArgument,
            "bootstrap_bundle has no use here",
            new FederationRelationship { TrustDomain = "a.example", BundleEndpointUrl = "https://a.example/", HttpsSpiffe = new() { EndpointSpiffeId = "spiffe://b.example/x", BootstrapBundle = new() { TrustDomain = "a.example" } } });
        await FederateAsync(_alpha, _beta);
        await RefusedAsync(StatusCode.AlreadyExists, "already", new FederationRelationship { TrustDomain = "beta.example", BundleEndpointUrl = "https://a.example/", HttpsWeb = new() });
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => admin.RefreshAsync(TrustDomain.Parse("nobody.example"), _patience))).StatusCode);
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => admin.DeleteRelationshipAsync(TrustDomain.Parse("nobody.example"), _patience))).StatusCode);

        async Task RefusedAsync(StatusCode code, string reason, FederationRelationship wanted)
        {
            var refusal = await Assert.ThrowsAsync<RpcException>(() => admin.CreateRelationshipAsync(wanted, _patience));
            Assert.Equal(code, refusal.StatusCode);
            Assert.Contains(reason, refusal.Status.Detail);
        }
    }

    [Fact]
    public async Task The_API_gives_what_its_masks_and_pages_ask_for()
    {
        using var admin = _alpha.Admin();
        using var channel = GrpcChannel.ForUnixSocket(_alpha.ServerSocket, TimeProvider.System);
        var client = new BundleApi.BundleClient(channel);
        foreach (var name in new[] { "c.example", "a.example", "b.example" })
        {
            await admin.SetBundleAsync(SpiffeBundle.Of(X509Bundle.Create(TrustDomain.Parse(name), (await admin.BundleAsync(_patience)).Authorities, 4, TimeSpan.FromMinutes(9)), JwtBundle.Empty(TrustDomain.Parse(name))), _patience);
        }

        var first = await client.ListFederatedBundlesAsync(new ListFederatedBundlesRequest { PageSize = 2 }, Options());
        Assert.Equal(["a.example", "b.example"], first.Bundles.Select(bundle => bundle.TrustDomain));
        var second = await client.ListFederatedBundlesAsync(new ListFederatedBundlesRequest { PageSize = 2, PageToken = first.NextPageToken }, Options());
        Assert.Equal(["c.example"], second.Bundles.Select(bundle => bundle.TrustDomain));
        Assert.Empty(second.NextPageToken);
        Assert.Equal(4, await admin.CountBundlesAsync(_patience));

        var masked = await client.GetFederatedBundleAsync(new GetFederatedBundleRequest { TrustDomain = "a.example", OutputMask = new BundleMask { SequenceNumber = true } }, Options());
        Assert.Equal((4ul, 0L, 0), (masked.SequenceNumber, masked.RefreshHint, masked.X509Authorities.Count));
        Assert.Empty((await client.GetBundleAsync(new GetBundleRequest { OutputMask = new BundleMask() }, Options())).X509Authorities);

        var update = new BatchUpdateFederatedBundleRequest
        {
            Bundle = { new WireBundle { TrustDomain = "a.example", RefreshHint = 120 }, new WireBundle { TrustDomain = "nobody.example" } },
            InputMask = new BundleMask { RefreshHint = true },
        };
        var results = (await client.BatchUpdateFederatedBundleAsync(update, Options())).Results;
        Assert.Equal([(int)StatusCode.OK, (int)StatusCode.NotFound], results.Select(result => result.Status.Code));
        var updated = await admin.FederatedBundleAsync(TrustDomain.Parse("a.example"), _patience);
        Assert.Equal((TimeSpan.FromMinutes(2), 4ul, 1), (updated.RefreshHint!.Value, updated.Sequence!.Value, updated.X509.Authorities.Count));

        var created = await client.BatchCreateFederatedBundleAsync(new BatchCreateFederatedBundleRequest { Bundle = { updated.ToWire(), new WireBundle { TrustDomain = "alpha.example" } } }, Options());
        Assert.Equal([(int)StatusCode.AlreadyExists, (int)StatusCode.InvalidArgument], created.Results.Select(result => result.Status.Code));
        Assert.Equal(StatusCode.Unimplemented, (await Assert.ThrowsAsync<RpcException>(async () => await client.AppendBundleAsync(new AppendBundleRequest(), Options()))).StatusCode);
    }

    private CallOptions Options() => new(null, DateTime.UtcNow.AddMinutes(1), _patience);

    private static ServerConfig Publishing(ServerConfig config) => config with
    {
        Http = new HttpConfig(new IPEndPoint(IPAddress.Loopback, 0), Files: null),
        Federation = new FederationConfig { ServesBundle = true },
    };

    /// <summary>Has one trust domain fetch the other's bundle from its endpoint, and waits until it has.</summary>
    private async Task FederateAsync(TestTrustDomain here, TestTrustDomain there)
    {
        using var admin = here.Admin();
        using var other = there.Admin();
        await admin.CreateRelationshipAsync(
            new FederationRelationship
            {
                TrustDomain = there.TrustDomain.Name,
                BundleEndpointUrl = $"https://127.0.0.1:{there.HttpEndPoint.Port}/bundle",
                HttpsSpiffe = new HTTPSSPIFFEProfile { EndpointSpiffeId = $"{there.TrustDomain.IdString}/spire/server", BootstrapBundle = (await other.OwnBundleAsync(_patience)).ToWire() },
            },
            _patience);
        await admin.RefreshAsync(there.TrustDomain, _patience);
    }

    private async Task<RegistrationEntry> RegisterAsync(TestTrustDomain domain, string path, TrustDomain? federatesWith)
    {
        using var admin = domain.Admin();
        return await admin.CreateEntryAsync(
            new RegistrationEntry
            {
                Id = "",
                SpiffeId = SpiffeId.Of(domain.TrustDomain, path),
                ParentId = domain.AgentId,
                Selectors = [TestTrustDomain.Myself],
                FederatesWith = federatesWith is null ? [] : [federatesWith],
            },
            _patience);
    }

    private async Task<X509Source> WorkloadAsync(TestTrustDomain domain, string path, TrustDomain? federatesWith)
    {
        await RegisterAsync(domain, path, federatesWith);
        var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        await source.WaitAsync(_patience);
        if (federatesWith is not null)
        {
            await Eventually.IsTrueAsync(() => source.Current!.Bundles.Find(federatesWith) is not null, $"the bundle of {federatesWith}");
        }

        return source;
    }

    /// <summary>What each side makes of the other: the server's verdict on the client, and the client's on the server.</summary>
    private async Task<(PeerVerdict Server, PeerVerdict Client)> ShakeHandsAsync(X509Source client, X509Source server)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var accepting = AcceptAsync();
        using var socket = new TcpClient();
        await socket.ConnectAsync((IPEndPoint)listener.LocalEndpoint, _patience);
        PeerVerdict? ofServer = null;
        PeerVerdict? ofClient = null;
        await using (var tls = new SslStream(socket.GetStream()))
        {
            var (credential, bundles) = (new TlsCredential(client.Current!.Default), client.Current.Bundles);
            await tls.AuthenticateAsClientAsync(
                SvidTls.Client(credential, "", (presented, _) => (ofServer = SvidVerifier.Verify(presented, bundles, CertificateUsage.Server, DateTimeOffset.UtcNow)).IsTrusted), _patience)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (ofServer!.IsTrusted)
            {
                // In TLS 1.3 the client learns only by reading whether its own certificate was accepted.
                await ((Task)tls.ReadAsync(new byte[1], _patience).AsTask()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        await accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return (ofClient ?? SvidVerifier.Verify([], TrustBundles.Empty, CertificateUsage.Client, DateTimeOffset.UtcNow), ofServer);

        async Task AcceptAsync()
        {
            using var accepted = await listener.AcceptTcpClientAsync(_patience);
            await using var tls = new SslStream(accepted.GetStream());
            var (credential, bundles) = (new TlsCredential(server.Current!.Default), server.Current.Bundles);
            await tls.AuthenticateAsServerAsync(
                SvidTls.Server(credential, clientCertificate: true, (presented, _) => (ofClient = SvidVerifier.Verify(presented, bundles, CertificateUsage.Client, DateTimeOffset.UtcNow)).IsTrusted), _patience);
            await tls.WriteAsync(new byte[1], _patience);
        }
    }

    private async Task<Secret> FetchSecretAsync(string name)
    {
        using var channel = GrpcChannel.ForUnixSocket(_alpha.AgentSocket, TimeProvider.System);
        var response = await new SecretDiscoveryService.SecretDiscoveryServiceClient(channel).FetchSecretsAsync(new DiscoveryRequest { ResourceNames = { name } }, new CallOptions(CancellationToken: _patience));
        return Assert.Single(response.Resources).Unpack<Secret>();
    }

    private async Task<IEnumerable<string>> FetchValidatorAsync(string name) =>
        (await FetchSecretAsync(name)).ValidationContext.CustomValidatorConfig.TypedConfig.Unpack<SPIFFECertValidatorConfig>().TrustDomains.Select(one => one.Name);

    private static HttpClient Reader() => new(new SocketsHttpHandler { SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, _, _, _) => true } });
}
