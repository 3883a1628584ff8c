using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Authority.Issuance;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Agent;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Server.Attestation;
using Signet.Server.Registration;
using Selector = Signet.Identity.Registration.Selector;
using Status = Grpc.Core.Status;
using WireToken = Signet.Rpc.Wire.Spire.Types.JoinToken;

namespace Signet.Server.Api;

/// <summary>spire.api.server.agent.v1.Agent: how nodes join and stay.</summary>
internal sealed class AgentService(
    TrustDomain trustDomain, JoinTokens tokens, AgentDirectory agents, EntryDirectory entries, SvidIssuer issuer, TimeSpan agentTtl, TimeProvider time, ILogger<AgentService> log)
    : Signet.Rpc.Wire.Spire.Server.Agent.Agent.AgentBase
{
    private const int MaxPage = 2000;
    private static readonly TimeSpan FirstMessageTimeout = TimeSpan.FromSeconds(10);

    public override async Task AttestAgent(
        IAsyncStreamReader<AttestAgentRequest> requestStream, IServerStreamWriter<AttestAgentResponse> responseStream, ServerCallContext context)
    {
        var joining = await FirstMessageAsync(requestStream, context.CancellationToken).ConfigureAwait(false);

        if (joining.Data?.Type != JoinTokens.Attestor)
        {
            throw Rpcs.Invalid($"attestor \"{Printable.Of(joining.Data?.Type ?? "")}\" is not supported; use {JoinTokens.Attestor}");
        }

        if (!SigningRequest.TryParse(joining.Params_?.Csr.Memory ?? default, out var csr, out var problem))
        {
            throw Rpcs.Invalid($"CSR: {problem}");
        }

        var result = await Rpcs.GuardAsync(() => JoinAsync(joining.Data.Payload.ToStringUtf8(), csr, context)).ConfigureAwait(false);
        await responseStream.WriteAsync(new AttestAgentResponse { Result = result }, context.CancellationToken).ConfigureAwait(false);
    }

    public override Task<RenewAgentResponse> RenewAgent(RenewAgentRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            var id = CallerOf.Agent(context);
            if (!SigningRequest.TryParse(request.Params?.Csr.Memory ?? default, out var csr, out var problem))
            {
                throw Rpcs.Invalid($"CSR: {problem}");
            }

            var known = agents.Find(id) ?? throw Rpcs.Denied($"{id} is not attested");
            var svid = await IssueAsync(id, csr, context.CancellationToken).ConfigureAwait(false);
            await agents.SaveAsync(known with { PendingHex = svid.Leaf.SerialHex, NotAfter = svid.Leaf.NotAfter }, context.CancellationToken).ConfigureAwait(false);
            return new RenewAgentResponse { Svid = SpireMapping.ToWire(svid.Chain, id) };
        });

    public override Task<ListAgentsResponse> ListAgents(ListAgentsRequest request, ServerCallContext context)
    {
        if (request.Filter is not null)
        {
            throw new RpcException(new Status(StatusCode.Unimplemented, "filters are not supported"));
        }

        var size = request.PageSize is > 0 and <= MaxPage ? request.PageSize : MaxPage;
        var page = agents.Agents
            .OrderBy(agent => agent.SpiffeId.Uri, StringComparer.Ordinal)
            .SkipWhile(agent => string.CompareOrdinal(agent.SpiffeId.Uri, request.PageToken) <= 0)
            .Take(size + 1)
            .ToArray();
        var response = new ListAgentsResponse { NextPageToken = page.Length > size ? page[size - 1].SpiffeId.Uri : "" };
        response.Agents.AddRange(page.Take(size).Select(ToWire));
        return Task.FromResult(response);
    }

    public override Task<WireToken> CreateJoinToken(CreateJoinTokenRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            SpiffeId? alias = null;
            if (request.AgentId is not null && !SpireMapping.TryRead(request.AgentId, "agent_id", out alias, out var problem))
            {
                throw Rpcs.Invalid(problem);
            }

            if (alias is not null && (!alias.IsMemberOf(trustDomain) || !alias.HasPath || ReservedIds.IsReserved(alias)))
            {
                throw Rpcs.Invalid($"agent_id {alias} is not a free ID of trust domain {trustDomain} with a path");
            }

            var ttl = request.Ttl > 0 ? TimeSpan.FromSeconds(request.Ttl) : JoinTokens.DefaultTtl;
            if (ttl > JoinTokens.MaxTtl)
            {
                throw Rpcs.Invalid($"ttl is {ttl.TotalSeconds} s; the limit is {JoinTokens.MaxTtl.TotalSeconds} s");
            }

            if (request.Token.Length > JoinTokens.MaxTokenLength)
            {
                throw Rpcs.Invalid($"token is {request.Token.Length} characters long; the limit is {JoinTokens.MaxTokenLength}");
            }

            if (request.Token.Length > 0 && (!SpiffeId.TryParse($"{trustDomain.IdString}/{request.Token}", out var part, out problem) || part.Path.LastIndexOf('/') > 0))
            {
                throw Rpcs.Invalid("token must be one segment of an ID: letters, digits, '.', '-' and '_'");
            }

            var token = await tokens.CreateAsync(request.Token, ttl, alias, context.CancellationToken).ConfigureAwait(false)
                ?? throw new RpcException(new Status(StatusCode.AlreadyExists, "the token exists already"));
            log.JoinTokenCreated(CallerOf.Name(context), token.ExpiresAt);
            return new WireToken { Value = token.Token, ExpiresAt = token.ExpiresAt.ToUnixTimeSeconds() };
        });

    // Whoever connects without a certificate gets little time to say why.
    private async Task<AttestAgentRequest.Types.Params> FirstMessageAsync(IAsyncStreamReader<AttestAgentRequest> stream, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(FirstMessageTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            return await stream.MoveNext(either.Token).ConfigureAwait(false) && stream.Current.Params is { } joining
                ? joining
                : throw Rpcs.Invalid("the first message must hold params");
        }
        catch (Exception) when (patience.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new RpcException(new Status(StatusCode.DeadlineExceeded, "no attestation data came in time"));
        }
    }

    private async Task<AttestAgentResponse.Types.Result> JoinAsync(string token, SigningRequest csr, ServerCallContext context)
    {
        if (await tokens.FindAsync(token, context.CancellationToken).ConfigureAwait(false) is not { } found)
        {
            throw Refused(context);
        }

        // The token is used up only together with the agent's record, once there is a certificate to hand out.
        var id = found.AgentId;
        var svid = await IssueAsync(id, csr, context.CancellationToken).ConfigureAwait(false);
        var selector = new Selector(JoinTokens.Attestor, id.Path[(id.Path.LastIndexOf('/') + 1)..]);
        var agent = new AttestedAgent(id, JoinTokens.Attestor, [selector], svid.Leaf.SerialHex, PendingHex: null, svid.Leaf.NotAfter, time.GetUtcNow(), Banned: false);
        if (!await tokens.RedeemAsync(found, agent).ConfigureAwait(false))
        {
            throw Refused(context);
        }

        agents.Adopt(agent);
        log.AgentAttested(id.Uri, svid.Leaf.SerialHex, svid.Leaf.NotAfter);
        if (found.Alias is { } alias)
        {
            await RegisterAliasAsync(alias, id).ConfigureAwait(false);
        }

        return new AttestAgentResponse.Types.Result { Svid = SpireMapping.ToWire(svid.Chain, id), Reattestable = false };
    }

    // The alias is an entry like any other: whoever is this agent may also be addressed by that ID.
    private async Task RegisterAliasAsync(SpiffeId alias, SpiffeId id)
    {
        var entry = new RegistrationEntry { Id = "", SpiffeId = alias, ParentId = id, Selectors = [new Selector("spiffe_id", id.Uri)] };
        var result = (await entries.CreateAsync([entry], CancellationToken.None).ConfigureAwait(false))[0];
        if (result.Outcome is EntryOutcome.Invalid or EntryOutcome.NotFound)
        {
            log.AliasNotRegistered(alias.Uri, id.Uri, result.Reason);
        }
    }

    private RpcException Refused(ServerCallContext context)
    {
        log.JoinTokenRefused(CallerOf.Name(context));
        return Rpcs.Denied("join token is unknown, used or expired; make a new one: signet token create");
    }

    private async Task<IssuedSvid> IssueAsync(SpiffeId id, SigningRequest csr, CancellationToken cancellationToken) =>
        (await issuer.IssueAsync([new SvidRequest(id, csr.SubjectPublicKeyInfo, agentTtl, [], id.Uri)], cancellationToken).ConfigureAwait(false))[0];

    private static Signet.Rpc.Wire.Spire.Types.Agent ToWire(AttestedAgent agent)
    {
        var wire = new Signet.Rpc.Wire.Spire.Types.Agent
        {
            Id = agent.SpiffeId.ToWire(),
            AttestationType = agent.Attestor,
            X509SvidSerialNumber = agent.SerialHex,
            X509SvidExpiresAt = agent.NotAfter.ToUnixTimeSeconds(),
            Banned = agent.Banned,
        };
        wire.Selectors.AddRange(agent.Selectors.Select(selector => new Signet.Rpc.Wire.Spire.Types.Selector { Type = selector.Type, Value = selector.Value }));
        return wire;
    }
}
