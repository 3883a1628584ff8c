using Signet.Client;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc;
using Signet.Rpc.Wire.Envoy.Discovery;
using Signet.Rpc.Wire.Envoy.Secret;
using Signet.Rpc.Wire.Envoy.Tls;
using Signet.Testing;

namespace Signet.FunctionalTests.Agent;

/// <summary>What becomes of identities as time passes, on virtual time.</summary>
public sealed class IdentityTimeTests(VirtualDomain world) : IClassFixture<VirtualDomain>
{
    private const string SecretType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Fact]
    public async Task SVIDs_rotate_under_a_new_key_before_they_expire()
    {
        await using var web = await world.RegisterAsync("/web");
        await using var source = new X509Source(world.Domain.WorkloadApi, world.Time);
        await world.UntilAsync(() => source.Current is not null, "the first SVID");
        var first = source.Current!;
        world.PassRenewal();
        await world.UntilAsync(() => source.Current!.Default.Leaf != first.Default.Leaf, "a new leaf");
        Assert.True(world.Time.GetUtcNow() < first.Default.NotAfter, "the old one was still valid");
        Assert.NotEqual(first.Default.Leaf.SubjectPublicKeyInfo.ToArray(), source.Current!.Default.Leaf.SubjectPublicKeyInfo.ToArray());
    }

    [Fact]
    public async Task An_entry_that_expires_takes_the_identity_away_by_itself()
    {
        var end = world.Time.GetUtcNow().AddMinutes(10);
        await using var entry = await world.RegisterAsync(new RegistrationEntry
        {
            Id = "",
            SpiffeId = SpiffeId.Of(world.Domain.TrustDomain, "/guest"),
            ParentId = world.Domain.AgentId,
            Selectors = [TestTrustDomain.Myself],
            ExpiresAt = end,
        });
        await using var source = new X509Source(world.Domain.WorkloadApi, world.Time);
        await world.UntilAsync(() => source.Current is not null, "the guest's SVID");
        var guest = source.Current!;
        Assert.True(guest.Default.NotAfter <= end, "the SVID ends with its entry");
        world.Time.Advance(end - world.Time.GetUtcNow() - TimeSpan.FromMinutes(1));
        Assert.NotNull(source.Current);
        world.Time.Advance(TimeSpan.FromMinutes(1));
        await world.UntilAsync(() => source.Current is null, "the end of the entry");
    }

    [Fact]
    public async Task SDS_serves_default_root_all_and_an_ID_and_pushes_the_next_rotation()
    {
        await using var web = await world.RegisterAsync("/web");
        await using var source = new X509Source(world.Domain.WorkloadApi, world.Time);
        await world.UntilAsync(() => source.Current is not null, "the first SVID");
        using var channel = GrpcChannel.ForUnixSocket(world.Domain.AgentSocket, world.Time);
        using var call = new SecretDiscoveryService.SecretDiscoveryServiceClient(channel).StreamSecrets(new Grpc.Core.CallOptions(CancellationToken: _patience));
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
        world.PassRenewal();
        var last = first;
        TlsCertificate pushed;
        do
        {
            request.ResponseNonce = last.Nonce;
            request.VersionInfo = last.VersionInfo;
            await call.RequestStream.WriteAsync(request, _patience);
            var next = call.ResponseStream.MoveNext(_patience);
            await world.UntilAsync(() => next.IsCompleted, "the next response");
            Assert.True(await next);
            Assert.NotEqual(last.VersionInfo, call.ResponseStream.Current.VersionInfo);
            last = call.ResponseStream.Current;
            pushed = last.Resources.Select(any => any.Unpack<Secret>()).Single(secret => secret.Name == "default").TlsCertificate;
        }
        while (pushed.OcspStaple is not null && pushed.CertificateChain.Equals(secrets["default"].TlsCertificate.CertificateChain));
        Assert.NotEqual(secrets["default"].TlsCertificate.CertificateChain, pushed.CertificateChain);
    }

    [Fact]
    public async Task A_copied_agent_folder_is_noticed_once_the_original_has_renewed()
    {
        var time = new ManualTimeProvider();
        await using var domain = await TestTrustDomain.StartAsync(time: time);
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent", passing: time);
        var file = Path.Combine(domain.Folder, "agent", "identity.pem");
        var copied = await File.ReadAllBytesAsync(file);
        await domain.RegisterAsync("/web");
        time.Advance(TimeSpan.FromMinutes(40));
        await Eventually.IsTrueAsync(async () => !(await File.ReadAllBytesAsync(file)).SequenceEqual(copied), "the original's renewal", passing: time);
        await using (var source = new X509Source(domain.WorkloadApi, time))
        {
            await Eventually.IsTrueAsync(() => source.Current is not null, "an SVID", passing: time);
        }

        await domain.StopAgentAsync();
        await File.WriteAllBytesAsync(file, copied);
        await domain.StartAgentAsync();
        await Eventually.IsTrueAsync(
            () => domain.AgentHost.Readiness.Conditions.Any(condition => condition.State.Reason.Contains("newer certificate", StringComparison.Ordinal) || condition.State.Reason.Contains("join token", StringComparison.Ordinal)),
            "the refusal of the copy",
            passing: time);
    }
}
