using Signet.Identity.Rotation;

namespace Signet.Authority.Rotation;

/// <summary>The rotation of the trust anchor, step by step; when each is due, <see cref="AnchorRotation"/> says.</summary>
public sealed partial class AuthorityRotation
{
    /// <summary>So long a stage lasts at least.</summary>
    public TimeSpan AnchorSettling => _plan.AnchorSettling;

    /// <summary>Whether the anchor is so near its end that its rotation should begin by itself; after one that was aborted, only once it is urgent.</summary>
    public bool IsAnchorDue(DateTimeOffset now)
    {
        var ledger = Current.Ledger;
        return !_plan.IsExternal
            && ledger.Rotation is not { IsUnderWay: true }
            && _plan.Rule.Next(ledger.Slots(AuthorityTier.Anchor), now, mayForget: false).Step == RotationStep.Prepare
            && (ledger.Rotation is not { Stage: AnchorStage.Aborted } || _plan.Rule.IsEnding(ledger.ActiveAnchor.Validity, now));
    }

    /// <summary>Whether the anchor cannot carry an SVID of full life any more, so that to wait with its successor protects nobody.</summary>
    public bool IsAnchorTooLate(DateTimeOffset now) => Current.Ledger.ActiveAnchor.Validity.Remaining(now) <= _plan.GuaranteedSvidTtl;

    /// <summary>Makes a new anchor and publishes it beside the old one.</summary>
    /// <exception cref="AuthorityException">A rotation is under way already.</exception>
    public Task<AuthoritySnapshot> AnnounceAnchorAsync(string by, CancellationToken cancellationToken) => AloneAsync(
        async now =>
        {
            RefuseWhenExternal("a new anchor");
            if (_ledger.Rotation is { IsUnderWay: true } running)
            {
                throw new AuthorityException($"a rotation of the anchor is under way since {running.StartedAt:u}; follow it, or abort it first");
            }

            var successor = await _maker.MakeAnchorAsync(now, cancellationToken).ConfigureAwait(false);
            await CommitNewAsync(successor, AnchorRotation.Announcing(successor, by, now), cancellationToken).ConfigureAwait(false);
            return Current;
        },
        cancellationToken);

    /// <summary>Signs with the new anchor from now on.</summary>
    /// <exception cref="AuthorityException">No rotation is in the stage before.</exception>
    public Task<AuthoritySnapshot> SwitchAnchorAsync(CancellationToken cancellationToken) => StepAsync(
        AnchorStage.Announced,
        async (rotation, now) =>
        {
            if (_ledger.Find(rotation.Successor) is not X509AuthorityRecord successor)
            {
                throw new AuthorityException($"the new anchor {rotation.Successor} is gone; abort the rotation and begin another");
            }

            if (_ledger.Issuing.LastOrDefault(one => one.State == SlotState.Prepared && one.IsBelow(successor)) is { } installed)
            {
                await CommitAsync(rotation.Switching(_ledger, installed, now), cancellationToken).ConfigureAwait(false);
                return;
            }

            var issuing = await _maker.MakeIssuingAsync(successor, now, cancellationToken).ConfigureAwait(false);
            await CommitNewAsync(issuing, rotation.Switching(_ledger, issuing, now), cancellationToken).ConfigureAwait(false);
        },
        cancellationToken);

    /// <summary>Drops the old anchor with everything below it.</summary>
    /// <exception cref="AuthorityException">No rotation is in the stage before.</exception>
    public Task<AuthoritySnapshot> DropAnchorAsync(CancellationToken cancellationToken) =>
        StepAsync(AnchorStage.Replacing, (rotation, now) => CommitAsync(rotation.Dropping(_ledger, now), cancellationToken), cancellationToken);

    /// <summary>Gives the rotation up.</summary>
    /// <exception cref="AuthorityException">No rotation is under way.</exception>
    public Task<AuthoritySnapshot> AbortAnchorAsync(CancellationToken cancellationToken) =>
        StepAsync(stage: null, (rotation, now) => CommitAsync(rotation.Aborting(_ledger, now), cancellationToken), cancellationToken);

    /// <summary>Does not wait in the stage that the rotation is in.</summary>
    /// <exception cref="AuthorityException">No rotation is under way.</exception>
    public Task<AuthoritySnapshot> ForceAnchorAsync(string reason, CancellationToken cancellationToken) =>
        StepAsync(stage: null, (rotation, _) => CommitAsync(rotation.Forcing(reason), cancellationToken), cancellationToken);

    private Task<AuthoritySnapshot> StepAsync(AnchorStage? stage, Func<AnchorRotation, DateTimeOffset, Task> step, CancellationToken cancellationToken) => AloneAsync(
        async now =>
        {
            if (_ledger.Rotation is not { IsUnderWay: true } rotation || (stage ?? rotation.Stage) != rotation.Stage)
            {
                throw new AuthorityException($"no rotation of the anchor is {(stage is null ? "under way" : $"in the stage {stage}")}");
            }

            await step(rotation, now).ConfigureAwait(false);
            return Current;
        },
        cancellationToken);
}
