using Signet.Authority.Rotation;
using Signet.Identity.Rotation;
using Signet.Identity.X509;

namespace Signet.Server.Upstream;

/// <summary>Whether a new issuing authority is to be asked for, as a pure function of what there is and of what stands above.</summary>
internal static class UpstreamNeed
{
    /// <summary>Why one is needed now; null when none is.</summary>
    /// <param name="ledger">What there is.</param>
    /// <param name="rule">When authorities are replaced.</param>
    /// <param name="anchors">What relying parties must trust, as it is said above.</param>
    /// <param name="isCurrent">Whether what signed this one would sign the next.</param>
    /// <param name="now">The time.</param>
    public static string? Of(AuthorityLedger ledger, RotationRule rule, IReadOnlyCollection<Certificate> anchors, Func<X509AuthorityRecord, bool> isCurrent, DateTimeOffset now) =>
        ledger.Issuing.LastOrDefault(one => one.State is SlotState.Prepared or SlotState.Active) is not { } newest ? "there is none yet"
        : rule.Next(newest.Validity, next: null, now) == RotationStep.Prepare ? $"the newest, {newest.Id}, is valid until {newest.Validity.NotAfter:u}"
        : anchors.FirstOrDefault(anchor => ledger.Anchors.All(known => !known.Certificate.Equals(anchor))) is { } added ? $"anchor {added.SerialHex} is new"
        : ledger.Anchors.FirstOrDefault(known => known.State == SlotState.Prepared && !anchors.Contains(known.Certificate)) is { } gone ? $"anchor {gone.Id} was withdrawn"
        : !isCurrent(newest) ? $"another authority signs than the one that signed {newest.Id}"
        : null;

    /// <summary>Whether this authority signed the record, as far as names and key IDs tell.</summary>
    public static bool IsSignedBy(X509AuthorityRecord record, Certificate signer) =>
        record.Certificate.IssuerName.Equals(signer.SubjectName)
        && (signer.SubjectKeyIdentifier.IsEmpty || record.Certificate.AuthorityKeyId.Span.SequenceEqual(signer.SubjectKeyIdentifier.Span));
}
