using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using Signet.Authority.Revocation;
using Signet.Identity.Rotation;
using Signet.Identity.X509.Revocation;

namespace Signet.Authority.Rotation;

/// <summary>
/// Every authority that is not gone, in the order of their making, and the newest rotation of the anchor. Immutable: a step is an
/// <see cref="AuthorityChange"/>, which the journal takes as a whole before anybody acts on it.
/// </summary>
public sealed record AuthorityLedger(ImmutableArray<AuthorityRecord> Records, AnchorRotation? Rotation)
{
    public static readonly AuthorityLedger Empty = new([], null);

    /// <summary>Revocation lists that anchors signed elsewhere, by the anchor's ID.</summary>
    public ImmutableDictionary<string, CertificateRevocationList> Lists { get; init; } = ImmutableDictionary<string, CertificateRevocationList>.Empty.WithComparers(StringComparer.Ordinal);

    /// <summary>So many certificates may be revoked one by one at a time: each is on a list that everybody holds.</summary>
    public const int MaxRevokedCertificates = 10_000;

    /// <summary>Certificates that are revoked one by one, by serial number: as long as they and their authority are not gone.</summary>
    public ImmutableDictionary<string, RevokedCertificate> RevokedCertificates { get; init; } = ImmutableDictionary<string, RevokedCertificate>.Empty.WithComparers(StringComparer.Ordinal);

    /// <summary>The names of keys that nothing uses any more and that may not be deleted yet: a process that ends in between finds them here.</summary>
    public ImmutableHashSet<string> DoomedKeys { get; init; } = [];

    public IEnumerable<X509AuthorityRecord> Anchors => Records.OfType<X509AuthorityRecord>().Where(record => record.Tier == AuthorityTier.Anchor);

    public IEnumerable<X509AuthorityRecord> Issuing => Records.OfType<X509AuthorityRecord>().Where(record => record.Tier == AuthorityTier.Issuing);

    public IEnumerable<JwtAuthorityRecord> Jwt => Records.OfType<JwtAuthorityRecord>().Where(record => record.Tier == AuthorityTier.Jwt);

    public IEnumerable<JwtAuthorityRecord> Wit => Records.OfType<JwtAuthorityRecord>().Where(record => record.Tier == AuthorityTier.Wit);

    /// <summary>The anchor that signs issuing authorities.</summary>
    public X509AuthorityRecord ActiveAnchor => Anchors.Last(record => record.State == SlotState.Active);

    /// <summary>Issuing authorities that nobody accepts any more, until they expire.</summary>
    public IEnumerable<X509AuthorityRecord> Revoked => Issuing.Where(issuing => issuing.State == SlotState.Revoked);

    /// <summary>Issuing authorities below an anchor that no longer signs.</summary>
    public IEnumerable<X509AuthorityRecord> IssuingBelowOldAnchors =>
        Issuing.Where(issuing => Anchors.Any(anchor => anchor.State is SlotState.Old or SlotState.Tainted && issuing.IsBelow(anchor)));

    /// <summary>The IDs of anchors that no longer sign, which may have signed authorities for servers below this one, and of issuing authorities below them.</summary>
    public IEnumerable<string> BelowAndWithOldAnchors =>
        IssuingBelowOldAnchors.Select(issuing => issuing.Id).Concat(Anchors.Where(anchor => anchor.State is SlotState.Old or SlotState.Tainted).Select(anchor => anchor.Id));

    /// <summary>The IDs of authorities whose signatures are to be replaced: those that are tainted or revoked, and those below an anchor that no longer signs.</summary>
    public IEnumerable<string> Superseded =>
        Records.Where(record => record is { Tier: not AuthorityTier.Anchor, State: SlotState.Tainted or SlotState.Revoked }).Concat(IssuingBelowOldAnchors).Select(record => record.Id).Distinct(StringComparer.Ordinal);

    /// <summary>A digest of what relying parties are told: the trust bundle, and what is on the way out or revoked.</summary>
    public string Content => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(string.Join(
        '\n', Anchors.Select(anchor => anchor.Certificate.Fingerprint).Concat(Jwt.Concat(Wit).Select(key => $"{key.Id} {key.Validity.NotAfter.ToUnixTimeSeconds()}")).Append("superseded").Concat(Superseded).Append("revoked").Concat(Revoked.Select(issuing => issuing.Id)).Concat(RevokedCertificates.Keys.Order(StringComparer.Ordinal))))));

    public AuthorityRecord? Find(string id) => Records.FirstOrDefault(record => record.Id == id);

    public IReadOnlyCollection<Slot> Slots(AuthorityTier tier) =>
        [.. Records.Where(record => record.Tier == tier).Select(record => new Slot(record.Id, record.State, record.Validity))];

    /// <summary>The ledger once the change has been made.</summary>
    public AuthorityLedger After(AuthorityChange change)
    {
        var saved = change.Saved.ToDictionary(record => record.Id, StringComparer.Ordinal);
        var records = Records
            .Where(record => !change.Forgotten.Contains(record.Id))
            .Select(record => saved.Remove(record.Id, out var changed) ? changed : record)
            .ToList();
        var lists = change.List is { } taken ? Lists.SetItem(taken.AnchorId, taken.List) : Lists;
        return new AuthorityLedger([.. records, .. change.Saved.Where(record => saved.ContainsKey(record.Id))], change.Rotation ?? Rotation)
        {
            Lists = lists.RemoveRange(change.Forgotten),
            RevokedCertificates = RevokedCertificates
                .RemoveRange(change.ForgottenCertificates)
                .SetItems(change.RevokedCertificates.Select(revoked => KeyValuePair.Create(revoked.Serial, revoked)))
                .RemoveRange(RevokedCertificates.Values.Where(revoked => change.Forgotten.Contains(revoked.AuthorityId)).Select(revoked => revoked.Serial)),
            DoomedKeys = DoomedKeys.Except(change.DeletedKeys).Union(change.Forgotten.Select(Find).OfType<AuthorityRecord>().Select(record => record.KeyName).Where(name => name.Length > 0)),
        };
    }

    /// <summary>A prepared authority becomes active; the one of its tier that was active becomes old.</summary>
    public AuthorityChange Activating(AuthorityRecord next) => new()
    {
        Saved = [.. Records.Where(record => record.Tier == next.Tier && record.State == SlotState.Active).Select(record => record with { State = SlotState.Old }), next with { State = SlotState.Active }],
    };
}

/// <summary>What an anchor whose key is elsewhere revoked.</summary>
public sealed record AnchorList(string AnchorId, CertificateRevocationList List);

/// <summary>One step in the life of the authorities: all of it becomes durable together, or nothing.</summary>
public sealed record AuthorityChange
{
    public static readonly AuthorityChange None = new();

    /// <summary>Records that are new, or that replace those with the same ID.</summary>
    public ImmutableArray<AuthorityRecord> Saved { get; init; } = [];

    /// <summary>The IDs of records that go.</summary>
    public ImmutableArray<string> Forgotten { get; init; } = [];

    /// <summary>Certificates that are revoked one by one.</summary>
    public ImmutableArray<RevokedCertificate> RevokedCertificates { get; init; } = [];

    /// <summary>The serial numbers of revoked certificates that have expired since.</summary>
    public ImmutableArray<string> ForgottenCertificates { get; init; } = [];

    /// <summary>The names of doomed keys that are gone for good.</summary>
    public ImmutableArray<string> DeletedKeys { get; init; } = [];

    /// <summary>The rotation of the anchor as it stands afterwards; null leaves it as it was.</summary>
    public AnchorRotation? Rotation { get; init; }

    /// <summary>A list that an anchor signed elsewhere; null when there is no new one.</summary>
    public AnchorList? List { get; init; }
}
