using System.Collections.Immutable;
using Signet.Identity.Jose;
using Signet.Identity.Rotation;
using Signet.Identity.X509;

namespace Signet.Authority.Rotation;

/// <summary>What an authority is for.</summary>
public enum AuthorityTier
{
    /// <summary>Long-lived, self-signed, published in the trust bundle.</summary>
    Anchor,

    /// <summary>Short-lived, signed by the anchor, travels in the chain of what it signed.</summary>
    Issuing,

    /// <summary>A bare key that signs JWT-SVIDs, published in the JWT bundle.</summary>
    Jwt,

    /// <summary>A bare key that signs WIT-SVIDs, published in the WIT bundle; only where they are wanted.</summary>
    Wit,
}

/// <summary>One authority as the journal remembers it. The key is known by name only.</summary>
public abstract record AuthorityRecord(string Id, AuthorityTier Tier, SlotState State, string KeyName)
{
    public abstract Validity Validity { get; }
}

/// <summary>An authority with a certificate.</summary>
public sealed record X509AuthorityRecord(string Id, AuthorityTier Tier, SlotState State, Certificate Certificate, string KeyName) : AuthorityRecord(Id, Tier, State, KeyName)
{
    public override Validity Validity => new(Certificate.NotBefore, Certificate.NotAfter);

    /// <summary>Authorities between this one and its anchor, nearest first; none unless it was made elsewhere.</summary>
    public ImmutableArray<Certificate> Above { get; init; } = [];

    /// <summary>Whether the anchor stands above this one. Anchors from before they had names of their own share one, so their keys tell them apart.</summary>
    public bool IsBelow(X509AuthorityRecord anchor) =>
        Top.IssuerName.Equals(anchor.Certificate.SubjectName)
        && (Top.AuthorityKeyId.IsEmpty || anchor.Certificate.SubjectKeyIdentifier.IsEmpty || Top.AuthorityKeyId.Span.SequenceEqual(anchor.Certificate.SubjectKeyIdentifier.Span));

    /// <summary>What the anchor itself signed: this authority, or the last of those above it.</summary>
    internal Certificate Top => Above.IsEmpty ? Certificate : Above[^1];
}

/// <summary>A key for JWT-SVIDs or WIT-SVIDs.</summary>
public sealed record JwtAuthorityRecord(AuthorityTier Tier, SlotState State, JwtAuthority Authority, DateTimeOffset NotBefore, string KeyName)
    : AuthorityRecord(Authority.KeyId, Tier, State, KeyName)
{
    public override Validity Validity => new(NotBefore, Authority.ExpiresAt!.Value);
}
