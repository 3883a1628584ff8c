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

    public override async Task AttestAgent(
        IAsyncStreamReader<AttestAgentRequest> requestStream, IServerStreamWriter<AttestAgentResponse> responseStream, ServerCallContext context)
    {
        if (!await requestStream.MoveNext(context.CancellationToken).ConfigureAwait(false) || requestStream.Current.Params is not { } joining)
        {
            throw Rpcs.Invalid("the first message must hold params");
        }

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
            await agents.SaveAsync(known with { SerialHex = svid.Leaf.SerialHex, NotAfter = svid.Leaf.NotAfter }, context.CancellationToken).ConfigureAwait(false);
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

            if (alias is not null && (!alias.IsMemberOf(trustDomain) || !alias.HasPath))
            {
                throw Rpcs.Invalid($"agent_id {alias} is not an ID of trust domain {trustDomain} with a path");
            }

            var ttl = request.Ttl > 0 ? TimeSpan.FromSeconds(request.Ttl) : JoinTokens.DefaultTtl;
            if (ttl > JoinTokens.MaxTtl)
            {
                throw Rpcs.Invalid($"ttl is {ttl.TotalSeconds} s; the limit is {JoinTokens.MaxTtl.TotalSeconds} s");
            }

            if (request.Token.Length > 0 && !SpiffeId.TryParse($"{trustDomain.IdString}/{request.Token}", out _, out problem))
            {
                throw Rpcs.Invalid($"token cannot be part of an agent's ID: {problem}");
            }

            var token = await tokens.CreateAsync(request.Token, ttl, alias, context.CancellationToken).ConfigureAwait(false);
            log.JoinTokenCreated(CallerOf.Name(context), token.ExpiresAt);
            return new WireToken { Value = token.Token, ExpiresAt = token.ExpiresAt.ToUnixTimeSeconds() };
        });

    private async Task<AttestAgentResponse.Types.Result> JoinAsync(string token, SigningRequest csr, ServerCallContext context)
    {
        if (await tokens.RedeemAsync(token, context.CancellationToken).ConfigureAwait(false) is not { } redeemed)
        {
            log.JoinTokenRefused(CallerOf.Name(context));
            throw Rpcs.Denied("join token is unknown, used or expired; make a new one: signet token create");
        }

        var id = redeemed.AgentId;
        var svid = await IssueAsync(id, csr, context.CancellationToken).ConfigureAwait(false);
        var selector = new Selector(JoinTokens.Attestor, id.Path[(id.Path.LastIndexOf('/') + 1)..]);
        await agents.SaveAsync(
            new AttestedAgent(id, JoinTokens.Attestor, [selector], svid.Leaf.SerialHex, svid.Leaf.NotAfter, time.GetUtcNow(), Banned: false),
            context.CancellationToken).ConfigureAwait(false);
        if (redeemed.Alias is { } alias)
        {
            // The alias is an entry like any other: whoever is this agent may also be addressed by that ID.
            await entries.CreateAsync(
                [new RegistrationEntry { Id = "", SpiffeId = alias, ParentId = id, Selectors = [new Selector("spiffe_id", id.Uri)] }], context.CancellationToken).ConfigureAwait(false);
        }

        log.AgentAttested(id.Uri, svid.Leaf.SerialHex, svid.Leaf.NotAfter);
        return new AttestAgentResponse.Types.Result { Svid = SpireMapping.ToWire(svid.Chain, id), Reattestable = false };
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
