using Signet.Agent.Attestation;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Attestation;
using Signet.Testing;
using Signet.Testing.X509;

namespace Signet.FunctionalTests.Attestation;

/// <summary>A node that was given a certificate joins with it, a real agent at a real server.</summary>
public sealed class X509PopTests : IAsyncDisposable
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;
    private readonly ForgedCertificate _authority = Authority();
    private readonly TestFolder _files = new();
    private AttestationConfig _attestation = new();
    private TestTrustDomain _domain = null!;

    public async ValueTask DisposeAsync()
    {
        await (_domain?.DisposeAsync() ?? ValueTask.CompletedTask);
        _files.Dispose();
    }

    [Theory]
    [InlineData("p256")]
    [InlineData("rsa2048")]
    public async Task An_agent_joins_with_its_certificate_and_attests_again_instead_of_renewing(string key)
    {
        await ServeAsync(svidTtl: 14);
        await _domain.StartAgentAsync(Give("node-1", key));
        await JoinedAsync();
        using var admin = _domain.Admin();
        var agent = await admin.AgentAsync(Id("node-1"), _patience);
        Assert.True(agent.CanReattest);
        Assert.Contains("x509pop:subject:cn:node-1", agent.Selectors);

        await Eventually.IsTrueAsync(async () => (await admin.AgentAsync(Id("node-1"), _patience)).Serial != agent.Serial, "the next attestation");
        Assert.True(_domain.AgentHost.Readiness.IsReady);
    }

    [Fact]
    public async Task An_evicted_agent_comes_back_by_itself_and_a_banned_one_does_not()
    {
        await ServeAsync(svidTtl: 6);
        await _domain.StartAgentAsync(Give("node-1", "p256"));
        await JoinedAsync();
        using var admin = _domain.Admin();
        await admin.EvictAgentAsync(Id("node-1"), _patience);
        await Eventually.IsTrueAsync(async () => (await admin.AgentsAsync(_patience)).Any(agent => agent.Id == Id("node-1")), "the agent's return");

        await admin.BanAgentAsync(Id("node-1"), _patience);
        await Eventually.IsTrueAsync(() => Reason().Contains("banned", StringComparison.Ordinal), "the refusal");
    }

    [Fact]
    public async Task An_agent_whose_authority_leaves_the_bundle_file_cannot_stay()
    {
        await ServeAsync(svidTtl: 6);
        await _domain.StartAgentAsync(Give("node-1", "p256"));
        await JoinedAsync();
        await File.WriteAllTextAsync(_files.File("ca.pem"), Pem.Encode(Authority().Certificate));
        await Eventually.IsTrueAsync(() => Reason().Contains("PermissionDenied", StringComparison.Ordinal), "the end of its last SVID");
    }

    [Fact]
    public async Task A_certificate_of_strangers_does_not_join()
    {
        await ServeAsync();
        var strangers = Authority();
        await _domain.StartAgentAsync(Give("node-1", "p256", strangers));
        await Eventually.IsTrueAsync(() => Reason().Contains("PermissionDenied", StringComparison.Ordinal), "the refusal");
        using var admin = _domain.Admin();
        Assert.DoesNotContain(await admin.AgentsAsync(_patience), agent => agent.Id == Id("node-1"));
    }

    [Fact]
    public async Task An_agent_whose_files_do_not_fit_together_says_so()
    {
        await ServeAsync();
        var config = Give("node-1", "p256");
        await File.WriteAllTextAsync(config.Key, Pem.EncodePrivateKey(KeyPair.Generate(KeyType.EcP256)));
        await _domain.StartAgentAsync(config);
        await Eventually.IsTrueAsync(() => Reason().Contains("is not that of the first certificate", StringComparison.Ordinal), "the reason");
    }

    [Fact]
    public async Task A_server_that_does_not_know_the_attestor_names_those_that_it_knows()
    {
        await ServeAsync();
        await _domain.StopServerAsync();
        _attestation = new AttestationConfig();
        await _domain.StartServerAsync();
        await _domain.StartAgentAsync(Give("node-1", "p256"));
        await Eventually.IsTrueAsync(() => Reason().Contains("attestor \"x509pop\" is not one of this server's: join_token", StringComparison.Ordinal), "the reason");
    }

    private static ForgedCertificate Authority() =>
        (CertificateForge.Authority("CN=devices") with { NotBefore = DateTimeOffset.UtcNow.AddHours(-2), NotAfter = DateTimeOffset.UtcNow.AddHours(2) }).SignSelf();

    private AttestorConfig.X509Pop Give(string name, string key, ForgedCertificate? issuer = null)
    {
        var device = new CertificateForge
        {
            Subject = $"CN={name}",
            KeyName = key,
            IsAuthority = false,
            NotBefore = DateTimeOffset.UtcNow.AddHours(-1),
            NotAfter = DateTimeOffset.UtcNow.AddHours(1),
        }.Sign(issuer ?? _authority);
        File.WriteAllText(_files.File("node.pem"), Pem.Encode(device.Certificate));
        File.WriteAllText(_files.File("node.key"), Pem.EncodePrivateKey(device.Key));
        return new AttestorConfig.X509Pop(_files.File("node.pem"), _files.File("node.key"), Intermediates: null);
    }

    /// <summary>Starts the server.</summary>
    /// <param name="svidTtl">What a test waits for the end of, or an hour, in seconds.</param>
    private async Task ServeAsync(int svidTtl = 3600)
    {
        await File.WriteAllTextAsync(_files.File("ca.pem"), Pem.Encode(_authority.Certificate));
        Assert.True(AgentName.TryParse("{commonName}", out var name, out _));
        _attestation = new AttestationConfig { X509Pop = new X509PopConfig { CaBundles = [_files.File("ca.pem")], AgentName = name } };
        _domain = await TestTrustDomain.StartAsync(TimeSpan.FromSeconds(svidTtl), hasAgent: false, configure: config => config with { Attestation = _attestation });
    }

    private Task JoinedAsync() => Eventually.IsTrueAsync(() => _domain.AgentHost.Readiness.IsReady, "the agent");

    private string Reason() => string.Join("; ", _domain.AgentHost.Readiness.Conditions.Select(condition => condition.State.Reason));

    private static SpiffeId Id(string name) => SpiffeId.Of(TestTrustDomain.Name, $"/spire/agent/x509pop/{name}");
}
