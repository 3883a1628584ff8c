using System.Security.Cryptography;
using Google.Protobuf;
using Grpc.Core;
using Signet.Agent.Attestation;
using Signet.Client.Tls;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Node;
using Signet.Rpc.Wire.Spire.Server.Agent;
using Signet.Rpc.Wire.Spire.Server.SVID;
using Signet.Rpc.Wire.Spire.Types;

namespace Signet.Agent.Identities;

/// <summary>
/// The agent's connection to the server. Every connection proves the server to be <c>…/spire/server</c> of the own trust domain and
/// presents the agent's newest SVID. Thread-safe.
/// </summary>
internal sealed class ServerLink(AgentIdentity identity, string host, int port, SvidKeys svidKeys, TimeProvider time) : IDisposable
{
    /// <summary>No attestor needs more.</summary>
    private const int MaxChallenges = 4;

    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(30);

    private readonly Lock _gate = new();
    private readonly SharedCertificates _shared = new();
    private AsymmetricAlgorithm? _joiningKey;
    private GrpcChannel? _channel;
    private GrpcChannel? _retired;
    private TlsCredential? _channelCredential;
    private volatile string _serverProblem = "";

    /// <summary>Proves this node and takes the SVID that the server answers with.</summary>
    /// <exception cref="AttestationException">This node lacks something with which it could prove itself.</exception>
    /// <exception cref="RpcException">The server refused or cannot be reached; the detail says why.</exception>
    public async Task<X509Svid> AttestAsync(INodeAttestor attestor, CancellationToken cancellationToken)
    {
        var attestation = await attestor.BeginAsync(cancellationToken).ConfigureAwait(false);
        await using var ended = attestation.ConfigureAwait(false);

        // Whoever joins has nothing to show; an old certificate would only be refused. The key stays the same until an answer arrives: a token that was
        // used, and whose answer was lost, serves the same key once more.
        var key = _joiningKey ??= KeyPair.Generate(KeyType.EcP256);
        using var channel = Connect(credential: null);
        using var call = new Rpc.Wire.Spire.Server.Agent.Agent.AgentClient(channel).AttestAgent(Options(cancellationToken));
        var next = new AttestAgentRequest
        {
            Params = new AttestAgentRequest.Types.Params
            {
                Data = new AttestationData { Type = attestor.Type, Payload = UnsafeByteOperations.UnsafeWrap(attestation.Payload) },
                Params_ = new AgentX509SVIDParams { Csr = ByteString.CopyFrom(SigningRequest.Create(key)) },
            },
        };
        for (var challenges = 0; challenges <= MaxChallenges; challenges++)
        {
            await call.RequestStream.WriteAsync(next, cancellationToken).ConfigureAwait(false);
            if (!await call.ResponseStream.MoveNext(cancellationToken).ConfigureAwait(false))
            {
                throw Broken("the server ended the attestation without a result");
            }

            if (call.ResponseStream.Current is { StepCase: AttestAgentResponse.StepOneofCase.Result } last)
            {
                _joiningKey = null;
                return ReadSvid(last.Result.Svid, key, hint: null);
            }

            var answer = await attestation.AnswerAsync(call.ResponseStream.Current.Challenge.Memory, cancellationToken).ConfigureAwait(false);
            next = new AttestAgentRequest { ChallengeResponse = UnsafeByteOperations.UnsafeWrap(answer) };
        }

        throw Broken($"the server sent more than {MaxChallenges} challenges");
    }

    /// <summary>Renews the agent's own SVID under a new key.</summary>
    public async Task<X509Svid> RenewAsync(CancellationToken cancellationToken)
    {
        var key = KeyPair.Generate(KeyType.EcP256);
        var request = new RenewAgentRequest { Params = new AgentX509SVIDParams { Csr = ByteString.CopyFrom(SigningRequest.Create(key)) } };
        var response = await new Rpc.Wire.Spire.Server.Agent.Agent.AgentClient(Channel()).RenewAgentAsync(request, Options(cancellationToken)).ResponseAsync.ConfigureAwait(false);
        return ReadSvid(response.Svid, key, hint: null);
    }

    /// <inheritdoc cref="SvidKeys.Batch"/>
    public RegistrationEntry[] Batch(IEnumerable<RegistrationEntry> due) => svidKeys.Batch(due);

    /// <summary>Asks for SVIDs of entries, each under a new key. An entry that the server refuses is missing from the answer, with its reason in <paramref name="refused"/>.</summary>
    public async Task<IReadOnlyDictionary<string, X509Svid>> SignAsync(
        IReadOnlyList<RegistrationEntry> entries, IDictionary<string, string> refused, CancellationToken cancellationToken)
    {
        var keys = new List<AsymmetricAlgorithm>(entries.Count);
        var made = new List<RegistrationEntry>(entries.Count);
        foreach (var entry in entries)
        {
            if (svidKeys.TryMake(entry, out var problem) is { } key)
            {
                keys.Add(key);
                made.Add(entry);
            }
            else
            {
                refused[entry.Id] = problem;
            }
        }

        return made.Count > 0 ? await SignAsync(made, keys, refused, cancellationToken).ConfigureAwait(false) : new Dictionary<string, X509Svid>();
    }

    private async Task<IReadOnlyDictionary<string, X509Svid>> SignAsync(
        List<RegistrationEntry> entries, List<AsymmetricAlgorithm> keys, IDictionary<string, string> refused, CancellationToken cancellationToken)
    {
        var request = new BatchNewX509SVIDRequest();
        request.Params.AddRange(entries.Zip(keys, (entry, key) => new NewX509SVIDParams { EntryId = entry.Id, Csr = ByteString.CopyFrom(SigningRequest.Create(key, entry.SpiffeId)) }));
        var response = await new SVID.SVIDClient(Channel()).BatchNewX509SVIDAsync(request, Options(cancellationToken)).ResponseAsync.ConfigureAwait(false);
        if (response.Results.Count != entries.Count)
        {
            throw Broken($"the server answered {response.Results.Count} results to {entries.Count} requests");
        }

        var signed = new Dictionary<string, X509Svid>(StringComparer.Ordinal);
        for (var i = 0; i < entries.Count; i++)
        {
            if (response.Results[i] is { Status.Code: (int)StatusCode.OK } result)
            {
                var svid = ReadSvid(result.Svid, keys[i], entries[i].Hint.Length > 0 ? entries[i].Hint : null);
                signed[entries[i].Id] = svid.Id == entries[i].SpiffeId ? svid : throw Broken($"the server answered {svid.Id} for {entries[i].SpiffeId}");
            }
            else
            {
                refused[entries[i].Id] = response.Results[i].Status?.Message ?? "no status";
            }
        }

        return signed;
    }

    /// <summary>Asks for a token of an entry.</summary>
    /// <exception cref="RpcException">The server refused or cannot be reached, or its answer does not hold; the detail says why.</exception>
    public async Task<HeldJwt> SignTokenAsync(RegistrationEntry entry, IReadOnlyList<string> audiences, CancellationToken cancellationToken)
    {
        var request = new NewJWTSVIDRequest { EntryId = entry.Id };
        request.Audience.AddRange(audiences);
        var response = await new SVID.SVIDClient(Channel()).NewJWTSVIDAsync(request, Options(cancellationToken)).ResponseAsync.ConfigureAwait(false);
        if (response.Svid is not { } svid || !CompactJws.TryParse(svid.Token, out var token, out var problem))
        {
            throw Broken("the server's answer holds no readable token");
        }

        using (token)
        {
            return !JwtSvid.TryReadSubject(token, out var id, out problem) ? throw Broken($"the server's token does not hold: {problem}")
                : id != entry.SpiffeId || audiences.Except(token.ClaimTexts("aud")).Any() ? throw Broken($"the server answered a token of {id} or for other audiences than were asked for")
                : token.TryClaimTime("exp", out var expires) ? new HeldJwt(entry, svid.Token, token.HeaderText("kid") ?? "", time.GetUtcNow(), expires!.Value)
                : throw Broken("the server's token has no expiry");
        }
    }

    /// <summary>Asks for WIT-SVIDs of entries, each for a new key. An entry that the server refuses is missing from the answer.</summary>
    /// <exception cref="RpcException">The server refused or cannot be reached, or its answer does not hold; the detail says why.</exception>
    public async Task<IReadOnlyList<HeldWit>> SignWitsAsync(IReadOnlyList<RegistrationEntry> entries, CancellationToken cancellationToken)
    {
        var keys = entries.Select(_ => ECDsa.Create(ECCurve.NamedCurves.nistP256)).ToArray();
        try
        {
            var request = new BatchNewWITSVIDRequest();
            request.Params.AddRange(entries.Zip(keys, (entry, key) => new NewWITSVIDParams { EntryId = entry.Id, PublicKey = ByteString.CopyFrom(KeyPair.ExportPublicKey(key)) }));
            var response = await new SVID.SVIDClient(Channel()).BatchNewWITSVIDAsync(request, Options(cancellationToken)).ResponseAsync.ConfigureAwait(false);
            if (response.Results.Count != entries.Count)
            {
                throw Broken($"the server answered {response.Results.Count} results to {entries.Count} requests");
            }

            var held = new List<HeldWit>(entries.Count);
            for (var i = 0; i < entries.Count; i++)
            {
                if (response.Results[i] is { Status.Code: (int)StatusCode.OK, Svid: { } svid })
                {
                    held.Add(HeldWit.TryRead(entries[i], keys[i], svid.Token, time.GetUtcNow(), out var one, out var problem) ? one : throw Broken($"the server's token does not hold: {problem}"));
                }
            }

            return held;
        }
        finally
        {
            foreach (var key in keys)
            {
                key.Dispose();
            }
        }
    }

    /// <summary>Asks for what is stapled to handshakes, for each certificate in the same order.</summary>
    /// <exception cref="RpcException">The server refused or cannot be reached; the detail says why.</exception>
    public async Task<IReadOnlyList<ReadOnlyMemory<byte>>> StaplesAsync(IReadOnlyList<(Certificate Leaf, Certificate Issuer)> certificates, CancellationToken cancellationToken)
    {
        var request = new StapleRequest();
        request.Certificates.AddRange(certificates.Select(one => new StapleRequest.Types.Certificate { Serial = one.Leaf.SerialHex, IssuerSerial = one.Issuer.SerialHex }));
        var response = await new Node.NodeClient(Channel()).StapleAsync(request, Options(cancellationToken)).ResponseAsync.ConfigureAwait(false);
        return response.Responses.Count == certificates.Count
            ? [.. response.Responses.Select(one => one.Memory)]
            : throw Broken($"the server answered {response.Responses.Count} staples to {certificates.Count} certificates");
    }

    /// <summary>Opens the stream on which the server pushes.</summary>
    public AsyncDuplexStreamingCall<WatchRequest, NodeUpdate> Watch(CancellationToken cancellationToken) =>
        new Node.NodeClient(Channel()).Watch(new CallOptions(CancellationToken: cancellationToken));

    /// <summary>Opens the stream on which the server pushes the mesh's configuration.</summary>
    public AsyncDuplexStreamingCall<Rpc.Wire.Mesh.MeshRequest, Rpc.Wire.Mesh.MeshUpdate> WatchMesh(CancellationToken cancellationToken) =>
        new Rpc.Wire.Mesh.Mesh.MeshClient(Channel()).Watch(new CallOptions(CancellationToken: cancellationToken));

    /// <summary>What went wrong, including why the server's certificate was refused, which the transport cannot say.</summary>
    public string Explain(RpcException e) =>
        e.StatusCode == StatusCode.Unavailable && _serverProblem is { Length: > 0 } problem ? $"server {host}:{port}: {problem}" : $"server {host}:{port}: {e.StatusCode}: {e.Status.Detail}";

    public void Dispose()
    {
        lock (_gate)
        {
            _retired?.Dispose();
            _channel?.Dispose();
        }
    }

    /// <summary>Whether the server says that it does not know this agent, or knows a newer certificate of it.</summary>
    public static bool MustJoinAgain(RpcException e) =>
        ReasonOf(e) is PermissionDeniedDetails.Types.Reason.AgentNotAttested or PermissionDeniedDetails.Types.Reason.AgentNotActive;

    /// <summary>Whether the server says that this agent renews by attesting again.</summary>
    public static bool MustReattest(RpcException e) => ReasonOf(e) == PermissionDeniedDetails.Types.Reason.AgentMustReattest;

    private static PermissionDeniedDetails.Types.Reason? ReasonOf(RpcException e)
    {
        if (e.StatusCode != StatusCode.PermissionDenied || e.Trailers.FirstOrDefault(entry => entry.Key == "grpc-status-details-bin") is not { } details)
        {
            return null;
        }

        try
        {
            return Rpc.Wire.GoogleRpc.Status.Parser.ParseFrom(details.ValueBytes).Details
                .Select(any => any.TryUnpack<PermissionDeniedDetails>(out var denied) ? denied.Reason : (PermissionDeniedDetails.Types.Reason?)null)
                .FirstOrDefault(reason => reason is not null);
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
    }

    // A channel keeps its connections, so a new SVID gets a new channel: the next call speaks with the new certificate. The one before
    // goes with the next change, when no call that began on it can still be under way.
    private GrpcChannel Channel()
    {
        lock (_gate)
        {
            if (_channel is null || _channelCredential != identity.Credential)
            {
                _retired?.Dispose();
                _retired = _channel;
                _channelCredential = identity.Credential;
                _channel = Connect(_channelCredential);
            }

            return _channel;
        }
    }

    private GrpcChannel Connect(TlsCredential? credential) => GrpcChannel.ForTls(
        host, port, () => SvidTls.Client(credential, serverName: "", JudgeServer), time);

    private bool JudgeServer(IReadOnlyList<Certificate> presented, string problem)
    {
        var now = time.GetUtcNow();
        var verdict = SvidVerifier.Verify(presented, identity.Bundles, CertificateUsage.Server, now);
        if (!verdict.IsTrusted && problem.Length == 0)
        {
            identity.BeginAnewIfProven(presented, now);
            verdict = SvidVerifier.Verify(presented, identity.Bundles, CertificateUsage.Server, now);
        }

        var expected = ReservedIds.Server(identity.TrustDomain);
        _serverProblem = problem.Length > 0 ? problem
            : !verdict.IsTrusted ? $"its certificate is refused: {verdict.Reason}"
            : verdict.Id != expected ? $"it presented {verdict.Id}, but {expected} was expected"
            : "";
        return _serverProblem.Length == 0;
    }

    private X509Svid ReadSvid(X509SVID? wire, AsymmetricAlgorithm key, string? hint)
    {
        if (wire is null || !SpireMapping.TryReadChain(wire.CertChain, out var chain, out var problem))
        {
            throw Broken("the server's answer holds no readable certificate");
        }

        return X509Svid.TryCreate(_shared.Share(chain), key, hint, out var svid, out problem) ? svid : throw Broken($"the server's answer does not hold: {problem}");
    }

    private CallOptions Options(CancellationToken cancellationToken) =>
        new(null, (time.GetUtcNow() + CallTimeout).UtcDateTime, cancellationToken);

    private static RpcException Broken(string problem) => new(new Grpc.Core.Status(StatusCode.Internal, problem));
}
