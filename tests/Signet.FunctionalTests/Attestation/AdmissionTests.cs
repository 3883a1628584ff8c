using Google.Protobuf;
using Grpc.Core;
using Signet.Client.Tls;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire.Attestation;
using Signet.Rpc.Wire.Spire.Server.Agent;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Server.Attestation;
using Signet.Testing;
using Signet.Testing.X509;
using AgentApi = Signet.Rpc.Wire.Spire.Server.Agent.Agent;

namespace Signet.FunctionalTests.Attestation;

/// <summary>The stream on which a node attests, used as it is not meant to be.</summary>
public sealed class AdmissionTests : IAsyncLifetime
{
    private readonly CancellationToken _patience = new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;
    private readonly ForgedCertificate _authority =
        (CertificateForge.Authority("CN=devices") with { NotBefore = DateTimeOffset.UtcNow.AddHours(-2), NotAfter = DateTimeOffset.UtcNow.AddHours(2) }).SignSelf();

    private readonly TestFolder _files = new();
    private TestTrustDomain _domain = null!;
    private byte[] _chain = null!;

    public async ValueTask InitializeAsync()
    {
        var device = new CertificateForge { Subject = "CN=node-1", IsAuthority = false, NotBefore = DateTimeOffset.UtcNow.AddHours(-1), NotAfter = DateTimeOffset.UtcNow.AddHours(1) }.Sign(_authority);
        _chain = X509PopWire.EncodeChain([device.Certificate.Der]);
        await File.WriteAllTextAsync(_files.File("ca.pem"), Pem.Encode(_authority.Certificate));
        var attestation = new AttestationConfig { X509Pop = new X509PopConfig { CaBundles = [_files.File("ca.pem")] } };
        _domain = await TestTrustDomain.StartAsync(hasAgent: false, configure: config => config with { Attestation = attestation });
    }

    public async ValueTask DisposeAsync()
    {
        await _domain.DisposeAsync();
        _files.Dispose();
    }

    [Fact]
    public async Task Whoever_begins_with_something_else_is_told_what_was_expected()
    {
        Assert.Contains("must hold params", (await TalkAsync(new AttestAgentRequest { ChallengeResponse = ByteString.CopyFromUtf8("x") })).Detail);
        Assert.Contains("is not one of this server's: join_token, x509pop", (await TalkAsync(First("\u001b[31mx", _chain))).Detail);
        Assert.Contains("CSR: ", (await TalkAsync(First("x509pop", _chain, csr: [1, 2, 3]))).Detail);
        Assert.Contains("ended before the attestation did", (await TalkAsync()).Detail);
    }

    [Fact]
    public async Task A_challenge_must_be_answered_with_an_answer_and_not_with_anything_else()
    {
        Assert.Contains("must be answered with challenge_response", (await TalkAsync(First("x509pop", _chain), First("x509pop", _chain))).Detail);
        Assert.Contains("ended before the attestation did", (await TalkAsync(First("x509pop", _chain))).Detail);
        Assert.Contains("x509pop answer", (await TalkAsync(First("x509pop", _chain), new AttestAgentRequest { ChallengeResponse = ByteString.CopyFromUtf8("{}") })).Detail);
    }

    [Fact]
    public async Task Messages_beyond_the_limit_are_refused_before_anybody_reads_them()
    {
        Assert.Contains("the limit is 65536", (await TalkAsync(First("join_token", new byte[NodeExchange.MaxMessage + 1]))).Detail);
        Assert.Contains("the limit is 65536", (await TalkAsync(First("x509pop", _chain), new AttestAgentRequest { ChallengeResponse = ByteString.CopyFrom(new byte[NodeExchange.MaxMessage + 1]) })).Detail);
    }

    private static AttestAgentRequest First(string type, byte[] payload, byte[]? csr = null) => new()
    {
        Params = new AttestAgentRequest.Types.Params
        {
            Data = new AttestationData { Type = type, Payload = ByteString.CopyFrom(payload) },
            Params_ = new AgentX509SVIDParams { Csr = ByteString.CopyFrom(csr ?? SigningRequest.Create(KeyPair.Generate(KeyType.EcP256))) },
        },
    };

    // Sends a message after each answer, then ends the stream; what is sent here is never good.
    private async Task<Grpc.Core.Status> TalkAsync(params AttestAgentRequest[] messages)
    {
        using var channel = GrpcChannel.ForTls("127.0.0.1", _domain.ServerEndPoint.Port, () => SvidTls.Client(null, "", (_, _) => true), TimeProvider.System);
        using var call = new AgentApi.AgentClient(channel).AttestAgent(cancellationToken: _patience);
        var refused = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            foreach (var message in messages)
            {
                await call.RequestStream.WriteAsync(message, _patience);
                Assert.True(await call.ResponseStream.MoveNext(_patience), "an answer");
                Assert.Equal(AttestAgentResponse.StepOneofCase.Challenge, call.ResponseStream.Current.StepCase);
            }

            await call.RequestStream.CompleteAsync();
            await call.ResponseStream.MoveNext(_patience);
        });
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.All(refused.Status.Detail, c => Assert.InRange(c, ' ', '~'));
        return refused.Status;
    }
}
