using Signet.Identity.Rotation;

namespace Signet.Authority.Rotation;

/// <summary>What installing an authority that was made elsewhere changes, as a pure function of what is known and what came.</summary>
internal static class ExternalInstallation
{
    public static AuthorityChange Of(AuthorityLedger ledger, ExternalIssuer issuer, X509AuthorityRecord issuing, DateTimeOffset now)
    {
        var known = ledger.Anchors.ToArray();
        var added = issuer.Anchors
            .Where(anchor => !known.Any(record => record.Certificate.Equals(anchor)))
            .Select(anchor => new X509AuthorityRecord(anchor.SerialHex, AuthorityTier.Anchor, SlotState.Prepared, anchor, KeyName: ""))
            .ToArray();
        var above = known.Concat(added).First(anchor => anchor.Certificate.Equals(issuer.Anchor));

        // An anchor that is no longer listed and has signed nothing goes at once; one that has is dropped by its rotation.
        string[] gone = [.. known.Where(anchor => anchor.State == SlotState.Prepared && !issuer.Anchors.Contains(anchor.Certificate)).Select(anchor => anchor.Id)];
        if (known.Length == 0)
        {
            return new AuthorityChange { Saved = [.. added.Where(anchor => anchor != above), above with { State = SlotState.Active }, issuing with { State = SlotState.Active }] };
        }

        // What was in use before may be put back; what was tainted or revoked may not.
        var isKnown = ledger.Find(issuing.Id) is { State: not SlotState.Old };
        if (above.State == SlotState.Active)
        {
            return isKnown && added.Length == 0 && gone.Length == 0 ? AuthorityChange.None
                : isKnown ? new AuthorityChange { Saved = [.. added], Forgotten = [.. gone] }
                : ledger.Activating(issuing) with { Saved = [.. added, .. ledger.Activating(issuing).Saved], Forgotten = [.. gone] };
        }

        if (isKnown && added.Length == 0 && gone.Length == 0)
        {
            return AuthorityChange.None;
        }

        // Its anchor is new to somebody: the rotation of the anchor makes sure of everybody before it signs. What was on the way before gives way.
        return new AuthorityChange
        {
            Saved = [.. added, issuing],
            Forgotten = [.. gone, .. ledger.Issuing.Where(one => one.State == SlotState.Prepared && one.Id != issuing.Id).Select(one => one.Id)],
            Rotation = ledger.Rotation is { IsUnderWay: true } running && running.Successor == above.Id
                ? null
                : new AnchorRotation(above.Id, AnchorStage.Announced, now, "what stands above this server", now),
        };
    }
}
