using System.Collections.Immutable;
using Signet.Identity.Rotation;

namespace Signet.Authority.Rotation;

/// <summary>How far a rotation of the trust anchor has come.</summary>
public enum AnchorStage
{
    /// <summary>The new anchor is published and signs nothing; waits until everybody has it.</summary>
    Announced,

    /// <summary>The new anchor signs; waits until nothing that chains to the old one is in use.</summary>
    Replacing,

    /// <summary>Over: the old anchor is gone.</summary>
    Done,

    /// <summary>Over: given up by an operator.</summary>
    Aborted,
}

/// <summary>What is to be done next for a rotation.</summary>
public enum AnchorStep
{
    /// <summary>Nothing: somebody is behind, or it is too early, or the rotation is over.</summary>
    Wait,

    /// <summary>Sign with the new anchor.</summary>
    Switch,

    /// <summary>Drop the old one.</summary>
    Drop,
}

/// <summary>Somebody whom a stage waits for, and why; both are safe to show.</summary>
public sealed record Laggard(string Who, string Why)
{
    public override string ToString() => $"{Who}: {Why}";
}

/// <summary>
/// The rotation of the trust anchor: announce the new one, wait for everybody, sign with it, wait until nobody uses the old one, drop it. A pure state
/// machine over <see cref="AuthorityLedger"/>; whoever owns it gathers the laggards and does what it says. Immutable, and durable at each step.
/// </summary>
/// <param name="Successor">The new anchor.</param>
/// <param name="Stage">How far it has come.</param>
/// <param name="StartedAt">Since when it is under way.</param>
/// <param name="StartedBy">Who began it.</param>
/// <param name="StageSince">Since when it is in this stage.</param>
/// <param name="ForcedBecause">Why an operator said not to wait in this stage; null when nobody did.</param>
public sealed record AnchorRotation(string Successor, AnchorStage Stage, DateTimeOffset StartedAt, string StartedBy, DateTimeOffset StageSince, string? ForcedBecause = null)
{
    public bool IsUnderWay => Stage is AnchorStage.Announced or AnchorStage.Replacing;

    /// <summary>What is due.</summary>
    /// <param name="isClear">Whether nobody is behind.</param>
    /// <param name="isTooLate">Whether the old anchor is so near its end that waiting protects nobody any more.</param>
    /// <param name="settling">How long a stage lasts at least.</param>
    /// <param name="now">The time.</param>
    public AnchorStep Next(bool isClear, bool isTooLate, TimeSpan settling, DateTimeOffset now)
    {
        var mayPass = ForcedBecause is not null || (isClear && (now - StageSince).Duration() >= settling);
        return Stage switch
        {
            AnchorStage.Announced when mayPass || isTooLate => AnchorStep.Switch,
            AnchorStage.Replacing when mayPass => AnchorStep.Drop,
            _ => AnchorStep.Wait,
        };
    }

    /// <summary>The new anchor is made and published.</summary>
    public static AuthorityChange Announcing(X509AuthorityRecord successor, string by, DateTimeOffset now) => new()
    {
        Saved = [successor],
        Rotation = new AnchorRotation(successor.Id, AnchorStage.Announced, now, by, now),
    };

    /// <summary>The new anchor and the first issuing authority below it sign from now on.</summary>
    public AuthorityChange Switching(AuthorityLedger ledger, X509AuthorityRecord issuing, DateTimeOffset now) => new()
    {
        Saved =
        [
            .. ledger.Anchors.Where(anchor => anchor.State == SlotState.Active).Select(anchor => anchor with { State = SlotState.Old }),
            ledger.Find(Successor)! with { State = SlotState.Active },
            .. ledger.Issuing.Where(one => one.State == SlotState.Active).Select(one => one with { State = SlotState.Old }),
            issuing with { State = SlotState.Active },
        ],
        Forgotten = [.. ledger.Issuing.Where(one => one.State == SlotState.Prepared && one.Id != issuing.Id).Select(one => one.Id)],
        Rotation = this with { Stage = AnchorStage.Replacing, StageSince = now, ForcedBecause = null },
    };

    /// <summary>The old anchor goes, with everything below it.</summary>
    public AuthorityChange Dropping(AuthorityLedger ledger, DateTimeOffset now) => new()
    {
        Forgotten = [.. ledger.IssuingBelowOldAnchors.Select(issuing => issuing.Id), .. ledger.Anchors.Where(anchor => anchor.State is SlotState.Old or SlotState.Tainted).Select(anchor => anchor.Id)],
        Rotation = this with { Stage = AnchorStage.Done, StageSince = now, ForcedBecause = null },
    };

    /// <summary>An operator gives up. A new anchor that has signed nothing goes; once it signs, both stay published, and the old one until it expires or another rotation drops it.</summary>
    public AuthorityChange Aborting(AuthorityLedger ledger, DateTimeOffset now) => new()
    {
        Forgotten = Stage == AnchorStage.Announced && ledger.Find(Successor) is X509AuthorityRecord successor
            ? [Successor, .. ledger.Issuing.Where(issuing => issuing.IsBelow(successor)).Select(issuing => issuing.Id)]
            : [],
        Rotation = this with { Stage = AnchorStage.Aborted, StageSince = now, ForcedBecause = null },
    };

    /// <summary>An operator says not to wait in this stage.</summary>
    public AuthorityChange Forcing(string reason) => new() { Rotation = this with { ForcedBecause = reason } };
}
