using Signet.Identity.Rotation;
using Signet.Identity.X509;

namespace Signet.Authority.Rotation;

/// <summary>Which tier an authority stands on.</summary>
public enum AuthorityTier
{
    /// <summary>Long-lived, self-signed, published in the trust bundle.</summary>
    Anchor,

    /// <summary>Short-lived, signed by the anchor, travels in the chain of what it signed.</summary>
    Issuing,
}

/// <summary>Where an authority is in its life.</summary>
public enum AuthorityState
{
    /// <summary>Made and published, not yet used.</summary>
    Prepared,

    /// <summary>Signs now.</summary>
    Active,

    /// <summary>No longer signs; what it signed still holds.</summary>
    Old,
}

/// <summary>One authority as the journal remembers it. The key is known by name only.</summary>
public sealed record AuthorityRecord(string Id, AuthorityTier Tier, AuthorityState State, Certificate Certificate, string KeyName)
{
    public Validity Validity => new(Certificate.NotBefore, Certificate.NotAfter);
}
