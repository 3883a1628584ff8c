using System.Globalization;
using System.Numerics;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Authority.Issuance;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Agent;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Server.Access;
using Signet.Server.Attestation;
using Signet.Server.Upkeep;
using Status = Grpc.Core.Status;
using WireAgent = Signet.Rpc.Wire.Spire.Types.Agent;
using WireToken = Signet.Rpc.Wire.Spire.Types.JoinToken;

namespace Signet.Server.Api;

/// <summary>spire.api.server.agent.v1.Agent: how nodes join and stay, and how operators see and end them.</summary>
internal sealed class AgentService(
    TrustDomain trustDomain, NodeAdmission admission, JoinTokens tokens, AgentDirectory agents, SvidIssuer issuer, TimeSpan agentTtl, Acknowledgements acknowledgements, ILogger<AgentService> log)
    : Signet.Rpc.Wire.Spire.Server.Agent.Agent.AgentBase
{
    public override Task AttestAgent(
        IAsyncStreamReader<AttestAgentRequest> requestStream, IServerStreamWriter<AttestAgentResponse> responseStream, ServerCallContext context) =>
        admission.AttestAsync(requestStream, responseStream, context);

    public override Task<RenewAgentResponse> RenewAgent(RenewAgentRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            var id = CallerOf.Agent(context);
            var known = agents.Find(id) ?? throw Rpcs.Denied(PermissionDeniedDetails.Types.Reason.AgentNotAttested, $"{id} is not attested");
            if (known.CanReattest)
            {
                throw Rpcs.Denied(PermissionDeniedDetails.Types.Reason.AgentMustReattest, "agent must reattest instead of renew");
            }

            if (!RequestedKey.TryReadLeaf(request.Params?.Csr.Memory ?? default, trustDomain, out var csr, out var problem))
            {
                throw Rpcs.Invalid(problem);
            }

            var svid = await IssueAsync(id, csr, context.CancellationToken).ConfigureAwait(false);
            await agents.ChangeAsync(id, agent => agent with { PendingHex = svid.Leaf.SerialHex, NotAfter = svid.Leaf.NotAfter }, context.CancellationToken).ConfigureAwait(false);
            CallOf.Of(context).About($"serial {svid.Leaf.SerialHex} until {svid.Leaf.NotAfter:u}");
            return new RenewAgentResponse { Svid = SpireMapping.ToWire(svid.Chain, id) };
        });

    public override Task<PostStatusResponse> PostStatus(PostStatusRequest request, ServerCallContext context)
    {
        acknowledgements.Stated(CallerOf.Agent(context), request.CurrentBundleSerial);
        return Task.FromResult(new PostStatusResponse());
    }

    public override Task<CountAgentsResponse> CountAgents(CountAgentsRequest request, ServerCallContext context)
    {
        var filter = request.Filter;
        var found = Find(context, filter?.ByAttestationType, filter?.BySelectorMatch, filter?.ByBanned, filter?.ByCanReattest, filter?.ByExpiresBefore);
        return Task.FromResult(new CountAgentsResponse { Count = found.Count() });
    }

    public override Task<ListAgentsResponse> ListAgents(ListAgentsRequest request, ServerCallContext context)
    {
        var filter = request.Filter;
        var found = Find(context, filter?.ByAttestationType, filter?.BySelectorMatch, filter?.ByBanned, filter?.ByCanReattest, filter?.ByExpiresBefore);
        var (page, next) = Pages.Take(found, agent => agent.SpiffeId.Uri, agent => ToWire(agent, request.OutputMask), request.PageSize, request.PageToken);
        var response = new ListAgentsResponse { NextPageToken = next };
        response.Agents.AddRange(page);
        return Task.FromResult(response);
    }

    public override Task<WireAgent> GetAgent(GetAgentRequest request, ServerCallContext context)
    {
        var id = Read(request.Id);
        CallOf.Of(context).Demand(AccessAction.AgentRead, id);
        return Task.FromResult(ToWire(agents.Find(id) ?? throw NotFound(id), request.OutputMask));
    }

    public override Task<Empty> DeleteAgent(DeleteAgentRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            var id = Read(request.Id);
            CallOf.Of(context).Demand(AccessAction.AgentWrite, id);
            if (!await agents.ForgetAsync(id, context.CancellationToken).ConfigureAwait(false))
            {
                throw NotFound(id);
            }

            log.AgentEvicted(id.Uri, CallerOf.Name(context));
            return new Empty();
        });

    public override Task<Empty> BanAgent(BanAgentRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(async () =>
        {
            var id = Read(request.Id);
            CallOf.Of(context).Demand(AccessAction.AgentWrite, id);
            if (!await agents.BanAsync(id, context.CancellationToken).ConfigureAwait(false))
            {
                throw NotFound(id);
            }

            log.AgentBanned(id.Uri, CallerOf.Name(context));
            return new Empty();
        });

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

            var ttl = request.Ttl > 0 ? TimeSpan.FromSeconds(request.Ttl) : throw Rpcs.Invalid("ttl is required, in seconds");
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

            // What a token is worth is the ID that its agent can be addressed by.
            var call = CallOf.Of(context);
            call.Demand(
                alias is null ? call.Caller.Rights.JudgeEverywhere(AccessAction.TokenCreate) : call.Caller.Rights.Judge(AccessAction.TokenCreate, alias),
                alias is null ? "join token" : $"join token for {alias}");
            var token = await tokens.CreateAsync(request.Token, ttl, alias, context.CancellationToken).ConfigureAwait(false)
                ?? throw new RpcException(new Status(StatusCode.AlreadyExists, "the token exists already"));
            log.JoinTokenCreated(CallerOf.Name(context), token.ExpiresAt);
            return new WireToken { Value = token.Token, ExpiresAt = token.ExpiresAt.ToUnixTimeSeconds() };
        });

    private IEnumerable<AttestedAgent> Find(ServerCallContext context, string? attestor, SelectorMatch? selectors, bool? banned, bool? canReattest, string? expiresBefore)
    {
        var rights = CallOf.Of(context).Caller.Rights;
        var (hasSelectors, before) = (Matching.Selectors(selectors), Matching.Before(expiresBefore ?? ""));
        return agents.Agents.Where(agent =>
            (string.IsNullOrEmpty(attestor) || agent.Attestor == attestor)
            && hasSelectors(agent.Selectors)
            && (banned is null || agent.Banned == banned)
            && (canReattest is null || agent.CanReattest == canReattest)
            && (before is null || agent.NotAfter < before)
            && rights.Judge(AccessAction.AgentRead, agent.SpiffeId).IsAllowed);
    }

    private SpiffeId Read(SPIFFEID? wire) =>
        !SpireMapping.TryRead(wire, "id", out var id, out var problem) ? throw Rpcs.Invalid($"invalid agent ID: {problem}")
        : id.IsMemberOf(trustDomain) && ReservedIds.IsAgent(id) ? id
        : throw Rpcs.Invalid($"invalid agent ID: {id} is not an agent of trust domain {trustDomain}");

    private static RpcException NotFound(SpiffeId id) => Rpcs.NotFound($"there is no agent {id}");

    private async Task<IssuedSvid> IssueAsync(SpiffeId id, SigningRequest csr, CancellationToken cancellationToken) =>
        (await issuer.IssueAsync([new SvidRequest(id, csr.SubjectPublicKeyInfo, agentTtl, [], id.Uri)], cancellationToken).ConfigureAwait(false))[0];

    private static WireAgent ToWire(AttestedAgent agent, AgentMask? mask)
    {
        var wire = new WireAgent
        {
            Id = agent.SpiffeId.ToWire(),
            AttestationType = agent.Attestor,

            // This API writes serial numbers in decimal.
            X509SvidSerialNumber = BigInteger.Parse("0" + agent.SerialHex, NumberStyles.HexNumber, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture),
            X509SvidExpiresAt = agent.NotAfter.ToUnixTimeSeconds(),
            Banned = agent.Banned,
            CanReattest = agent.CanReattest,
        };
        wire.Selectors.AddRange(agent.Selectors.Select(selector => selector.ToWire()));
        return Masks.Apply(wire, mask);
    }
}
