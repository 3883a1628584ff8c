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
using Status = Grpc.Core.Status;
using WireToken = Signet.Rpc.Wire.Spire.Types.JoinToken;

namespace Signet.Server.Api;

/// <summary>spire.api.server.agent.v1.Agent: how nodes join and stay.</summary>
internal sealed class AgentService(
    TrustDomain trustDomain, NodeAdmission admission, JoinTokens tokens, AgentDirectory agents, SvidIssuer issuer, TimeSpan agentTtl, ILogger<AgentService> log)
    : Signet.Rpc.Wire.Spire.Server.Agent.Agent.AgentBase
{
    private const int MaxPage = 2000;

    public override Task AttestAgent(
        IAsyncStreamReader<AttestAgentRequest> requestStream, IServerStreamWriter<AttestAgentResponse> responseStream, ServerCallContext context) =>
        admission.AttestAsync(requestStream, responseStream, context);

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
