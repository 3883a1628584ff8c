using System.Net.Sockets;
using Grpc.Core;
using Signet.Agent.Identities;
using Signet.Client;
using Signet.Hosting.Files;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Secret;
using Signet.Rpc.Wire.Envoy.Tls;
using Signet.Rpc.Wire.Spiffe;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent;

public sealed class IdentityTests
{
    private const string SecretType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task A_registered_workload_gets_an_SVID_that_holds_against_its_bundle()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var context = await source.WaitAsync(_patience);
        Assert.Equal("spiffe://example.org/web", context.Default.Id.Uri);
        Assert.Equal(2, context.Default.Chain.Count);
        var verdict = SvidVerifier.Verify(context.Default.Chain, context.Bundles, CertificateUsage.Server, DateTimeOffset.UtcNow);
        Assert.True(verdict.IsTrusted, verdict.Reason);
    }

    [Fact]
    public async Task A_new_entry_is_pushed_to_a_workload_that_already_listens()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/first");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        await source.WaitAsync(_patience);
        await domain.RegisterAsync("/second");
        await Eventually.IsTrueAsync(() => source.Current?.Svids.Count == 2, "two SVIDs");
        Assert.Equal(["/first", "/second"], source.Current!.Svids.Select(svid => svid.Id.Path));
    }

    [Fact]
    public async Task W05_W11_A_deleted_entry_takes_the_identity_away()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        var entry = await domain.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        await source.WaitAsync(_patience);
        using var admin = domain.Admin();
        await admin.DeleteEntryAsync(entry.Id, _patience);
        await Eventually.IsTrueAsync(() => source.Current is null, "no identity");
        Assert.Contains("no identity issued", source.Problem);
    }

    [Fact]
    public async Task SVIDs_rotate_under_a_new_key_before_they_expire()
    {
        await using var domain = await TestTrustDomain.StartAsync(TimeSpan.FromSeconds(14));
        await domain.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var first = await source.WaitAsync(_patience);
        await Eventually.IsTrueAsync(() => source.Current!.Default.Leaf != first.Default.Leaf, "a new leaf");
        Assert.True(DateTimeOffset.UtcNow < first.Default.NotAfter, "the old one was still valid");
        Assert.NotEqual(first.Default.Leaf.SubjectPublicKeyInfo.ToArray(), source.Current!.Default.Leaf.SubjectPublicKeyInfo.ToArray());
    }

    [Fact]
    public async Task W03_A_restarted_agent_needs_no_new_token_and_its_clients_come_back_by_themselves()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var before = await source.WaitAsync(_patience);
        await domain.StopAgentAsync();
        Assert.Equal(before, source.Current);
        await domain.StartAgentAsync();
        Assert.NotNull(source.Current);
        await domain.RegisterAsync("/second");
        await Eventually.IsTrueAsync(() => source.Current!.Svids.Count == 2, "what the restarted agent pushes");
        Assert.Equal(before.Default.Leaf, source.Current!.Default.Leaf);
    }

    [Fact]
    public async Task With_the_server_down_the_agent_goes_on_serving_and_afterwards_catches_up()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        await using var first = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var before = await first.WaitAsync(_patience);
        await domain.StopServerAsync();

        await using var late = new X509Source(domain.WorkloadApi, TimeProvider.System);
        Assert.Equal(before.Default.Leaf, (await late.WaitAsync(_patience)).Default.Leaf);

        await domain.StartServerAsync();
        await domain.RegisterAsync("/second");
        await Eventually.IsTrueAsync(() => late.Current!.Svids.Count == 2, "the entry made after the restart");
    }

    [Fact]
    public async Task An_agent_that_restarts_while_its_server_is_down_serves_from_its_disk_to_whom_it_may_and_nothing_that_was_tampered_with()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        await domain.RegisterAsync("/other", new Signet.Identity.Registration.Selector("unix", "uid:4294967294"));
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var before = await source.WaitAsync(_patience);
        await Eventually.IsTrueAsync(() => domain.AgentView.Entries.Length == 2, "both entries");
        await domain.StopServerAsync();
        await domain.StopAgentAsync();
        await domain.StartAgentAsync();
        await using (var late = new X509Source(domain.WorkloadApi, TimeProvider.System))
        {
            Assert.Equal([before.Default.Leaf], (await late.WaitAsync(_patience)).Svids.Select(svid => svid.Leaf));
        }

        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "an agent that is ready with what it has");

        await domain.StopAgentAsync();
        var file = Path.Combine(domain.Folder, "agent", "cache", "entries.sealed");
        var bytes = await File.ReadAllBytesAsync(file);
        bytes[^1] ^= 1;
        await File.WriteAllBytesAsync(file, bytes);
        await domain.StartAgentAsync();
        await UnavailableAsync(domain);
        await Eventually.IsTrueAsync(() => source.Problem?.Contains("not heard from its server", StringComparison.Ordinal) == true, "an attempt of the source");
        Assert.Equal(before, source.Current);
        await domain.StartServerAsync();
        await Eventually.IsTrueAsync(() => source.Current!.Default.Leaf != before.Default.Leaf, "a new SVID once the server is back");
    }

    [Fact]
    public async Task An_agent_that_keeps_nothing_on_its_disk_waits_for_its_server()
    {
        await using var domain = await TestTrustDomain.StartAsync(configureAgent: config => config with { Cache = new CacheConfig { Disk = false } });
        await domain.RegisterAsync("/web");
        await using (var source = new X509Source(domain.WorkloadApi, TimeProvider.System))
        {
            await source.WaitAsync(_patience);
        }

        Assert.False(Directory.Exists(Path.Combine(domain.Folder, "agent", "cache")));
        await domain.StopServerAsync();
        await domain.StopAgentAsync();
        await domain.StartAgentAsync();
        await UnavailableAsync(domain);
    }

    [Fact]
    public async Task A_copied_agent_folder_is_noticed_once_the_original_has_renewed()
    {
        await using var domain = await TestTrustDomain.StartAsync(TimeSpan.FromSeconds(12));
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        var copied = await File.ReadAllBytesAsync(Path.Combine(domain.Folder, "agent", "identity.pem"));
        await Eventually.IsTrueAsync(async () => !(await File.ReadAllBytesAsync(Path.Combine(domain.Folder, "agent", "identity.pem"))).SequenceEqual(copied), "the original's renewal");
        await domain.RegisterAsync("/web");
        await using (var source = new X509Source(domain.WorkloadApi, TimeProvider.System))
        {
            await source.WaitAsync(_patience);
        }

        await domain.StopAgentAsync();
        await File.WriteAllBytesAsync(Path.Combine(domain.Folder, "agent", "identity.pem"), copied);
        await domain.StartAgentAsync();
        await Eventually.IsTrueAsync(
            () => domain.AgentHost.Readiness.Conditions.Any(condition => condition.State.Reason.Contains("newer certificate", StringComparison.Ordinal) || condition.State.Reason.Contains("join token", StringComparison.Ordinal)),
            "the refusal of the copy");
    }

    [Fact]
    public async Task An_entry_that_expires_takes_the_identity_away_by_itself()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        await admin.CreateEntryAsync(
            new Signet.Identity.Registration.RegistrationEntry
            {
                Id = "",
                SpiffeId = Signet.Identity.Spiffe.SpiffeId.Parse("spiffe://example.org/guest"),
                ParentId = domain.AgentId,
                Selectors = [TestTrustDomain.Myself],
                ExpiresAt = DateTimeOffset.UtcNow.AddSeconds(8),
            },
            _patience);
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        var guest = await source.WaitAsync(_patience);
        Assert.True(guest.Default.NotAfter <= DateTimeOffset.UtcNow.AddSeconds(9), "the SVID ends with its entry");
        await Eventually.IsTrueAsync(() => source.Current is null, "the end of the entry");
    }

    [Fact]
    public async Task A_join_token_works_once()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var admin = domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, _patience);
        await domain.StopAgentAsync();
        Directory.Delete(Path.Combine(domain.Folder, "agent"), recursive: true);
        await domain.StartAgentAsync(token.Token);
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent that joined with the token");

        await domain.StopAgentAsync();
        Directory.Delete(Path.Combine(domain.Folder, "agent"), recursive: true);
        await domain.StartAgentAsync(token.Token);
        await Eventually.IsTrueAsync(
            () => domain.AgentHost.Readiness.Conditions.Any(condition => condition.State.Reason.Contains("join token is unknown, used or expired", StringComparison.Ordinal)),
            "the refusal of the used token");
    }

    [Fact]
    public async Task A_call_without_the_security_header_is_an_invalid_argument()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        using var channel = GrpcChannel.ForUnixSocket(domain.AgentSocket, TimeProvider.System);
        using var call = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509SVID(new X509SVIDRequest(), new CallOptions(CancellationToken: _patience));
        var refusal = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(_patience));
        Assert.Equal(StatusCode.InvalidArgument, refusal.StatusCode);
    }

    [Fact]
    public async Task A_workload_that_no_entry_fits_is_denied()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/other", new Signet.Identity.Registration.Selector("unix", "uid:4294967294"));
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        using var channel = WorkloadApi.Connect(domain.WorkloadApi, TimeProvider.System);
        using var call = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509SVID(new X509SVIDRequest(), WorkloadApi.Options(_patience));
        var refusal = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(_patience));
        Assert.Equal(StatusCode.PermissionDenied, refusal.StatusCode);
        Assert.Equal("no identity issued", refusal.Status.Detail);
    }

    [Fact]
    public async Task Bundles_alone_can_be_fetched_too()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        using var channel = WorkloadApi.Connect(domain.WorkloadApi, TimeProvider.System);
        using var call = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509Bundles(new X509BundlesRequest(), WorkloadApi.Options(_patience));
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        Assert.Equal(["spiffe://example.org"], call.ResponseStream.Current.Bundles.Keys);
    }

    [Fact]
    public async Task SDS_serves_default_root_all_and_an_ID_and_pushes_the_next_rotation()
    {
        await using var domain = await TestTrustDomain.StartAsync(TimeSpan.FromSeconds(14));
        await domain.RegisterAsync("/web");
        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        await source.WaitAsync(_patience);
        using var channel = GrpcChannel.ForUnixSocket(domain.AgentSocket, TimeProvider.System);
        using var call = new SecretDiscoveryService.SecretDiscoveryServiceClient(channel).StreamSecrets(new CallOptions(CancellationToken: _patience));
        var request = new DiscoveryRequest { TypeUrl = SecretType };
        request.ResourceNames.AddRange(["default", "ROOTCA", "ALL", "spiffe://example.org/web", "nobody-knows"]);
        await call.RequestStream.WriteAsync(request, _patience);
        Assert.True(await call.ResponseStream.MoveNext(_patience));
        var first = call.ResponseStream.Current;
        var secrets = first.Resources.Select(any => any.Unpack<Secret>()).ToDictionary(secret => secret.Name);
        Assert.Equal(["ALL", "ROOTCA", "default", "spiffe://example.org/web"], secrets.Keys.Order(StringComparer.Ordinal));
        Assert.Contains("BEGIN CERTIFICATE", secrets["default"].TlsCertificate.CertificateChain.InlineBytes.ToStringUtf8());
        Assert.Contains("BEGIN PRIVATE KEY", secrets["default"].TlsCertificate.PrivateKey.InlineBytes.ToStringUtf8());
        Assert.Contains("BEGIN CERTIFICATE", secrets["ROOTCA"].ValidationContext.TrustedCa.InlineBytes.ToStringUtf8());
        Assert.Equal("example.org", Assert.Single(secrets["ALL"].ValidationContext.CustomValidatorConfig.TypedConfig.Unpack<SPIFFECertValidatorConfig>().TrustDomains).Name);

        // What comes next is its staple, or the next certificate already.
        var last = first;
        TlsCertificate pushed;
        do
        {
            request.ResponseNonce = last.Nonce;
            request.VersionInfo = last.VersionInfo;
            await call.RequestStream.WriteAsync(request, _patience);
            Assert.True(await call.ResponseStream.MoveNext(_patience));
            Assert.NotEqual(last.VersionInfo, call.ResponseStream.Current.VersionInfo);
            last = call.ResponseStream.Current;
            pushed = last.Resources.Select(any => any.Unpack<Secret>()).Single(secret => secret.Name == "default").TlsCertificate;
        }
        while (pushed.OcspStaple is not null && pushed.CertificateChain.Equals(secrets["default"].TlsCertificate.CertificateChain));
        Assert.NotEqual(secrets["default"].TlsCertificate.CertificateChain, pushed.CertificateChain);
    }

    [Fact]
    public async Task Garbage_on_the_agents_socket_and_on_the_servers_ports_harms_nobody()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.RegisterAsync("/web");
        var garbage = new byte[4096];
        for (var round = 0; round < 50; round++)
        {
            new Random(round).NextBytes(garbage);
            await SendAsync(new UnixDomainSocketEndPoint(domain.AgentSocket), garbage);
            await SendAsync(new UnixDomainSocketEndPoint(domain.ServerSocket), garbage);
            await SendAsync(domain.ServerEndPoint, garbage);
        }

        await using var source = new X509Source(domain.WorkloadApi, TimeProvider.System);
        Assert.NotNull(await source.WaitAsync(_patience));
    }

    [Fact]
    public async Task A_second_agent_on_the_same_socket_says_that_it_is_taken()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        var failure = await Assert.ThrowsAnyAsync<PlaceException>(() => domain.StartAgentAsync());
        Assert.Contains("is taken by a running process", failure.Message);
    }

    [Fact]
    public async Task Keys_on_the_disk_can_be_read_by_their_owner_only()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent's own key");
        var keys = Directory.EnumerateFiles(domain.Folder, "*.pem", SearchOption.AllDirectories)
            .Where(file => File.ReadAllText(file).Contains("PRIVATE KEY", StringComparison.Ordinal))
            .ToArray();
        Assert.True(keys.Length >= 3, "anchor, issuing authority and agent");
        Assert.All(keys, key => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(key)));
    }

    private async Task UnavailableAsync(TestTrustDomain domain)
    {
        using var channel = WorkloadApi.Connect(domain.WorkloadApi, TimeProvider.System);
        using var call = new SpiffeWorkloadAPI.SpiffeWorkloadAPIClient(channel).FetchX509SVID(new X509SVIDRequest(), WorkloadApi.Options(_patience));
        var answer = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(_patience));
        Assert.Equal(StatusCode.Unavailable, answer.StatusCode);
    }

    private static async Task SendAsync(System.Net.EndPoint endPoint, byte[] bytes)
    {
        using var socket = endPoint is UnixDomainSocketEndPoint
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(endPoint);
            await socket.SendAsync(bytes);
        }
        catch (SocketException)
        {
            // The other side may hang up in the middle of it.
        }
    }
}
