using Grpc.Core;
using Microsoft.Extensions.Logging;
using Signet.Authority.Issuance;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.Agent;
using Signet.Rpc.Wire.Spire.Types;
using Signet.Server.Api;
using Signet.Server.Registration;
using Selector = Signet.Identity.Registration.Selector;
using Status = Grpc.Core.Status;

namespace Signet.Server.Attestation;

/// <summary>Admits nodes: hears what one shows, has it judged, signs its first SVID and remembers it.</summary>
internal sealed class NodeAdmission(
    JoinTokens tokens, AgentDirectory agents, EntryDirectory entries, SvidIssuer issuer, TimeSpan agentTtl, TimeProvider time, ILogger<NodeAdmission> log)
{
    private static readonly TimeSpan FirstMessageTimeout = TimeSpan.FromSeconds(10);

    /// <summary>One whole AttestAgent call.</summary>
    public async Task AttestAsync(
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
        if (agents.Find(id) is { Banned: true })
        {
            throw Rpcs.Denied(PermissionDeniedDetails.Types.Reason.AgentBanned, "failed to attest: agent is banned");
        }

        var svid = (await issuer.IssueAsync([new SvidRequest(id, csr.SubjectPublicKeyInfo, agentTtl, [], id.Uri)], context.CancellationToken).ConfigureAwait(false))[0];
        var selector = new Selector(JoinTokens.Attestor, id.Path[(id.Path.LastIndexOf('/') + 1)..]);
        var agent = new AttestedAgent(id, JoinTokens.Attestor, [selector], svid.Leaf.SerialHex, PendingHex: null, svid.Leaf.NotAfter, time.GetUtcNow(), Banned: false);
        if (!await tokens.RedeemAsync(found, agent).ConfigureAwait(false))
        {
            throw Refused(context);
        }

        agents.Adopt(agent);
        CallOf.Of(context).About($"{id}, serial {svid.Leaf.SerialHex}");
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
}
