using Google.Protobuf;
using Signet.Client.Tls;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Agent;
using Signet.Rpc.Wire.Spire.Server.Bundle;
using Signet.Rpc.Wire.Spire.Server.Entry;
using Signet.Rpc.Wire.Spire.Server.SVID;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Testing;
using AgentApi = Signet.Rpc.Wire.Spire.Server.Agent.Agent;
using BundleApi = Signet.Rpc.Wire.Spire.Server.Bundle.Bundle;
using EntryApi = Signet.Rpc.Wire.Spire.Server.Entry.Entry;

namespace Signet.FunctionalTests.Server;

/// <summary>Works as SPIRE's agent does, call for call: it synchronises, replaces what a tainted anchor stands above, and acknowledges nothing. One caller.</summary>
internal sealed class ForeignAgent : IDisposable
{
    private readonly TestTrustDomain _domain;
    private readonly Dictionary<string, X509Svid> _workloads = new(StringComparer.Ordinal);
    private X509Svid _own;
    private GrpcChannel _channel;

    private ForeignAgent(TestTrustDomain domain, X509Svid own) => (_domain, _own, _channel) = (domain, own, Connect(domain, own));

    public SpiffeId Id => _own.Id;

    /// <summary>The authorities that signed what it and its workloads use now.</summary>
    public IReadOnlyList<Certificate> Issuers => [_own.Issuer!, .. _workloads.Values.Select(svid => svid.Issuer!)];

    public static async Task<ForeignAgent> JoinAsync(TestTrustDomain domain, CancellationToken cancellationToken)
    {
        using var admin = domain.Admin();
        var token = await admin.CreateTokenAsync(TimeSpan.FromMinutes(1), alias: null, cancellationToken);
        return new ForeignAgent(domain, await JoinAsync(domain, token.Token, KeyPair.Generate(KeyType.EcP256), cancellationToken));
    }

    /// <summary>Attests with a token; the key is the caller's.</summary>
    public static async Task<X509Svid> JoinAsync(TestTrustDomain domain, string token, System.Security.Cryptography.AsymmetricAlgorithm key, CancellationToken cancellationToken) =>
        Read(await JoinAsync(domain, token, SigningRequest.Create(key), cancellationToken), key);

    /// <summary>Attests with a token and whatever request.</summary>
    public static async Task<X509SVID> JoinAsync(TestTrustDomain domain, string token, byte[] csr, CancellationToken cancellationToken)
    {
        using var channel = Connect(domain, svid: null);
        using var call = new AgentApi.AgentClient(channel).AttestAgent(cancellationToken: cancellationToken);
        await call.RequestStream.WriteAsync(
            new AttestAgentRequest
            {
                Params = new AttestAgentRequest.Types.Params
                {
                    Data = new AttestationData { Type = "join_token", Payload = ByteString.CopyFromUtf8(token) },
                    Params_ = new AgentX509SVIDParams { Csr = ByteString.CopyFrom(csr) },
                },
            },
            cancellationToken);
        Assert.True(await call.ResponseStream.MoveNext(cancellationToken));
        return call.ResponseStream.Current.Result.Svid;
    }

    public static GrpcChannel Connect(TestTrustDomain domain, X509Svid? svid) => GrpcChannel.ForTls(
        "127.0.0.1", domain.ServerEndPoint.Port, () => SvidTls.Client(svid is null ? null : new TlsCredential(svid), "", (_, _) => true), TimeProvider.System);

    /// <summary>Another connection under its certificate; the caller disposes it.</summary>
    public GrpcChannel Open() => Connect(_domain, _own);

    public async Task SynchroniseAsync(CancellationToken cancellationToken)
    {
        var bundle = await new BundleApi.BundleClient(_channel).GetBundleAsync(new GetBundleRequest(), cancellationToken: cancellationToken);
        var entries = (await new EntryApi.EntryClient(_channel).GetAuthorizedEntriesAsync(new GetAuthorizedEntriesRequest(), cancellationToken: cancellationToken)).Entries;
        var tainted = bundle.X509Authorities.Where(anchor => anchor.Tainted).Select(anchor => Certificate.Parse(anchor.Asn1.ToByteArray())).ToArray();
        foreach (var entry in entries.Where(entry => !_workloads.TryGetValue(entry.Id, out var svid) || IsBelow(svid, tainted)))
        {
            var key = KeyPair.Generate(KeyType.EcP256);
            var request = new BatchNewX509SVIDRequest { Params = { new NewX509SVIDParams { EntryId = entry.Id, Csr = ByteString.CopyFrom(SigningRequest.Create(key)) } } };
            _workloads[entry.Id] = Read((await new SVID.SVIDClient(_channel).BatchNewX509SVIDAsync(request, cancellationToken: cancellationToken)).Results[0].Svid, key);
        }

        if (IsBelow(_own, tainted))
        {
            var key = KeyPair.Generate(KeyType.EcP256);
            var request = new RenewAgentRequest { Params = new AgentX509SVIDParams { Csr = ByteString.CopyFrom(SigningRequest.Create(key)) } };
            _own = Read((await new AgentApi.AgentClient(_channel).RenewAgentAsync(request, cancellationToken: cancellationToken)).Svid, key);
            _channel.Dispose();
            _channel = Connect(_domain, _own);
        }
    }

    public void Dispose() => _channel.Dispose();

    private static bool IsBelow(X509Svid svid, Certificate[] anchors) => anchors.Any(anchor => svid.Issuer!.IssuerName.Equals(anchor.SubjectName));

    private static X509Svid Read(X509SVID wire, System.Security.Cryptography.AsymmetricAlgorithm key) =>
        SpireMapping.TryReadChain(wire.CertChain, out var chain, out var problem) && X509Svid.TryCreate(chain, key, hint: null, out var svid, out problem) ? svid : throw new InvalidOperationException(problem);
}
