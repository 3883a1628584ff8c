using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using Google.Protobuf;
using Grpc.Core;
using Signet.Client;
using Signet.Identity.Jose;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Agent;
using Signet.Rpc.Wire.Spire.Server.Bundle;
using Signet.Rpc.Wire.Spire.Server.Entry;
using Signet.Rpc.Wire.Spire.Server.SVID;
using AgentApi = Signet.Rpc.Wire.Spire.Server.Agent.Agent;
using BundleApi = Signet.Rpc.Wire.Spire.Server.Bundle.Bundle;
using EntryApi = Signet.Rpc.Wire.Spire.Server.Entry.Entry;

namespace Signet.Cli.Clients;

/// <summary>A join token as the server made it.</summary>
internal sealed record CreatedToken(string Token, SpiffeId AgentId, SpiffeId? Alias, DateTimeOffset ExpiresAt)
{
    /// <summary>The ID under which entries for this agent are registered.</summary>
    public SpiffeId ParentId => Alias ?? AgentId;
}

/// <summary>An attested agent as the server lists it.</summary>
internal sealed record ListedAgent(SpiffeId Id, string Attestor, string Serial, DateTimeOffset NotAfter, bool Banned, bool CanReattest, IReadOnlyList<string> Selectors);

/// <summary>The operator's side of the server's API. Owns the channel. What the server refuses, or what cannot be reached, is a <see cref="RpcException"/>.</summary>
internal sealed partial class AdminClient(GrpcChannel channel, TimeProvider time) : IDisposable
{
    private const int Page = 500;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    /// <summary>Over the admin socket.</summary>
    public AdminClient(string socket, TimeProvider time)
        : this(GrpcChannel.ForUnixSocket(socket, time), time)
    {
    }

    /// <summary>The authorities.</summary>
    public AuthorityClient Authorities => new(channel, time);

    /// <summary>The audit trail.</summary>
    public AuditClient Audit => new(channel);

    public async Task<X509Bundle> BundleAsync(CancellationToken cancellationToken) => (await BundlesAsync(cancellationToken).ConfigureAwait(false)).X509;

    /// <summary>What relying parties must trust, for certificates and for tokens.</summary>
    public async Task<(X509Bundle X509, JwtBundle Jwt)> BundlesAsync(CancellationToken cancellationToken)
    {
        var wire = await new BundleApi.BundleClient(channel).GetBundleAsync(new GetBundleRequest(), Options(cancellationToken));
        return SpireMapping.TryRead(wire, out var bundle, out var problem) && SpireMapping.TryRead(wire, bundle.TrustDomain, out var jwt, out problem) ? (bundle, jwt) : throw Broken(problem);
    }

    public async Task<CreatedToken> CreateTokenAsync(TimeSpan ttl, SpiffeId? alias, CancellationToken cancellationToken)
    {
        var request = new CreateJoinTokenRequest { Ttl = (int)ttl.TotalSeconds, AgentId = alias?.ToWire() };
        var token = await new AgentApi.AgentClient(channel).CreateJoinTokenAsync(request, Options(cancellationToken));
        var trustDomain = (await BundleAsync(cancellationToken).ConfigureAwait(false)).TrustDomain;
        return new CreatedToken(
            token.Value, ReservedIds.Agent(trustDomain, "join_token", token.Value), alias, DateTimeOffset.FromUnixTimeSeconds(token.ExpiresAt));
    }

    public Task<IReadOnlyList<ListedAgent>> AgentsAsync(CancellationToken cancellationToken) => AgentsAsync(null, cancellationToken);

    public async Task<IReadOnlyList<ListedAgent>> AgentsAsync(ListAgentsRequest.Types.Filter? filter, CancellationToken cancellationToken)
    {
        var agents = new List<ListedAgent>();
        var request = new ListAgentsRequest { PageSize = Page, Filter = filter };
        do
        {
            var response = await new AgentApi.AgentClient(channel).ListAgentsAsync(request, Options(cancellationToken));
            foreach (var wire in response.Agents)
            {
                agents.Add(ReadAgent(wire));
            }

            request.PageToken = response.NextPageToken;
        }
        while (request.PageToken.Length > 0);

        return agents;
    }

    public async Task<ListedAgent> AgentAsync(SpiffeId id, CancellationToken cancellationToken) =>
        ReadAgent(await new AgentApi.AgentClient(channel).GetAgentAsync(new GetAgentRequest { Id = id.ToWire() }, Options(cancellationToken)));

    public async Task<int> CountAgentsAsync(CountAgentsRequest.Types.Filter? filter, CancellationToken cancellationToken) =>
        (await new AgentApi.AgentClient(channel).CountAgentsAsync(new CountAgentsRequest { Filter = filter }, Options(cancellationToken))).Count;

    /// <summary>Shuts an agent out until it is evicted.</summary>
    public async Task BanAgentAsync(SpiffeId id, CancellationToken cancellationToken) =>
        await new AgentApi.AgentClient(channel).BanAgentAsync(new BanAgentRequest { Id = id.ToWire() }, Options(cancellationToken));

    /// <summary>Forgets an agent, and its ban.</summary>
    public async Task EvictAgentAsync(SpiffeId id, CancellationToken cancellationToken) =>
        await new AgentApi.AgentClient(channel).DeleteAgentAsync(new DeleteAgentRequest { Id = id.ToWire() }, Options(cancellationToken));

    public async Task<IReadOnlyList<RegistrationEntry>> EntriesAsync(SpiffeId? id, SpiffeId? parent, CancellationToken cancellationToken)
    {
        var entries = new List<RegistrationEntry>();
        var request = new ListEntriesRequest { PageSize = Page };
        if (id is not null || parent is not null)
        {
            request.Filter = new ListEntriesRequest.Types.Filter { BySpiffeId = id?.ToWire(), ByParentId = parent?.ToWire() };
        }

        do
        {
            var response = await new EntryApi.EntryClient(channel).ListEntriesAsync(request, Options(cancellationToken));
            entries.AddRange(response.Entries.Select(Read));
            request.PageToken = response.NextPageToken;
        }
        while (request.PageToken.Length > 0);

        return entries;
    }

    public async Task<RegistrationEntry> EntryAsync(string entryId, CancellationToken cancellationToken) =>
        Read(await new EntryApi.EntryClient(channel).GetEntryAsync(new GetEntryRequest { Id = entryId }, Options(cancellationToken)));

    public async Task<RegistrationEntry> CreateEntryAsync(RegistrationEntry entry, CancellationToken cancellationToken)
    {
        var response = await new EntryApi.EntryClient(channel).BatchCreateEntryAsync(
            new BatchCreateEntryRequest { Entries = { entry.ToWire() } }, Options(cancellationToken));
        var result = response.Results.Count == 1 ? response.Results[0] : throw Broken("the server did not answer for the entry");
        return result.Status.Code == (int)StatusCode.OK ? Read(result.Entry) : throw new RpcException(new Status((StatusCode)result.Status.Code, result.Status.Message));
    }

    public async Task<int> CountEntriesAsync(SpiffeId? id, SpiffeId? parent, CancellationToken cancellationToken) =>
        (await new EntryApi.EntryClient(channel).CountEntriesAsync(
            new CountEntriesRequest { Filter = id is null && parent is null ? null : new CountEntriesRequest.Types.Filter { BySpiffeId = id?.ToWire(), ByParentId = parent?.ToWire() } },
            Options(cancellationToken))).Count;

    /// <summary>Changes the fields that the mask names.</summary>
    public async Task<RegistrationEntry> UpdateEntryAsync(Rpc.Wire.Spire.Types.Entry entry, Rpc.Wire.Spire.Types.EntryMask mask, CancellationToken cancellationToken)
    {
        var response = await new EntryApi.EntryClient(channel).BatchUpdateEntryAsync(
            new BatchUpdateEntryRequest { Entries = { entry }, InputMask = mask }, Options(cancellationToken));
        var result = response.Results.Count == 1 ? response.Results[0] : throw Broken("the server did not answer for the entry");
        return result.Status.Code == (int)StatusCode.OK ? Read(result.Entry) : throw new RpcException(new Status((StatusCode)result.Status.Code, result.Status.Message));
    }

    public async Task DeleteEntryAsync(string entryId, CancellationToken cancellationToken)
    {
        var response = await new EntryApi.EntryClient(channel).BatchDeleteEntryAsync(
            new BatchDeleteEntryRequest { Ids = { entryId } }, Options(cancellationToken));
        var status = response.Results.Count == 1 ? response.Results[0].Status : throw Broken("the server did not answer for the entry");
        if (status.Code != (int)StatusCode.OK)
        {
            throw new RpcException(new Status((StatusCode)status.Code, status.Message));
        }
    }

    /// <summary>Has the server sign an SVID for a key made here.</summary>
    public async Task<X509Svid> MintAsync(SpiffeId id, TimeSpan ttl, IReadOnlyList<string> dnsNames, CancellationToken cancellationToken)
    {
        AsymmetricAlgorithm key = KeyPair.Generate(KeyType.EcP256);
        var request = new MintX509SVIDRequest { Csr = ByteString.CopyFrom(SigningRequest.Create(key, id, dnsNames)), Ttl = (int)ttl.TotalSeconds };
        var response = await new SVID.SVIDClient(channel).MintX509SVIDAsync(request, Options(cancellationToken));
        return SpireMapping.TryReadChain(response.Svid?.CertChain ?? [], out var chain, out var problem) && X509Svid.TryCreate(chain, key, hint: null, out var svid, out problem)
            ? svid
            : throw Broken(problem);
    }

    /// <summary>Has the server sign a token.</summary>
    public async Task<FetchedJwt> MintTokenAsync(SpiffeId id, IReadOnlyList<string> audiences, TimeSpan? ttl, CancellationToken cancellationToken)
    {
        var request = new MintJWTSVIDRequest { Id = id.ToWire(), Ttl = (int)(ttl?.TotalSeconds ?? 0) };
        request.Audience.AddRange(audiences);
        var response = await new SVID.SVIDClient(channel).MintJWTSVIDAsync(request, Options(cancellationToken));
        return response.Svid is { } svid ? new FetchedJwt(id, svid.Token, DateTimeOffset.FromUnixTimeSeconds(svid.ExpiresAt), null) : throw Broken("the server answered without a token");
    }

    public void Dispose() => channel.Dispose();

    private CallOptions Options(CancellationToken cancellationToken) => new(null, (time.GetUtcNow() + Timeout).UtcDateTime, cancellationToken);

    private static RegistrationEntry Read(Rpc.Wire.Spire.Types.Entry wire) => SpireMapping.TryRead(wire, out var entry, out var problem) ? entry : throw Broken(problem);

    private static ListedAgent ReadAgent(Rpc.Wire.Spire.Types.Agent wire) =>
        !SpireMapping.TryRead(wire.Id, "id", out var id, out var problem) ? throw Broken(problem)
        : !BigInteger.TryParse(wire.X509SvidSerialNumber, NumberStyles.None, CultureInfo.InvariantCulture, out var serial) ? throw Broken($"the server's serial number of {id} is not one")
        : new ListedAgent(
            id,
            wire.AttestationType,
            Convert.ToHexStringLower(serial.ToByteArray(isUnsigned: true, isBigEndian: true)),
            DateTimeOffset.FromUnixTimeSeconds(wire.X509SvidExpiresAt),
            wire.Banned,
            wire.CanReattest,
            [.. wire.Selectors.Select(selector => $"{selector.Type}:{selector.Value}")]);

    private static RpcException Broken(string problem) => new(new Status(StatusCode.Internal, problem));
}
