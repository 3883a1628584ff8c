using Grpc.Core;
using Signet.Identity.Registration;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire;
using Signet.Rpc.Wire.Spire.Server.SVID;
using Signet.Server.Access;
using WireStatus = Signet.Rpc.Wire.Spire.Types.Status;
using WITSVID = Signet.Rpc.Wire.Spire.Types.WITSVID;

namespace Signet.Server.Api;

/// <content>WIT-SVIDs, where they are wanted; elsewhere they are not implemented.</content>
internal sealed partial class SvidService
{
    public override Task<MintWITSVIDResponse> MintWITSVID(MintWITSVIDRequest request, ServerCallContext context) =>
        !config.Authority.SignsWit ? base.MintWITSVID(request, context) : Rpcs.GuardAsync(() =>
        {
            if (!SpireMapping.TryRead(request.Id, "id", out var id, out var problem))
            {
                throw Rpcs.Invalid(problem);
            }

            if (!IsWorkload(id))
            {
                throw Rpcs.Invalid($"{id} is not a workload of trust domain {config.TrustDomain}");
            }

            CallOf.Of(context).Demand(AccessAction.SvidMint, id);
            return TrySignWit(id, request.PublicKey.Memory, request.Ttl > 0 ? TimeSpan.FromSeconds(request.Ttl) : config.WitTtl, hint: "", out var svid, out problem)
                ? Task.FromResult(new MintWITSVIDResponse { Svid = svid })
                : throw Rpcs.Invalid(problem);
        });

    public override Task<BatchNewWITSVIDResponse> BatchNewWITSVID(BatchNewWITSVIDRequest request, ServerCallContext context) =>
        !config.Authority.SignsWit ? base.BatchNewWITSVID(request, context) : Rpcs.GuardAsync(() =>
        {
            Pages.CheckBatch(request.Params.Count, "requests");
            if (request.Params.Count == 0)
            {
                throw Rpcs.Invalid("missing parameters");
            }

            var agent = CallerOf.Agent(context);
            TakeTurn(agent, request.Params.Count);
            var mine = authorized.For(agent).ById;
            var response = new BatchNewWITSVIDResponse();
            foreach (var wanted in request.Params)
            {
                var result = Sign(wanted, mine, agent);
                CallOf.Of(context).About(result.Svid is { } svid ? $"WIT-SVID of {mine[wanted.EntryId].SpiffeId} until {svid.ExpiresAt}" : $"{(StatusCode)result.Status.Code}: {result.Status.Message}");
                response.Results.Add(result);
            }

            return Task.FromResult(response);
        });

    private BatchNewWITSVIDResponse.Types.Result Sign(NewWITSVIDParams wanted, IReadOnlyDictionary<string, RegistrationEntry> mine, SpiffeId agent)
    {
        if (!mine.TryGetValue(wanted.EntryId, out var entry))
        {
            return Refused(StatusCode.NotFound, $"entry \"{Printable.Of(wanted.EntryId)}\" is not one that {agent} may serve");
        }

        return TrySignWit(entry.SpiffeId, wanted.PublicKey.Memory, TtlOf(entry, config.WitTtl), entry.Hint, out var svid, out var problem)
            ? new BatchNewWITSVIDResponse.Types.Result { Status = new WireStatus(), Svid = svid }
            : Refused(StatusCode.InvalidArgument, problem);

        static BatchNewWITSVIDResponse.Types.Result Refused(StatusCode code, string problem) => new() { Status = new WireStatus { Code = (int)code, Message = problem } };
    }

    private bool TrySignWit(SpiffeId id, ReadOnlyMemory<byte> publicKey, TimeSpan ttl, string hint, out WITSVID? svid, out string problem)
    {
        try
        {
            var issued = witIssuer.Issue(id, publicKey, ttl);
            metrics.TokenSigned();
            (svid, problem) = (new WITSVID { Token = issued.Token, Id = id.ToWire(), IssuedAt = issued.IssuedAt.ToUnixTimeSeconds(), ExpiresAt = issued.ExpiresAt.ToUnixTimeSeconds(), Hint = hint }, "");
        }
        catch (ArgumentException weak)
        {
            (svid, problem) = (null, $"public key: {weak.Message}");
        }

        return svid is not null;
    }
}
