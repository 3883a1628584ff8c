using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Signet.Agent.Attestation;
using Signet.Identity.X509;
using Signet.Rpc.Wire.Attestation.Ssh;
using Signet.Server.Attestation;
using Signet.Server.Storage.Sqlite;
using Signet.Testing;
using Signet.Testing.X509;
using IAgentAttestor = Signet.Agent.Attestation.INodeAttestor;
using IServerAttestor = Signet.Server.Attestation.INodeAttestor;

namespace Signet.FunctionalTests.Attestation;

/// <summary>What every attestor keeps, its server's half and its agent's half together.</summary>
public abstract class NodeAttestorExam : IAsyncLifetime
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    /// <summary>Messages that no attestor understands; some are well-formed for another.</summary>
    private static readonly byte[][] Garbage =
    [
        [],
        [0],
        "{}"u8.ToArray(),
        "null"u8.ToArray(),
        "[[[[[[[["u8.ToArray(),
        Encoding.UTF8.GetBytes(new string('{', 10_000)),
        "{\"certificates\":[\"AAAA\"],\"cluster\":\"\\u0000\",\"token\":\"\\u001b[2J\",\"hostname\":\"a\\r\\nb\",\"agentname\":\"x\",\"port\":80}"u8.ToArray(),
        [.. Enumerable.Repeat((byte)0xff, NodeExchange.MaxMessage)],
    ];

    private protected TestFolder Files { get; } = new();

    private protected IServerAttestor Server { get; set; } = null!;

    private protected IAgentAttestor Node { get; set; } = null!;

    public abstract ValueTask InitializeAsync();

    public virtual ValueTask DisposeAsync()
    {
        Files.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Both_halves_call_it_by_one_name_and_so_do_ID_and_selectors()
    {
        Assert.Equal(Server.Type, Node.Type);
        var proof = await ProveAsync();
        Assert.StartsWith($"spiffe://example.org/spire/agent/{Server.Type}/", proof.SpiffeId.Uri);
        Assert.NotEmpty(proof.Selectors);
        Assert.All(proof.Selectors, selector => Assert.Equal(Server.Type, selector.Type));
    }

    [Fact]
    public async Task The_same_node_gets_the_same_ID_every_time() => Assert.Equal((await ProveAsync()).SpiffeId, (await ProveAsync()).SpiffeId);

    [Fact]
    public async Task Garbage_proves_nothing_breaks_nothing_and_what_is_said_of_it_is_safe_to_show() => Assert.All(Garbage, garbage =>
    {
        var verdict = Server.AttestAsync(new NodeExchange(garbage, (_, _) => Task.FromResult<ReadOnlyMemory<byte>>(garbage)), _patience).GetAwaiter().GetResult();
        Assert.Null(verdict.Proof);
        Assert.NotEmpty(verdict.Reason);
        Assert.All(verdict.Reason + verdict.Told, c => Assert.InRange(c, ' ', '~'));
        Assert.InRange(verdict.Told.Length, 1, 500);
    });

    [Fact]
    public async Task A_payload_that_was_changed_on_the_way_proves_no_other_node()
    {
        var id = (await ProveAsync()).SpiffeId;
        var random = new Random(1);
        for (var round = 0; round < 30; round++)
        {
            await using var node = await Node.BeginAsync(_patience);
            var payload = node.Payload.ToArray();
            payload[random.Next(payload.Length)] ^= (byte)(1 << random.Next(8));
            var verdict = await Server.AttestAsync(new NodeExchange(payload, node.AnswerAsync), _patience);
            Assert.True(verdict.Proof is null || verdict.Proof.SpiffeId == id, $"{verdict.Proof?.SpiffeId}");
        }
    }

    [Fact]
    public async Task Whoever_gives_up_ends_the_attestation()
    {
        await using var node = await Node.BeginAsync(_patience);
        using var gone = new CancellationTokenSource();
        await gone.CancelAsync();
        try
        {
            Assert.Null((await Server.AttestAsync(new NodeExchange(node.Payload, (_, stop) => Task.FromCanceled<ReadOnlyMemory<byte>>(stop)), gone.Token)).Proof as NodeProof.Repeatable);
        }
        catch (OperationCanceledException)
        {
            // Also an end.
        }
    }

    [Fact]
    public async Task A_challenge_that_the_agent_does_not_understand_is_named_and_not_answered()
    {
        foreach (var garbage in Garbage)
        {
            await using var node = await Node.BeginAsync(_patience);
            var refused = await Assert.ThrowsAsync<AttestationException>(async () => await node.AnswerAsync(garbage, _patience));
            Assert.Contains("challenge is not understood", refused.Message);
        }
    }

    private async Task<NodeProof> ProveAsync()
    {
        await using var node = await Node.BeginAsync(_patience);
        var verdict = await Server.AttestAsync(new NodeExchange(node.Payload, node.AnswerAsync), _patience);
        Assert.Equal((NodeProblem.None, "", ""), (verdict.Problem, verdict.Reason, verdict.Told));
        return verdict.Proof!;
    }
}

public sealed class JoinTokenExam : NodeAttestorExam
{
    private SqliteDatabase? _database;

    public override async ValueTask InitializeAsync()
    {
        _database = SqliteDatabase.Open(Files.File("signet.db"), TimeProvider.System);
        var tokens = new JoinTokens(TestTrustDomain.Name, new SqliteAgentStore(_database), TimeProvider.System);
        var token = await tokens.CreateAsync("", TimeSpan.FromMinutes(5), alias: null, CancellationToken.None);
        Server = new Signet.Server.Attestation.JoinTokenAttestor(tokens);
        Node = new Signet.Agent.Attestation.JoinTokenAttestor(new Signet.Hosting.Configuration.Secret(token!.Token));
    }

    public override async ValueTask DisposeAsync()
    {
        await _database!.DisposeAsync();
        await base.DisposeAsync();
    }
}

public sealed class X509PopExam : NodeAttestorExam
{
    public override ValueTask InitializeAsync()
    {
        var authority = CertificateForge.Authority("CN=devices").SignSelf();
        var device = new CertificateForge { Subject = "CN=node-1", IsAuthority = false }.Sign(authority);
        File.WriteAllText(Files.File("node.pem"), Pem.Encode(device.Certificate));
        File.WriteAllText(Files.File("node.key"), Pem.EncodePrivateKey(device.Key));
        Server = new Signet.Server.Attestation.X509PopAttestor(
            TestTrustDomain.Name, new X509PopConfig { CaBundles = [] }, () => [authority.Certificate], new ManualTimeProvider(CertificateForge.Now));
        Node = new Signet.Agent.Attestation.X509PopAttestor(new(Files.File("node.pem"), Files.File("node.key"), Intermediates: null));
        return ValueTask.CompletedTask;
    }
}

public sealed class K8sPsatExam : NodeAttestorExam
{
    private FakeKubernetes? _cluster;
    private KubernetesApi? _api;

    public override async ValueTask InitializeAsync()
    {
        _cluster = await FakeKubernetes.StartAsync();
        _api = new KubernetesApi(_cluster.Config, TimeProvider.System);
        await File.WriteAllTextAsync(Files.File("token"), "good");
        Server = new Signet.Server.Attestation.K8sPsatAttestor(TestTrustDomain.Name, new Dictionary<string, K8sCluster> { ["demo"] = new(_cluster.Config, _api) });
        Node = new Signet.Agent.Attestation.K8sPsatAttestor(new("demo", Files.File("token")));
    }

    public override async ValueTask DisposeAsync()
    {
        _api!.Dispose();
        await _cluster!.DisposeAsync();
        await base.DisposeAsync();
    }
}

public sealed class SshPopExam : NodeAttestorExam
{
    public override ValueTask InitializeAsync()
    {
        using var authority = Ed25519Key.Generate();
        using var host = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var by = new SshWriter().Text("ssh-ed25519").Bytes(authority.PublicBytes.Span).ToArray();
        var q = host.ExportParameters(includePrivateParameters: false).Q;
        byte[] forEver = [0, 0, 0, 0, 0, 0, 0, 0, .. Enumerable.Repeat((byte)0xff, 8)];
        byte[] signed =
        [
            .. new SshWriter().Text("ecdsa-sha2-nistp256-cert-v01@openssh.com").Bytes(new byte[32]).Text("nistp256").Bytes([4, .. q.X!, .. q.Y!]).ToArray(),
            0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2,
            .. new SshWriter().Text("key-1").Bytes(new SshWriter().Text("node-1").ToArray()).ToArray(),
            .. forEver,
            .. new SshWriter().Bytes([]).Bytes([]).Bytes([]).Bytes(by).ToArray(),
        ];
        byte[] certificate = [.. signed, .. new SshWriter().Bytes(new SshWriter().Text("ssh-ed25519").Bytes(authority.Sign(signed)).ToArray()).ToArray()];
        File.WriteAllText(Files.File("host-cert.pub"), $"ecdsa-sha2-nistp256-cert-v01@openssh.com {Convert.ToBase64String(certificate)} host\n");
        File.WriteAllText(Files.File("host"), Pem.EncodePrivateKey(host));
        Assert.True(SshPublicKey.TryRead(by, out var believed, out var problem), problem);
        Server = new Signet.Server.Attestation.SshPopAttestor(TestTrustDomain.Name, new SshPopConfig(), () => [believed], TimeProvider.System);
        Node = new Signet.Agent.Attestation.SshPopAttestor(new(Files.File("host-cert.pub"), Files.File("host")));
        return ValueTask.CompletedTask;
    }
}

public sealed class HttpChallengeExam : NodeAttestorExam
{
    /// <summary>An address of its own, since a changed payload may name any port.</summary>
    private static readonly IPAddress Address = IPAddress.Parse("127.77.0.1");

    private ChallengeFetcher? _fetcher;

    public override ValueTask InitializeAsync()
    {
        _fetcher = new ChallengeFetcher([IPNetwork.Parse("127.0.0.0/8")], (_, _) => Task.FromResult<IPAddress[]>([Address]), TimeProvider.System);
        Server = new Signet.Server.Attestation.HttpChallengeAttestor(TestTrustDomain.Name, new HttpChallengeConfig { AllowedDnsPatterns = [new Regex(@"\Anode-1\z")], Port = null }, _fetcher);
        Node = new Signet.Agent.Attestation.HttpChallengeAttestor(new("node-1", "default", new IPEndPoint(Address, 0), AdvertisedPort: null));
        return ValueTask.CompletedTask;
    }

    public override async ValueTask DisposeAsync()
    {
        ((IDisposable)Server).Dispose();
        _fetcher!.Dispose();
        await base.DisposeAsync();
    }
}
