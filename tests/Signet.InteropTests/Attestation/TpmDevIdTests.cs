using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Signet.Agent.Attestation;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Attestation;
using Signet.Rpc.Wire.Attestation.Tpm;
using Signet.Server.Attestation;
using Signet.Testing;
using PublicKey = System.Security.Cryptography.X509Certificates.PublicKey;

namespace Signet.InteropTests.Attestation;

/// <summary>A device whose key lies in a TPM proves that it does; whoever has less does not.</summary>
public sealed class TpmDevIdTests(SoftwareTpm tpm) : IClassFixture<SoftwareTpm>
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    [Theory]
    [InlineData("rsa")]
    [InlineData("ec")]
    public async Task A_device_proves_itself_by_the_key_in_its_TPM_and_is_the_same_the_next_time(string key)
    {
        var first = await AttestAsync(key);
        Assert.Equal("", first.Reason);
        var proof = Assert.IsType<NodeProof.Repeatable>(first.Proof);
        var leaf = Read(tpm.Config(key).Certificate)[0];
        Assert.Equal($"spiffe://example.org/spire/agent/tpm_devid/{Sha1(leaf)}", proof.SpiffeId.Uri);
        Assert.Equal(
            ["tpm_devid:ca:fingerprint:" + Sha1(tpm.DeviceAuthority), "tpm_devid:issuer:cn:devices", $"tpm_devid:subject:cn:device-{key}"],
            proof.Selectors.Select(selector => selector.ToString()).Order(StringComparer.Ordinal));
        Assert.Equal(proof.SpiffeId, (await AttestAsync(key)).Proof?.SpiffeId);
    }

    [Fact]
    public async Task What_is_not_the_TPMs_own_word_is_refused()
    {
        await using var device = await new Signet.Agent.Attestation.TpmDevIdAttestor(tpm.Config("rsa")).BeginAsync(_patience);
        Assert.True(TpmDevIdWire.TryRead(device.Payload, out var shown, out var problem), problem);
        Assert.True(TpmPublic.TryRead(shown.AttestationPublic, out var attestation, out problem), problem);
        using var software = RSA.Create(2048);
        var own = Encode(software, attestation.Attributes, TpmWords.RsaSsa);
        var statement = shown.Certified;

        // Another key, another certificate, another statement.
        var stranger = tpm.Certify(new PublicKey(software), "stranger").Der.ToArray();
        await RefusedAsync(shown with { DevIdCertificates = [stranger] }, "DevIDPub is not the key of");
        await RefusedAsync(shown with { DevIdCertificates = [stranger], DevIdPublic = own }, "is about another key");
        await RefusedAsync(shown with { DevIdPublic = Encode(software, attestation.Attributes & ~TpmWords.FixedTpm, TpmWords.RsaSsa), DevIdCertificates = [stranger] }, "made or copied outside");
        await RefusedAsync(shown with { Certified = Changed(statement, statement.Length - 1) }, "did not sign it");
        await RefusedAsync(shown with { Certified = Changed(statement, 0) }, "not one about a key");
        await RefusedAsync(shown with { Certified = [.. statement, 0] }, "not one about a key");
        await RefusedAsync(shown with { CertifiedSignature = Changed(shown.CertifiedSignature, 40) }, "did not sign it");

        // Attestation keys that could be made to lie: one of software that signs the very statement, and one that signs anything.
        var signature = new TpmWriter().Short(TpmWords.RsaSsa).Short(TpmWords.Sha256).Sized(software.SignData(statement, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)).ToArray();
        await RefusedAsync(shown with { AttestationPublic = own }, "did not sign it");
        await RefusedAsync(shown with { AttestationPublic = Encode(software, attestation.Attributes & ~TpmWords.Restricted, TpmWords.RsaSsa), CertifiedSignature = signature }, "could sign something else");

        // With a key of software that claims to be a TPM's, the statement is fine, but no TPM opens the credential.
        await RefusedAsync(shown with { AttestationPublic = own, CertifiedSignature = signature }, "is not the one that holds the keys", answer: (_, _) => Task.FromResult<ReadOnlyMemory<byte>>(TpmDevIdWire.EncodeAnswer([1], [1])));

        // Endorsements.
        await RefusedAsync(shown with { EndorsementPublic = own }, "EKPub is not the key");
        await RefusedAsync(shown with { EndorsementCertificate = stranger, EndorsementPublic = Encode(software, TpmWords.FixedTpm | TpmWords.FixedParent | TpmWords.SensitiveDataOrigin | TpmWords.Restricted | TpmWords.Decrypt, TpmWords.Null, isStorage: true) }, "not one of a TPM that is believed");
        await RefusedAsync(shown, "not one of a TPM that is believed", makers: []);
        await RefusedAsync(shown, "", devices: []);

        // What does not have the form is not judged at all.
        foreach (var part in new[] { shown with { DevIdPublic = [1, 2, 3] }, shown with { EndorsementCertificate = [1] }, shown with { AttestationPublic = new byte[2000] }, shown with { DevIdCertificates = [[1]] } })
        {
            Assert.Equal(NodeProblem.Malformed, (await ServerAttestor().AttestAsync(new NodeExchange(part.Encode(), device.AnswerAsync), _patience)).Problem);
        }
    }

    [Fact]
    public async Task Garbage_proves_nothing_and_breaks_neither_half()
    {
        await using var device = await new Signet.Agent.Attestation.TpmDevIdAttestor(tpm.Config("ec")).BeginAsync(_patience);
        foreach (var garbage in new byte[][] { [], [0], "{}"u8.ToArray(), "null"u8.ToArray(), [.. Enumerable.Repeat((byte)'[', 10_000)], [.. Enumerable.Repeat((byte)0xff, NodeExchange.MaxMessage)] })
        {
            Assert.Equal(NodeProblem.Malformed, (await ServerAttestor().AttestAsync(new NodeExchange(garbage, device.AnswerAsync), _patience)).Problem);
            Assert.Equal(NodeProblem.Malformed, (await ServerAttestor().AttestAsync(new NodeExchange(device.Payload, (_, _) => Task.FromResult<ReadOnlyMemory<byte>>(garbage)), _patience)).Problem);
            Assert.Contains("challenge is not understood", (await Assert.ThrowsAsync<AttestationException>(async () => await device.AnswerAsync(garbage, _patience))).Message);
        }

        // A credential that was not made for it, the TPM does not open.
        var refused = await Assert.ThrowsAsync<AttestationException>(async () => await device.AnswerAsync(TpmDevIdWire.EncodeChallenge(new byte[32], new byte[68], new byte[256]), _patience));
        Assert.Contains("refused to activate the credential", refused.Message);
    }

    [Fact]
    public async Task An_answer_counts_for_its_own_challenge_only()
    {
        await using var device = await new Signet.Agent.Attestation.TpmDevIdAttestor(tpm.Config("ec")).BeginAsync(_patience);
        ReadOnlyMemory<byte> recorded = default;
        Assert.NotNull((await ServerAttestor().AttestAsync(new NodeExchange(device.Payload, async (challenge, stop) => recorded = await device.AnswerAsync(challenge, stop)), _patience)).Proof);
        Assert.True(TpmDevIdWire.TryReadAnswer(recorded, out var signature, out var opened, out _));
        var replayed = await ServerAttestor().AttestAsync(new NodeExchange(device.Payload, (_, _) => Task.FromResult(recorded)), _patience);
        Assert.Contains("is not the one that holds the keys", replayed.Reason);

        // Half of a fresh answer is not enough either.
        foreach (var half in new[] { true, false })
        {
            var mixed = await ServerAttestor().AttestAsync(
                new NodeExchange(device.Payload, async (challenge, stop) =>
                {
                    Assert.True(TpmDevIdWire.TryReadAnswer(await device.AnswerAsync(challenge, stop), out var freshSignature, out var freshlyOpened, out _));
                    return half ? TpmDevIdWire.EncodeAnswer(freshSignature, opened) : TpmDevIdWire.EncodeAnswer(signature, freshlyOpened);
                }),
                _patience);
            Assert.Contains("is not the one that holds the keys", mixed.Reason);
        }
    }

    [Fact]
    public async Task An_agent_says_what_its_TPM_or_its_files_lack()
    {
        var config = tpm.Config("rsa");
        Assert.Contains("cannot be opened", await ProblemAsync(config with { Device = "unix:/nowhere" }));
        Assert.Contains("cannot be opened", await ProblemAsync(config with { Device = "/nowhere" }));
        Assert.Contains("cannot be read", await ProblemAsync(config with { PrivateKey = "/nowhere" }));
        Assert.Contains("refused to load the device's key", await ProblemAsync(config with { PrivateKey = tpm.Config("ec").PrivateKey }));
        Assert.Contains("is not that of the first certificate", await ProblemAsync(config with { Certificate = tpm.Config("ec").Certificate }));
        Assert.Contains("public half of the device's key", await ProblemAsync(config with { PublicKey = config.Certificate }));
        Assert.Contains("refused the storage root key", await ProblemAsync(config with { OwnerPassword = new Signet.Hosting.Configuration.Secret("wrong") }));
    }

    [Fact]
    public async Task An_agent_joins_by_its_TPM_and_can_do_so_again()
    {
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.StopAgentAsync();
        await domain.StopServerAsync();
        await File.WriteAllTextAsync(Path.Combine(domain.Folder, "devices.pem"), Pem.Encode(tpm.DeviceAuthority), _patience);
        await File.WriteAllTextAsync(Path.Combine(domain.Folder, "makers.pem"), string.Concat(tpm.Makers.Select(maker => Pem.Encode(maker))), _patience);
        domain.Attestation = new AttestationConfig
        {
            TpmDevId = new TpmDevIdConfig { DevIdCaBundles = [Path.Combine(domain.Folder, "devices.pem")], EndorsementCaBundles = [Path.Combine(domain.Folder, "makers.pem")] },
        };
        await domain.StartServerAsync();
        Directory.Delete(Path.Combine(domain.Folder, "agent"), recursive: true);
        await domain.StartAgentAsync(tpm.Config("rsa"));
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        using var admin = domain.Admin();
        var agent = (await admin.AgentsAsync(_patience)).Single(one => one.Id.Path.StartsWith("/spire/agent/tpm_devid/", StringComparison.Ordinal));
        Assert.True(agent.CanReattest);
    }

    private async Task<NodeVerdict> AttestAsync(string key)
    {
        await using var device = await new Signet.Agent.Attestation.TpmDevIdAttestor(tpm.Config(key)).BeginAsync(_patience);
        return await ServerAttestor().AttestAsync(new NodeExchange(device.Payload, device.AnswerAsync), _patience);
    }

    private async Task RefusedAsync(TpmDevIdWire shown, string reason, NodeChallenge? answer = null, IReadOnlyList<Certificate>? devices = null, IReadOnlyList<Certificate>? makers = null)
    {
        var verdict = await ServerAttestor(devices, makers).AttestAsync(
            new NodeExchange(shown.Encode(), answer ?? ((_, _) => throw new InvalidOperationException("it was challenged"))), _patience);
        Assert.Equal(NodeProblem.Refused, verdict.Problem);
        Assert.Contains(reason, verdict.Reason);
    }

    private async Task<string> ProblemAsync(AttestorConfig.TpmDevId config) =>
        (await Assert.ThrowsAsync<AttestationException>(() => new Signet.Agent.Attestation.TpmDevIdAttestor(config).BeginAsync(_patience))).Message;

    private Signet.Server.Attestation.TpmDevIdAttestor ServerAttestor(IReadOnlyList<Certificate>? devices = null, IReadOnlyList<Certificate>? makers = null) =>
        new(TestTrustDomain.Name, () => devices ?? [tpm.DeviceAuthority], () => makers ?? tpm.Makers, TimeProvider.System);

    private static byte[] Encode(RSA key, uint attributes, ushort scheme, bool isStorage = false)
    {
        var writer = new TpmWriter().Short(TpmWords.Rsa).Short(TpmWords.Sha256).Long(attributes).Sized([]);
        _ = isStorage ? writer.Short(TpmWords.Aes).Short(128).Short(TpmWords.Cfb) : writer.Short(TpmWords.Null);
        _ = scheme == TpmWords.Null ? writer.Short(scheme) : writer.Short(scheme).Short(TpmWords.Sha256);
        return writer.Short(2048).Long(0).Sized(key.ExportParameters(includePrivateParameters: false).Modulus).ToArray();
    }

    private static byte[] Changed(byte[] bytes, int at)
    {
        var changed = bytes.ToArray();
        changed[at] ^= 1;
        return changed;
    }

    private static IReadOnlyList<Certificate> Read(string path)
    {
        Assert.True(Pem.TryReadCertificates(File.ReadAllText(path), out var certificates, out var problem), problem);
        return certificates;
    }

    private static string Sha1(Certificate certificate) => Convert.ToHexStringLower(SHA1.HashData(certificate.Der.Span));
}
