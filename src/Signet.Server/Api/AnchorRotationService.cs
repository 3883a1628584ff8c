using Grpc.Core;
using Signet.Authority.Rotation;
using Signet.Identity.Spiffe;
using Signet.Rpc.Wire.Authority;
using Signet.Server.Upkeep;
using AnchorRotation = Signet.Authority.Rotation.AnchorRotation;
using WireLaggard = Signet.Rpc.Wire.Authority.Laggard;
using WireRotation = Signet.Rpc.Wire.Authority.AnchorRotation;

namespace Signet.Server.Api;

/// <summary>signet.authority.v1.AnchorRotation: operators begin, follow, abort and force what <see cref="AnchorRotationKeeper"/> advances.</summary>
internal sealed class AnchorRotationService(AuthorityRotation authorities, AnchorRotationKeeper keeper, RotationGate gate, Acknowledgements acknowledgements, TimeProvider time)
    : WireRotation.AnchorRotationBase
{
    private const int MaxLaggards = 100;
    private const int MaxReason = 500;

    public override Task<RotationStatus> Start(StartRequest request, ServerCallContext context) => Rpcs.GuardAsync(async () =>
    {
        if (!request.DryRun)
        {
            return await StatusAsync(await keeper.StartAsync(CallerOf.Name(context), context.CancellationToken).ConfigureAwait(false), context.CancellationToken).ConfigureAwait(false);
        }

        var current = authorities.Current;
        if (current.Rotation is { IsUnderWay: true } running)
        {
            throw new AuthorityException($"a rotation of the anchor is under way since {running.StartedAt:u}; follow it with --status");
        }

        var now = time.GetUtcNow();
        var imagined = new AnchorRotation("", AnchorStage.Announced, now, CallerOf.Name(context), now);
        return await StatusAsync(current with { Ledger = current.Ledger with { Rotation = imagined } }, context.CancellationToken).ConfigureAwait(false);
    });

    public override Task<RotationStatus> GetStatus(GetStatusRequest request, ServerCallContext context) =>
        Rpcs.GuardAsync(() => StatusAsync(authorities.Current, context.CancellationToken));

    public override Task<RotationStatus> Abort(AbortRequest request, ServerCallContext context) => Rpcs.GuardAsync(async () =>
        await StatusAsync(await keeper.AbortAsync(CallerOf.Name(context), context.CancellationToken).ConfigureAwait(false), context.CancellationToken).ConfigureAwait(false));

    public override Task<RotationStatus> Force(ForceRequest request, ServerCallContext context) => Rpcs.GuardAsync(async () =>
    {
        var reason = request.Reason.Trim();
        if (reason.Length is 0 or > MaxReason)
        {
            throw Rpcs.Invalid($"reason has {reason.Length} characters; say in 1 to {MaxReason} why nobody is to be waited for");
        }

        CallOf.Of(context).About($"reason: {Printable.Of(reason)}");
        return await StatusAsync(
            await keeper.ForceAsync(CallerOf.Name(context), Printable.Of(reason), context.CancellationToken).ConfigureAwait(false), context.CancellationToken).ConfigureAwait(false);
    });

    private async Task<RotationStatus> StatusAsync(AuthoritySnapshot current, CancellationToken cancellationToken)
    {
        var status = new RotationStatus { BundleSequence = current.Bundle.Sequence ?? 0, AgentCount = (uint)acknowledgements.Expected.Count, FetchedCount = (uint)acknowledgements.CountFetched() };
        status.Anchors.AddRange(current.Ledger.Anchors.Select(anchor => new Anchor { Id = anchor.Id, State = anchor.State.ToString().ToLowerInvariant(), ExpiresAt = anchor.Validity.NotAfter.ToUnixTimeSeconds() }));
        if (current.Rotation is { } rotation)
        {
            status.Stage = ToWire(rotation.Stage);
            status.StartedAt = rotation.StartedAt.ToUnixTimeSeconds();
            status.StageSince = rotation.StageSince.ToUnixTimeSeconds();
            status.StartedBy = rotation.StartedBy;
            status.ForcedBecause = rotation.ForcedBecause ?? "";
            var laggards = await gate.LaggardsAsync(current, rotation.Stage, cancellationToken).ConfigureAwait(false);
            status.LaggardCount = (uint)laggards.Count;
            status.Laggards.AddRange(laggards.Take(MaxLaggards).Select(laggard => new WireLaggard { Who = laggard.Who, Why = laggard.Why }));
        }

        return status;
    }

    private static RotationStatus.Types.Stage ToWire(AnchorStage stage) => stage switch
    {
        AnchorStage.Announced => RotationStatus.Types.Stage.Announced,
        AnchorStage.Replacing => RotationStatus.Types.Stage.Replacing,
        AnchorStage.Done => RotationStatus.Types.Stage.Done,
        _ => RotationStatus.Types.Stage.Aborted,
    };
}
