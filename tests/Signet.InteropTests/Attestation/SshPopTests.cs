using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using Signet.Agent.Attestation;
using Signet.Hosting.Files;
using Signet.InteropTests.Rpc;
using Signet.Rpc.Wire.Attestation;
using Signet.Rpc.Wire.Attestation.Ssh;
using Signet.Server.Attestation;
using Signet.Testing;

namespace Signet.InteropTests.Attestation;

/// <summary>Hosts whose keys and certificates ssh-keygen made prove themselves; whoever has less does not.</summary>
public sealed class SshPopTests : IAsyncLifetime
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;
    private readonly TestFolder _folder = new();

    public async ValueTask InitializeAsync() => await MakeKeyAsync("ca", "ed25519");

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    [Theory]
    [InlineData("rsa", "ecdsa", "-b", "2048")]
    [InlineData("rsa", "ed25519", "-b", "2048", "-m", "PEM")]
    [InlineData("ecdsa", "ecdsa", "-b", "256")]
    [InlineData("ecdsa", "ed25519", "-b", "384")]
    [InlineData("ecdsa", "rsa", "-b", "521", "-m", "PKCS8")]
    [InlineData("ed25519", "ed25519")]
    [InlineData("ed25519", "ecdsa")]
    public async Task A_host_of_any_usual_kind_proves_itself(string kind, string authority, params string[] options)
    {
        await MakeKeyAsync("authority", authority);
        await MakeKeyAsync("host", kind, options);
        await SignAsync("host", authority: "authority");
        var verdict = await AttestAsync("host", Server("authority"));
        Assert.Equal("", verdict.Reason);
        var proof = Assert.IsType<NodeProof.Repeatable>(verdict.Proof);
        var line = (await File.ReadAllTextAsync(_folder.File("host-cert.pub"), _patience)).Split(' ')[1];
        Assert.Equal($"spiffe://example.org/spire/agent/sshpop/{System.Buffers.Text.Base64Url.EncodeToString(SHA256.HashData(Convert.FromBase64String(line)))}", proof.SpiffeId.Uri);
        Assert.Contains(new("sshpop", "hostname:host.example.org"), proof.Selectors);
        Assert.Contains(new("sshpop", "key_id:key-1"), proof.Selectors);
        var shown = (await Peer.RunAsync("/usr/bin/ssh-keygen", _folder.Path, "-l", "-E", "sha256", "-f", "authority.pub")).Split(' ')[1]["SHA256:".Length..];
        Assert.Contains(new("sshpop", "ca:fingerprint:" + shown.Replace('+', '-').Replace('/', '_')), proof.Selectors);
    }

    [Theory]
    [InlineData("another authority", "not one that is believed")]
    [InlineData("a user", "the certificate of a user")]
    [InlineData("expired", "it is valid from")]
    [InlineData("not yet", "it is valid from")]
    [InlineData("no names", "names no host")]
    [InlineData("critical option", "critical option \"source-address\"")]
    public async Task A_certificate_that_does_not_hold_is_refused(string what, string reason)
    {
        await MakeKeyAsync("host", "ed25519");
        await MakeKeyAsync("stranger", "ed25519");
        await (what switch
        {
            "another authority" => SignAsync("host", authority: "stranger"),
            "a user" => SignAsync("host", isHost: false),
            "expired" => SignAsync("host", validity: "-2h:-1h"),
            "not yet" => SignAsync("host", validity: "+1h:+2h"),
            "no names" => SignAsync("host", names: ""),
            _ => SignAsync("host", more: ["-O", "source-address=10.0.0.0/8"]),
        });
        var verdict = await AttestAsync("host", Server("ca"));
        Assert.Null(verdict.Proof);
        Assert.Contains(reason, verdict.Reason);
    }

    [Fact]
    public async Task A_certificate_that_was_changed_and_a_signature_that_is_not_the_hosts_are_refused()
    {
        await MakeKeyAsync("host", "ecdsa");
        await SignAsync("host");
        await using var host = await new Signet.Agent.Attestation.SshPopAttestor(Config("host")).BeginAsync(_patience);
        Assert.True(SshPopWire.TryReadCertificate(host.Payload, out var encoded, out _));
        for (var at = 0; at < encoded.Length; at += 7)
        {
            var changed = encoded.ToArray();
            changed[at] ^= 1;
            var verdict = await Server("ca").AttestAsync(new NodeExchange(SshPopWire.EncodeCertificate(changed), host.AnswerAsync), _patience);
            Assert.Null(verdict.Proof);
            Assert.NotEmpty(verdict.Reason);
        }

        // An answer to an earlier challenge, one with another nonce, and one by another key.
        ReadOnlyMemory<byte> recorded = default;
        Assert.NotNull((await Server("ca").AttestAsync(new NodeExchange(host.Payload, async (challenge, stop) => recorded = await host.AnswerAsync(challenge, stop)), _patience)).Proof);
        Assert.Contains("was not made with the key", (await Server("ca").AttestAsync(new NodeExchange(host.Payload, (_, _) => Task.FromResult(recorded)), _patience)).Reason);
        await MakeKeyAsync("other", "ecdsa");
        await SignAsync("other");
        await using var other = await new Signet.Agent.Attestation.SshPopAttestor(Config("other")).BeginAsync(_patience);
        Assert.Contains("was not made with the key", (await Server("ca").AttestAsync(new NodeExchange(host.Payload, other.AnswerAsync), _patience)).Reason);
    }

    [Fact]
    public async Task A_host_is_named_as_the_configuration_says()
    {
        await MakeKeyAsync("host", "ed25519");
        await SignAsync("host");
        Assert.EndsWith("/sshpop/host", (await AttestAsync("host", Server("ca", new SshPopConfig { AgentName = Named("{hostname}"), CanonicalDomain = "example.org" }))).Proof?.SpiffeId.Path);
        Assert.EndsWith("/sshpop/dc/key-1", (await AttestAsync("host", Server("ca", new SshPopConfig { AgentName = Named("dc/{keyId}") }))).Proof?.SpiffeId.Path);
        await SignAsync("host", id: "a/b");
        Assert.Contains("its key ID \"a/b\" has a '/'", (await AttestAsync("host", Server("ca", new SshPopConfig { AgentName = Named("{keyId}") }))).Reason);
        await SignAsync("host", id: "a b");
        Assert.Contains("gives no name", (await AttestAsync("host", Server("ca", new SshPopConfig { AgentName = Named("{keyId}") }))).Reason);
    }

    [Fact]
    public async Task An_agent_says_what_its_files_lack()
    {
        await MakeKeyAsync("host", "ed25519");
        await SignAsync("host");
        await MakeKeyAsync("other", "rsa");
        Assert.Contains("is not that of the certificate", await ProblemAsync(Config("host") with { Key = _folder.File("other") }));
        Assert.Contains("is not a certificate", await ProblemAsync(Config("host") with { Certificate = _folder.File("host.pub") }));
        Assert.Contains("cannot be read", await ProblemAsync(Config("host") with { Key = "/nowhere" }));
        await Peer.RunAsync("/usr/bin/ssh-keygen", _folder.Path, "-q", "-p", "-N", "a password", "-f", "host");
        Assert.Contains("it is encrypted", await ProblemAsync(Config("host")));
    }

    [Theory]
    [InlineData("rsa")]
    [InlineData("ecdsa")]
    [InlineData("ed25519")]
    public async Task A_private_key_that_was_damaged_anywhere_breaks_nothing(string kind)
    {
        await MakeKeyAsync("host", kind);
        var text = await File.ReadAllTextAsync(_folder.File("host"), _patience);
        var random = new Random(3);
        for (var round = 0; round < 200; round++)
        {
            var characters = text.ToCharArray();
            characters[random.Next(40, characters.Length - 40)] = "Ab0+/=\n"[random.Next(7)];
            if (SshPrivateKey.TryRead(new string(characters), out var key, out var problem))
            {
                key.Dispose();
            }
            else
            {
                Assert.NotEmpty(problem);
            }
        }
    }

    [Fact]
    public async Task Authorities_in_a_file_are_followed_and_without_any_a_server_does_not_start()
    {
        await MakeKeyAsync("other", "ed25519");
        var config = new SshPopConfig { AuthorityFiles = [_folder.File("authorities")] };
        await File.WriteAllTextAsync(_folder.File("authorities"), "# ours\n\n" + await File.ReadAllTextAsync(_folder.File("ca.pub"), _patience), _patience);
        await using var authorities = FollowedSshAuthorities.Start(config, TimeProvider.System, NullLogger.Instance);
        var first = Assert.Single(authorities.Current);

        await File.WriteAllTextAsync(_folder.File("authorities"), await File.ReadAllTextAsync(_folder.File("other.pub"), _patience), _patience);
        await Eventually.IsTrueAsync(() => !authorities.Current[0].Encoded.Span.SequenceEqual(first.Encoded.Span), "the other authority");
        Assert.Single(authorities.Current);

        await File.WriteAllTextAsync(_folder.File("broken"), "# nobody\n", _patience);
        Assert.Contains("there is none in it", Assert.Throws<PlaceException>(() => FollowedSshAuthorities.Start(config with { AuthorityFiles = [_folder.File("broken")] }, TimeProvider.System, NullLogger.Instance)).Message);
    }

    [Fact]
    public async Task An_agent_joins_by_its_host_key_and_can_do_so_again()
    {
        await MakeKeyAsync("host", "ed25519");
        await SignAsync("host");
        await using var domain = await TestTrustDomain.StartAsync();
        await domain.StopAgentAsync();
        await domain.StopServerAsync();
        domain.Attestation = new AttestationConfig { SshPop = new SshPopConfig { AuthorityFiles = [_folder.File("ca.pub")], AgentName = Named("{keyId}") } };
        await domain.StartServerAsync();
        Directory.Delete(Path.Combine(domain.Folder, "agent"), recursive: true);
        await domain.StartAgentAsync(Config("host"));
        await Eventually.IsTrueAsync(() => domain.AgentHost.Readiness.IsReady, "the agent");
        using var admin = domain.Admin();
        var agent = (await admin.AgentsAsync(_patience)).Single(one => one.Id.Path == "/spire/agent/sshpop/key-1");
        Assert.True(agent.CanReattest);
    }

    private AttestorConfig.SshPop Config(string name) => new(_folder.File($"{name}-cert.pub"), _folder.File(name));

    private async Task<NodeVerdict> AttestAsync(string name, Signet.Server.Attestation.SshPopAttestor server)
    {
        await using var host = await new Signet.Agent.Attestation.SshPopAttestor(Config(name)).BeginAsync(_patience);
        return await server.AttestAsync(new NodeExchange(host.Payload, host.AnswerAsync), _patience);
    }

    private Signet.Server.Attestation.SshPopAttestor Server(string authority, SshPopConfig? config = null)
    {
        Assert.True(SshPublicKey.TryParse(File.ReadAllText(_folder.File($"{authority}.pub")), out var key, out var problem), problem);
        return new(TestTrustDomain.Name, config ?? new SshPopConfig(), () => [key], TimeProvider.System);
    }

    private static AgentName Named(string template)
    {
        Assert.True(AgentName.TryParseOfHost(template, out var name, out var problem), problem);
        return name;
    }

    private async Task<string> ProblemAsync(AttestorConfig.SshPop config) =>
        (await Assert.ThrowsAsync<AttestationException>(() => new Signet.Agent.Attestation.SshPopAttestor(config).BeginAsync(_patience))).Message;

    private Task<string> MakeKeyAsync(string name, string kind, params string[] options) =>
        Peer.RunAsync(Peer.Require("/usr/bin/ssh-keygen", "openssh-client"), _folder.Path, ["-q", "-t", kind, "-N", "", "-f", name, .. options]);

    private Task<string> SignAsync(string name, string authority = "ca", bool isHost = true, string validity = "-5m:+1h", string names = "host.example.org,other", string id = "key-1", params string[] more) => Peer.RunAsync(
        "/usr/bin/ssh-keygen", _folder.Path, ["-q", "-s", authority, "-I", id, .. isHost ? ["-h"] : Array.Empty<string>(), .. names.Length > 0 ? ["-n", names] : Array.Empty<string>(), "-V", validity, "-z", "7", .. more, $"{name}.pub"]);
}
