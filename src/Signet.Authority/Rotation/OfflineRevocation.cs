using System.Globalization;
using System.Numerics;
using Signet.Identity.Rotation;
using Signet.Identity.X509.Revocation;

namespace Signet.Authority.Rotation;

/// <summary>What a revocation list that an anchor signed elsewhere changes, as a pure function of what is known and what came.</summary>
internal static class OfflineRevocation
{
    /// <summary>Judges the list. A list that can't be taken changes nothing, and the problem says what to do.</summary>
    public static bool TryApply(AuthorityLedger ledger, CertificateRevocationList list, DateTimeOffset now, out AuthorityChange change, out string problem)
    {
        change = AuthorityChange.None;
        if (ledger.Anchors.FirstOrDefault(one => one.Certificate.SubjectName.Equals(list.IssuerName) && list.IsSignedBy(one.Certificate)) is not { } anchor)
        {
            problem = "it is not signed by an anchor of this server";
            return false;
        }

        var known = ledger.Lists.GetValueOrDefault(anchor.Id);
        if (known is not null && known.Der.Span.SequenceEqual(list.Der.Span))
        {
            problem = "";
            return true;
        }

        var below = ledger.Issuing.Where(issuing => issuing.IsBelow(anchor)).ToArray();
        var revoked = below.Where(issuing => list.Contains(issuing.Top.SerialHex, out _)).ToArray();
        problem = now > list.NextUpdate ? $"it ended at {list.NextUpdate:u}; sign a new one: signet ca revoke"
            : list.ThisUpdate > now + AuthorityPlan.Backdate ? $"it begins at {list.ThisUpdate:u}, and it is {now:u}; is the clock right?"
            : known is not null && Number(list) <= Number(known) ? $"its number {list.NumberHex} is not above {known.NumberHex}, that of the list in force"
            : below.FirstOrDefault(issuing => issuing.State == SlotState.Revoked && !issuing.Validity.HasExpired(now) && !revoked.Contains(issuing)) is { } missing
                ? $"it leaves out authority {missing.Id}, which is revoked; sign it again with signet ca revoke --previous"
            : revoked.FirstOrDefault(issuing => issuing.State == SlotState.Active) is { } active ? $"it revokes authority {active.Id}, which signs now; put another into its place first"
            : revoked.FirstOrDefault(issuing => issuing.Top.NotAfter + AuthorityPlan.ListMargin > list.NextUpdate) is { } longer
                ? $"it ends at {list.NextUpdate:u}, which is not a day after authority {longer.Id} ends, at {longer.Top.NotAfter:u}; sign it with signet ca revoke, which sees to that"
            : "";
        if (problem.Length == 0)
        {
            change = new AuthorityChange { Saved = [.. revoked.Where(issuing => issuing.State != SlotState.Revoked).Select(issuing => issuing with { State = SlotState.Revoked })], List = new AnchorList(anchor.Id, list) };
        }

        return problem.Length == 0;
    }

    private static BigInteger Number(CertificateRevocationList list) => BigInteger.Parse('0' + list.NumberHex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
