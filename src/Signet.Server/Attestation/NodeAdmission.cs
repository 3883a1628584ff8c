using Google.Protobuf;
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
using Signet.Server.Telemetry;
using Selector = Signet.Identity.Registration.Selector;
using Status = Grpc.Core.Status;

namespace Signet.Server.Attestation;

/// <summary>Admits nodes: hears what one shows, has its attestor judge it, signs its first SVID and remembers it.</summary>
internal sealed class NodeAdmission(
    TrustDomain trustDomain,
    IReadOnlyList<INodeAttestor> attestors,
    AgentDirectory agents,
    EntryDirectory entries,
    SvidIssuer issuer,
    TimeSpan agentTtl,
    ServerMetrics metrics,
    TimeProvider time,
    ILogger<NodeAdmission> log)
{
    /// <summary>Whoever connects without a certificate gets little time for each message, and for all of it.</summary>
    private static readonly TimeSpan MessageTimeout = TimeSpan.FromSeconds(10);

    /// <inheritdoc cref="MessageTimeout"/>
    private static readonly TimeSpan WholeTimeout = TimeSpan.FromSeconds(40);

    /// <summary>One whole AttestAgent call.</summary>
    public async Task AttestAsync(
        IAsyncStreamReader<AttestAgentRequest> requestStream, IServerStreamWriter<AttestAgentResponse> responseStream, ServerCallContext context)
    {
        using var patience = new CancellationTokenSource(WholeTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, patience.Token);
        try
        {
            var result = await JoinAsync(requestStream, responseStream, context, either.Token).ConfigureAwait(false);
            await responseStream.WriteAsync(new AttestAgentResponse { Result = result }, either.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not RpcException && patience.IsCancellationRequested && !context.CancellationToken.IsCancellationRequested)
        {
            throw TookTooLong();
        }
    }

    private async Task<AttestAgentResponse.Types.Result> JoinAsync(
        IAsyncStreamReader<AttestAgentRequest> requests, IServerStreamWriter<AttestAgentResponse> responses, ServerCallContext context, CancellationToken cancellationToken)
    {
        // 1. Who says it is what?
        var joining = (await NextAsync(requests, cancellationToken).ConfigureAwait(false)).Params ?? throw Rpcs.Invalid("the first message must hold params");
        var attestor = attestors.FirstOrDefault(one => one.Type == joining.Data?.Type)
            ?? throw Rpcs.Invalid($"attestor \"{Printable.Of(joining.Data?.Type ?? "")}\" is not one of this server's: {string.Join(", ", attestors.Select(one => one.Type))}");
        if (!RequestedKey.TryReadLeaf(joining.Params_?.Csr.Memory ?? default, trustDomain, out var csr, out var problem))
        {
            throw Rpcs.Invalid(problem);
        }

        // 2. Is it so?
        var node = new NodeExchange(Bounded(joining.Data!.Payload), async (challenge, stop) =>
        {
            await responses.WriteAsync(new AttestAgentResponse { Challenge = UnsafeByteOperations.UnsafeWrap(challenge) }, stop).ConfigureAwait(false);
            var answer = await NextAsync(requests, stop).ConfigureAwait(false);
            return answer.StepCase == AttestAgentRequest.StepOneofCase.ChallengeResponse
                ? Bounded(answer.ChallengeResponse)
                : throw Rpcs.Invalid("a challenge must be answered with challenge_response");
        });
        var verdict = await Rpcs.GuardAsync(() => attestor.AttestAsync(node, cancellationToken)).ConfigureAwait(false);
        if (verdict.Proof is not { } proof)
        {
            throw Refused(attestor, verdict, context);
        }

        // 3. Then it may come in.
        return await Rpcs.GuardAsync(() => AdmitAsync(attestor, proof, csr, context, cancellationToken)).ConfigureAwait(false);
    }

    private async Task<AttestAgentResponse.Types.Result> AdmitAsync(
        INodeAttestor attestor, NodeProof proof, SigningRequest csr, ServerCallContext context, CancellationToken cancellationToken)
    {
        var id = proof.SpiffeId;
        var known = agents.Find(id);
        if (known is { Banned: true })
        {
            throw Rpcs.Denied(PermissionDeniedDetails.Types.Reason.AgentBanned, "failed to attest: agent is banned");
        }

        if (known is not null && proof is NodeProof.FirstUseOnly)
        {
            throw Refused(attestor, KnownAlready(id), context);
        }

        // Whoever was evicted in the meantime does not come back by what it used before.
        var isAgain = proof is NodeProof.SingleUse { WasUsed: true };
        if (isAgain && known is null)
        {
            throw Refused(attestor, NodeVerdict.Refused(JoinTokens.Refusal), context);
        }

        var svid = (await issuer.IssueAsync([new SvidRequest(id, csr.SubjectPublicKeyInfo, agentTtl, [], id.Uri)], cancellationToken).ConfigureAwait(false))[0];
        // An answer that did arrive after all must go on working until the newer one is used.
        var agent = isAgain ? known! with { PendingHex = svid.Leaf.SerialHex, NotAfter = svid.Leaf.NotAfter } : new AttestedAgent(
            id, attestor.Type, proof.Selectors, svid.Leaf.SerialHex, PendingHex: null, svid.Leaf.NotAfter, time.GetUtcNow(), Banned: false, CanReattest: proof is NodeProof.Repeatable);
        if (await KeepAsync(proof, agent, csr.SubjectPublicKeyInfo).ConfigureAwait(false) is { } refusal)
        {
            throw Refused(attestor, refusal, context);
        }

        CallOf.Of(context).About($"{id}, serial {svid.Leaf.SerialHex}");
        metrics.Attested(attestor.Type, isAdmitted: true);
        log.AgentAttested(id.Uri, svid.Leaf.SerialHex, svid.Leaf.NotAfter);
        if (proof is NodeProof.SingleUse { Alias: { } alias, WasUsed: false })
        {
            await RegisterAliasAsync(alias, id).ConfigureAwait(false);
        }

        return new AttestAgentResponse.Types.Result { Svid = SpireMapping.ToWire(svid.Chain, id), Reattestable = agent.CanReattest };
    }

    // What was signed is kept also when the node has just gone: a proof that is used up must not be lost half-way.
    private async Task<NodeVerdict?> KeepAsync(NodeProof proof, AttestedAgent agent, ReadOnlyMemory<byte> publicKey)
    {
        switch (proof)
        {
            case NodeProof.SingleUse once:
                if (!await once.RedeemAsync(agent, publicKey).ConfigureAwait(false))
                {
                    return NodeVerdict.Refused(JoinTokens.Refusal);
                }

                agents.Adopt(agent);
                return null;
            case NodeProof.FirstUseOnly:
                return await agents.TryAddAsync(agent, CancellationToken.None).ConfigureAwait(false) ? null : KnownAlready(agent.SpiffeId);
            default:
                await agents.SaveAsync(agent, CancellationToken.None).ConfigureAwait(false);
                return null;
        }
    }

    private static NodeVerdict KnownAlready(SpiffeId id) =>
        NodeVerdict.Refused($"{id} has attested before, and this attestor believes a node once only; if the node was set up anew: signet agent evict {id}");

    private async Task<AttestAgentRequest> NextAsync(IAsyncStreamReader<AttestAgentRequest> requests, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(MessageTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            return await requests.MoveNext(either.Token).ConfigureAwait(false) ? requests.Current : throw Rpcs.Invalid("the stream ended before the attestation did");
        }
        catch (Exception) when (patience.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw TookTooLong();
        }
    }

    private static ReadOnlyMemory<byte> Bounded(ByteString message) => message.Length <= NodeExchange.MaxMessage
        ? message.Memory
        : throw Rpcs.Invalid($"attestation data of {message.Length} bytes is too long; the limit is {NodeExchange.MaxMessage}");

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

    private RpcException Refused(INodeAttestor attestor, NodeVerdict verdict, ServerCallContext context)
    {
        metrics.Attested(attestor.Type, isAdmitted: false);
        log.NodeRefused(attestor.Type, CallerOf.Name(context), verdict.Reason);
        return new RpcException(new Status(
            verdict.Problem switch
            {
                NodeProblem.Malformed => StatusCode.InvalidArgument,
                NodeProblem.Unavailable => StatusCode.Unavailable,
                _ => StatusCode.PermissionDenied,
            },
            verdict.Told));
    }

    private static RpcException TookTooLong() => new(new Status(StatusCode.DeadlineExceeded, "the attestation did not come to an end in time"));
}
