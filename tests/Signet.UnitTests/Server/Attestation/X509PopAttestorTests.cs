using System.Security.Cryptography;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Attestation;
using Signet.Server.Attestation;
using Signet.Testing;
using Signet.Testing.X509;

namespace Signet.UnitTests.Server.Attestation;

public sealed class X509PopAttestorTests
{
    private static readonly ForgedCertificate Root = CertificateForge.Authority("CN=devices").SignSelf();
    private static readonly ForgedCertificate Factory = CertificateForge.Authority("CN=factory").Sign(Root);
    private static readonly CertificateForge Device = new() { Subject = "O=Test,CN=node-1", IsAuthority = false };

    [Theory]
    [InlineData("p256")]
    [InlineData("p384")]
    [InlineData("p521")]
    [InlineData("rsa2048")]
    [InlineData("rsa3072")]
    public async Task A_node_with_a_certificate_and_its_key_is_proven_again_and_again(string key)
    {
        var device = (Device with { KeyName = key }).Sign(Factory);
        for (var i = 0; i < 2; i++)
        {
            var proof = Assert.IsType<NodeProof.Repeatable>((await AttestAsync([device, Factory])).Proof);
            Assert.Equal($"spiffe://example.org/spire/agent/x509pop/{Convert.ToHexStringLower(SHA1.HashData(device.Certificate.Der.Span))}", proof.SpiffeId.Uri);
        }
    }

    [Fact]
    public async Task Selectors_name_subject_serial_number_authorities_and_what_the_authority_wrote_for_this_trust_domain()
    {
        var device = (Device with { Names = ["uri:x509pop://example.org/datacenter/eu/1", "uri:x509pop://other.org/datacenter/us", "uri:x509pop://example.org/lonely"] }).Sign(Factory);
        var selectors = (await AttestAsync([device, Factory])).Proof!.Selectors.Select(selector => selector.ToString()).Order(StringComparer.Ordinal);
        Assert.Equal(
            new[]
            {
                $"x509pop:ca:fingerprint:{Convert.ToHexStringLower(SHA1.HashData(Factory.Certificate.Der.Span))}",
                $"x509pop:ca:fingerprint:{Convert.ToHexStringLower(SHA1.HashData(Root.Certificate.Der.Span))}",
                "x509pop:san:datacenter:eu/1",
                $"x509pop:serialnumber:{device.Certificate.SerialHex}",
                "x509pop:subject:cn:node-1",
            }.Order(StringComparer.Ordinal),
            selectors);
    }

    [Theory]
    [InlineData("{commonName}", "node-1")]
    [InlineData("devices/{commonName}", "devices/node-1")]
    public async Task The_agent_is_named_as_configured(string template, string name)
    {
        Assert.True(AgentName.TryParse(template, out var agentName, out _));
        var verdict = await AttestAsync([Device.Sign(Factory), Factory], config: Config with { AgentName = agentName });
        Assert.Equal($"/spire/agent/x509pop/{name}", verdict.Proof!.SpiffeId.Path);
    }

    [Theory]
    [InlineData("O=Test")]
    [InlineData("CN=..")]
    [InlineData("CN=a/b")]
    [InlineData("CN={serialNumber}")]
    [InlineData("CN=Node One")]
    public async Task A_common_name_that_is_no_part_of_an_ID_is_refused(string subject)
    {
        Assert.True(AgentName.TryParse("{commonName}", out var agentName, out _));
        var verdict = await AttestAsync([(Device with { Subject = subject }).Sign(Factory), Factory], config: Config with { AgentName = agentName });
        Assert.Equal(NodeProblem.Refused, verdict.Problem);
        Assert.Contains("gives no name for an agent", verdict.Reason);
    }

    [Theory]
    [InlineData("")]
    [InlineData("node")]
    [InlineData("{fingerprint}/..")]
    [InlineData("{fingerprint}/")]
    [InlineData("{commonname}")]
    public void A_template_that_names_nobody_or_makes_no_path_is_refused(string template)
    {
        Assert.False(AgentName.TryParse(template, out _, out var problem));
        Assert.NotEmpty(problem);
    }

    [Fact]
    public async Task A_certificate_of_an_unknown_authority_is_refused()
    {
        var stranger = CertificateForge.Authority("CN=devices").SignSelf();
        Assert.Equal(NodeProblem.Refused, (await AttestAsync([Device.Sign(stranger), stranger])).Problem);
        Assert.Null((await AttestAsync([Device.Sign(Factory), Factory], roots: [])).Proof);
    }

    [Fact]
    public async Task An_authority_that_is_taken_out_is_not_believed_from_then_on()
    {
        IReadOnlyList<Certificate> roots = [Root.Certificate];
        var attestor = new X509PopAttestor(TestTrustDomain.Name, Config, () => roots, new ManualTimeProvider(CertificateForge.Now));
        var device = Device.Sign(Factory);
        Assert.NotNull((await attestor.AttestAsync(Exchange([device, Factory], device.Key), CancellationToken.None)).Proof);
        roots = [];
        Assert.Null((await attestor.AttestAsync(Exchange([device, Factory], device.Key), CancellationToken.None)).Proof);
    }

    [Theory]
    [InlineData("expired")]
    [InlineData("not yet valid")]
    [InlineData("for servers only")]
    [InlineData("may not sign")]
    [InlineData("no key usage")]
    [InlineData("an authority")]
    [InlineData("weak key")]
    public async Task A_certificate_that_is_not_fit_is_refused(string what)
    {
        var device = what switch
        {
            "expired" => Device with { NotAfter = CertificateForge.Now.AddHours(-1) },
            "not yet valid" => Device with { NotBefore = CertificateForge.Now.AddHours(1) },
            "for servers only" => Device with { Purposes = [CertificateForge.ServerAuth] },
            "may not sign" => Device with { Usage = KeyUsages.KeyEncipherment },
            "no key usage" => Device with { Usage = null },
            "an authority" => CertificateForge.Authority("CN=node-1") with { Usage = KeyUsages.KeyCertSign | KeyUsages.DigitalSignature },
            _ => Device with { KeyName = "rsa1024" },
        };
        var verdict = await AttestAsync([device.Sign(Factory), Factory]);
        Assert.Equal(NodeProblem.Refused, verdict.Problem);
        Assert.NotEmpty(verdict.Reason);
    }

    [Fact]
    public async Task A_certificate_for_servers_is_good_when_the_operator_says_so()
    {
        var device = (Device with { Purposes = [CertificateForge.ServerAuth] }).Sign(Factory);
        Assert.NotNull((await AttestAsync([device, Factory], config: Config with { Usage = CertificateUsage.Server })).Proof);
        Assert.NotNull((await AttestAsync([device, Factory], config: Config with { Usage = CertificateUsage.Any })).Proof);
    }

    [Fact]
    public async Task Four_authorities_may_lie_between_and_not_five()
    {
        var chain = new List<ForgedCertificate> { Root };
        for (var i = 0; i < 5; i++)
        {
            chain.Insert(0, CertificateForge.Authority($"CN=between {i}").Sign(chain[0]));
        }

        Assert.NotNull((await AttestAsync([Device.Sign(chain[1]), .. chain[1..5]])).Proof);
        Assert.Equal(NodeProblem.Malformed, (await AttestAsync([Device.Sign(chain[0]), .. chain[..5]])).Problem);
        Assert.Equal(NodeProblem.Refused, (await AttestAsync([Device.Sign(chain[0]), .. chain[..4]], roots: [Root.Certificate])).Problem);
    }

    [Theory]
    [InlineData("p256")]
    [InlineData("rsa2048")]
    public async Task Who_has_the_certificate_but_not_the_key_is_refused(string key)
    {
        var device = (Device with { KeyName = key }).Sign(Factory);
        using var other = key == "p256" ? CertificateForge.NewKey(key) : RSA.Create(2048);
        Assert.Equal(NodeProblem.Refused, (await AttestAsync([device, Factory], key: other)).Problem);
    }

    [Theory]
    [InlineData("p256")]
    [InlineData("rsa2048")]
    public async Task An_answer_to_another_challenge_proves_nothing(string key)
    {
        var device = (Device with { KeyName = key }).Sign(Factory);
        var heard = ReadOnlyMemory<byte>.Empty;
        var honest = Exchange([device, Factory], device.Key);
        Assert.NotNull((await Attestor().AttestAsync(new NodeExchange(honest.Payload, async (challenge, stop) => heard = await honest.ChallengeAsync(challenge, stop)), CancellationToken.None)).Proof);
        Assert.Equal(NodeProblem.Refused, (await Attestor().AttestAsync(new NodeExchange(honest.Payload, (_, _) => Task.FromResult(heard)), CancellationToken.None)).Problem);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("""{"rsa_signature":{"nonce":"AAAA","signature":"AAAA"}}""")]
    [InlineData("""{"ecdsa_signature":{"nonce":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","r":"","s":""}}""")]
    public async Task An_answer_without_the_form_is_malformed(string answer)
    {
        var chain = Exchange([Device.Sign(Factory), Factory], Root.Key).Payload;
        var verdict = await Attestor().AttestAsync(new NodeExchange(chain, (_, _) => Task.FromResult<ReadOnlyMemory<byte>>(System.Text.Encoding.UTF8.GetBytes(answer))), CancellationToken.None);
        Assert.Equal(NodeProblem.Malformed, verdict.Problem);
    }

    [Fact]
    public async Task Zeros_are_no_signature()
    {
        var chain = Exchange([Device.Sign(Factory), Factory], Root.Key).Payload;
        var zeros = $$$"""{"ecdsa_signature":{"nonce":"{{{Convert.ToBase64String(new byte[32])}}}","r":"AA==","s":"AA=="}}""";
        var verdict = await Attestor().AttestAsync(new NodeExchange(chain, (_, _) => Task.FromResult<ReadOnlyMemory<byte>>(System.Text.Encoding.UTF8.GetBytes(zeros))), CancellationToken.None);
        Assert.Equal(NodeProblem.Refused, verdict.Problem);
    }

    private static X509PopConfig Config => new() { CaBundles = [] };

    private static X509PopAttestor Attestor(X509PopConfig? config = null, IReadOnlyList<Certificate>? roots = null) =>
        new(TestTrustDomain.Name, config ?? Config, () => roots ?? [Root.Certificate], new ManualTimeProvider(CertificateForge.Now));

    private static Task<NodeVerdict> AttestAsync(
        ForgedCertificate[] chain, AsymmetricAlgorithm? key = null, X509PopConfig? config = null, IReadOnlyList<Certificate>? roots = null) =>
        Attestor(config, roots).AttestAsync(Exchange(chain, key ?? chain[0].Key), CancellationToken.None);

    // A node that answers as SPIRE's does.
    private static NodeExchange Exchange(ForgedCertificate[] chain, AsymmetricAlgorithm key) => new(
        X509PopWire.EncodeChain(chain.Select(one => one.Certificate.Der)),
        (challenge, _) =>
        {
            Assert.True(X509PopWire.TryReadChallenge(challenge, key is RSA, out var nonce, out var problem), problem);
            var own = RandomNumberGenerator.GetBytes(X509PopWire.NonceLength);
            byte[] both = [.. nonce, .. own];
            return Task.FromResult<ReadOnlyMemory<byte>>(key is RSA rsa
                ? X509PopWire.EncodeRsaAnswer(own, rsa.SignData(both, HashAlgorithmName.SHA256, RSASignaturePadding.Pss))
                : X509PopWire.EncodeEcdsaAnswer(own, ((ECDsa)key).SignData(both, HashAlgorithmName.SHA256)));
        });
}
